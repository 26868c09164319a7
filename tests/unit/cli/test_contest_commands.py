"""`board`, `regrade` and `audit --labels` on a made contest, and `contest` on one of its own, as typed.

The commands run in this process, by the function that the program itself calls: nothing of them is left out
but the start of another Python.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from made_contest import write_contest

from harness.cli.app import run_command
from harness.cli.contest_blobs import opened_blobs
from harness.contest.ledger import Accepted, Ledger
from harness.contest.rules import HARNESS, ORGANISER
from harness.contest.rules.commands import Start, Submit
from harness.contest.shard_ledger import ShardLedger
from harness.core.challenge import load_challenge
from harness.core.errors import ConfigError
from harness.core.types import SetName
from harness.results.store import Store
from harness.results.store.tables import DRIVERS
from harness.sandbox.docker.owner import Owner
from harness.videos.ready_set import ready_set
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

MakePackage = Callable[..., Path]
TEAMS = 4
CONTEST = """
[contest]
timezone = "UTC"
opens = 2020-01-01T00:00:00
closes = 2100-01-01T00:00:00
valid_per_day = 1
"""


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


Harness = Callable[..., Said]


@pytest.fixture
def harness(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Harness:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        code = run_command([str(one) for one in arguments])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_contest(folder, entries=TEAMS, videos=40, people=10)
    return folder


@pytest.fixture
def contest(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "contest"))


def of(folder: Path) -> tuple[object, ...]:
    return (folder / "challenge.toml", "--runs", folder / "runs", "--cache", folder / "cache")


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


# --- board -------------------------------------------------------------------------------------------------


def test_a_board_is_printed_and_written_as_a_page_and_as_tables(
    harness: Harness, made: Path, tmp_path: Path
) -> None:
    said = harness("board", *of(made), "--by", "private", "--csv", tmp_path / "tables")
    assert said.code == 0, said.err
    assert "board: board.html" in said.out
    assert all(f"team 00{number}" in said.out for number in range(TEAMS))
    assert "team 003" in (tmp_path / "board.html").read_text()
    rows = table(tmp_path / "tables/standings.csv")
    assert [row["place"] for row in rows] == [str(place + 1) for place in range(TEAMS)]
    parts = {row["column"] for row in table(tmp_path / "tables/parts.csv")}
    assert "site" in parts  # a column that only this organiser keeps


def test_a_board_as_json_is_nothing_else_on_standard_output(harness: Harness, made: Path) -> None:
    said = harness("board", *of(made), "--json")
    document = json.loads(said.out)
    losses = [one["log_loss"] for one in document["standings"]]
    assert losses == sorted(losses)
    assert document["set_name"] == "public"


def test_a_board_of_nothing_says_how_runs_are_entered(harness: Harness, made: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    said = harness("board", made / "challenge.toml", "--runs", "none", "--cache", made / "cache")
    assert said.code == 2
    assert "harness submit RUN --team NAME" in said.err
    assert not (tmp_path / "board.html").exists()


def test_the_board_of_a_contest_has_each_team_s_final_entries_and_none_of_the_disqualified(
    harness: Harness, contest: Path, tmp_path: Path
) -> None:
    before = load_challenge(contest / "challenge.toml").sha256
    with (contest / "challenge.toml").open("a") as stream:
        stream.write(CONTEST.replace("valid_per_day = 1", "valid_per_day = 9\nfinals = 1"))
    now = load_challenge(contest / "challenge.toml").sha256
    for result in contest.glob("runs/*/result.json"):  # as if they were run after it became a contest
        result.write_text(result.read_text().replace(before, now))
    url = f"sqlite:///{tmp_path / 'store.db'}"
    here = ("--challenge", contest / "challenge.toml", "--store", url)
    assert harness("contest", "init", *here).code == 0
    for team in ("eagles", "owls"):
        assert harness("contest", "team", "add", team, *here).code == 0
    store = Store(url)
    runs = sorted((contest / "runs").glob("2*"))
    for number, (run, team) in enumerate(zip(runs, ("eagles", "owls", "owls", "eagles"), strict=True)):
        entry = f"entry-{number}"
        for command, who in (
            (Submit(entry=entry, team=team, package_sha256=f"{number:064x}", external_data=()), ORGANISER),
            (Start(entry=entry, attempt=1), HARNESS),
        ):
            answer = Ledger(store, "made").ask(command, now=datetime.now(UTC), by=who)
            assert isinstance(answer, Accepted), answer
        said = harness("contest", "record", entry, run, *here)
        assert said.out == f"entry {entry} is scored\n", said.err
    store.close()

    def on_board(by: str) -> list[tuple[str, str]]:
        said = harness("board", *of(contest), "--store", url, "--by", by, "--json")
        assert said.code == 0, said.err
        return sorted(
            (one["entry"]["team"], one["entry"]["run_id"]) for one in json.loads(said.out)["standings"]
        )

    names = [run.name for run in runs]
    assert on_board("public") == [("eagles", names[0]), ("owls", names[1])]
    assert on_board("private") == [("eagles", names[0]), ("owls", names[1])], "the best by public score"
    assert harness("contest", "finals", "eagles", "entry-3", *here).code == 0
    assert on_board("private") == [("eagles", names[3]), ("owls", names[1])]
    shame = ("--reason", "two accounts", "--note", "see the rules")
    assert harness("contest", "disqualify", "owls", *shame, *here).code == 0
    assert on_board("private") == [("eagles", names[3])]
    other = harness("board", *of(contest), "--store", f"sqlite:///{tmp_path / 'other.db'}")
    assert other.code == 2
    assert "no contest of 'made'" in other.err


# --- regrade and audit -------------------------------------------------------------------------------------


def wrong_label(folder: Path) -> str:
    """Turn the label round of the private video that every entry is surest of; return its name."""
    answers: dict[str, list[float]] = {}
    for journal in folder.glob("runs/*/sets/private/outcomes.jsonl"):
        for line in journal.read_text().splitlines()[1:]:
            one = json.loads(line)
            answers.setdefault(one["video_id"], []).append(one["probability"])
    surest = max(answers, key=lambda video: min(abs(p - 0.5) for p in answers[video]))
    ready = ready_set(SetName.PRIVATE, load_challenge(folder / "challenge.toml"), cache=folder / "cache")
    source = next(video.source_id for video in ready.videos if video.video_id == surest)
    labels = folder / "private" / "labels.csv"
    rows = table(labels)
    for row in rows:
        if row["filename"] == source:
            row["label"] = str(1 - int(row["label"]))
    with labels.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return source


def test_a_wrong_label_is_found_and_its_csv_puts_it_right(
    harness: Harness, contest: Path, tmp_path: Path
) -> None:
    source = wrong_label(contest)
    said = harness("audit", *of(contest), "--labels", "--output", "doubts.html")
    assert said.code == 1, said.err
    assert source in said.out
    assert source in (tmp_path / "doubts.html").read_text()
    found = {row["filename"]: row["label"] for row in table(tmp_path / "doubts.csv")}
    assert source in found
    store = f"sqlite:///{tmp_path / 'index.db'}"
    change = ("--reason", "wrong label", "--labels", "private=doubts.csv", "--store", store)
    before = harness("board", *of(contest), "--by", "private", "--json").out
    dry = harness("regrade", *of(contest), *change, "--dry-run", "--output", "dry.csv")
    assert (dry.code, "nothing was changed" in dry.out) == (0, True)
    assert harness("board", *of(contest), "--by", "private", "--json").out == before
    done = harness("regrade", *of(contest), *change, "--output", "ranks.csv")
    assert done.code == 0, done.err
    assert f"{TEAMS} runs, {len(found)} labels changed" in done.out
    rows = table(tmp_path / "ranks.csv")
    assert len(rows) == TEAMS
    assert all(float(row["log_loss"]) < float(row["log_loss_before"]) for row in rows)
    assert (tmp_path / "dry.csv").read_text() == (tmp_path / "ranks.csv").read_text()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (("--reason", " "), "--reason is empty"),
        ((), "--reason"),
        (("--reason", "x", "--drop", "drop.txt"), "no set has nobody.mp4"),
        (("--reason", "x", "--labels", "missing.csv"), "missing.csv"),
    ],
)
def test_a_regrade_that_cannot_be_meant_is_refused(
    harness: Harness, made: Path, tmp_path: Path, wrong: tuple[str, ...], word: str
) -> None:
    (tmp_path / "drop.txt").write_text("nobody.mp4\n")
    said = harness("regrade", *of(made), *wrong)
    assert said.code == 2
    assert word in said.err
    assert not (made / "runs" / "regrades").exists()


def test_the_ranks_of_a_regrade_hold_no_formula_of_a_team_s(
    harness: Harness, contest: Path, tmp_path: Path
) -> None:
    names = ('=HYPERLINK("http://127.0.0.1","team")', "+1;=1+1", "@SUM(1)", "plain, but a comma")
    entries = sorted(contest.glob("runs/2*/entry.json"))
    for path, name in zip(entries, names, strict=True):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"team": name}))
    said = harness("regrade", *of(contest), "--reason", "x", "--dry-run", "--output", "ranks.csv")
    assert said.code == 0, said.err
    text = (tmp_path / "ranks.csv").read_text()
    for cells in csv.reader(text.splitlines()):
        assert not any(cell.startswith(("=", "+", "@", "-")) and not number(cell) for cell in cells), cells
    for line in text.splitlines():  # as a spreadsheet reads it where semicolons part cells
        for cell in line.split(";")[1:]:
            assert not cell.startswith(("=", "+", "@", "-")), line
    shown = [row["name"] for row in table(tmp_path / "ranks.csv")]
    assert sorted(name.replace("'", "") for name in shown) == sorted(names)
    assert "plain, but a comma" in shown


def number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("{", "is not JSON"),
        ("[1]", "is JSON, but no table"),
        ('"key=s3cr3t"', "is JSON, but no table"),
        ("1", "is JSON, but no table"),
    ],
)
def test_options_for_a_store_of_files_that_are_none_are_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: str, word: str
) -> None:
    monkeypatch.setenv("HARNESS_BLOBS_OPTIONS", options)
    with pytest.raises(ConfigError, match=f"HARNESS_BLOBS_OPTIONS: {word}") as refused:
        opened_blobs(str(tmp_path / "blobs"))
    assert "s3cr3t" not in str(refused.value)


def test_a_store_that_cannot_be_or_that_knows_nothing_is_named(harness: Harness, made: Path) -> None:
    nowhere = harness(
        "contest", "status", made / "challenge.toml", "--store", "sqlite:////dev/null/x/index.db"
    )
    assert (nowhere.code, "/dev/null/x/index.db" in nowhere.err, "--store" in nowhere.err) == (3, True, True)
    empty = harness("contest", "status", made / "challenge.toml", "--store", "sqlite:///empty.db")
    assert empty.code == 0
    assert "no driver is at work" in empty.out
    assert "empty.db" in empty.err


def test_steering_says_what_it_comes_to_and_who_follows_it(
    harness: Harness, made: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'steered.db'}"

    def steered(what: str) -> str:
        said = harness("contest", what, made / "challenge.toml", "--store", url)
        assert said.code == 0, said.err
        return said.err

    held = steered("pause")
    assert "paused" in held
    assert "no driver is at work, and the next one holds to it" in held
    assert "it was paused before; `harness contest resume`" in steered("pause")
    assert "resumed" in steered("resume")
    assert "neither paused nor drained" in steered("resume")
    store = Store(url)
    ledger = ShardLedger(store, "made")
    ledger.drive()
    assert "the driver follows within seconds" in steered("drain")
    with subprocess.Popen(["true"]) as gone:
        pass
    dead = replace(Owner.current(), process_id=gone.pid)
    store.write(lambda one: one.execute(sa.update(DRIVERS).values(driver=str(dead))))
    assert "the driver has died: `contest run` goes on from here" in steered("pause")
    assert "the driver has died" in harness("contest", "status", made / "challenge.toml", "--store", url).out
    steered("drain")
    began = ("contest", "run", made / "challenge.toml", "--entries", made, "--store", url)
    drained = harness(*began, "--sandbox", "process")
    assert (drained.code, "is drained" in drained.err, "contest resume" in drained.err) == (1, True, True)
    assert "Preparing" not in drained.err
    store.close()


def test_an_option_that_a_kind_of_place_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_BLOBS_OPTIONS", '{"nonsense": "s3cr3t"}')
    with pytest.raises(ConfigError, match=r"HARNESS_BLOBS_OPTIONS.*nonsense") as refused:
        opened_blobs("sftp://127.0.0.1:1/blobs")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--address", "10.0.0.1:6379"), "--engine ray"),
        (("--engine", "ray", "--address", "10.0.0.1"), "HOST:PORT"),
        (("--engine", "ray", "--address", "10.0.0.1:70000"), "HOST:PORT"),
        (("--engine", "ray", "--address", "a/b:6379"), "HOST:PORT"),
    ],
)
def test_an_address_that_can_be_none_is_named(
    harness: Harness, tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "one.mp4", ClipSpec(width=64, height=48, frames=2, seed=1))
    said = harness("perturb", "render", "clips", "out", "--seed", "1", *options)
    assert (said.code, options[-1] in said.err, word in said.err) == (2, True, True), said.err


# --- contest -----------------------------------------------------------------------------------------------


class Organiser:
    """Types commands for one contest."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self._harness = harness
        self.store = f"sqlite:///{folder / 'store.db'}"
        self.challenge = folder / "challenge.toml"

    def __call__(self, *arguments: object, store: str = "") -> Said:
        return self._harness(
            "contest", *arguments, "--challenge", self.challenge, "--store", store or self.store
        )


@pytest.fixture
def organiser(harness: Harness, made: Path, tmp_path: Path) -> Organiser:
    text = (made / "challenge.toml").read_text()
    for name in ("public", "private"):
        text = text.replace(f'"{name}/', f'"{made / name}/')
    (tmp_path / "challenge.toml").write_text(text + CONTEST)
    found = Organiser(harness, tmp_path)
    assert found("init").code == 0
    assert found("team", "add", "The Éagles").out == "team the-eagles takes part\n"
    return found


def test_an_entry_is_taken_held_to_its_quota_and_costs_nothing_when_withdrawn(
    organiser: Organiser, make_package: MakePackage
) -> None:
    package = make_package("return 0.5")
    hand_in = ("submit", package, "--team", "the-eagles", "--no-external-data", "--packages", "kept")
    first = organiser(*hand_in)
    assert first.code == 0, first.err
    entry = first.out.split()[1]
    assert entry in organiser("show").out
    second = organiser(*hand_in)
    assert second.code == 1
    assert second.err.startswith("refused:")
    assert "00:00" in second.err, "it says when it will be possible again"
    assert organiser("cancel", entry, "--reason", "a mistake").code == 0
    assert organiser(*hand_in).code == 0
    assert organiser("grant", "the-eagles", "1", "--reason", "our disk was full").code == 0
    assert organiser(*hand_in).code == 0


def test_a_package_that_the_check_refuses_is_no_entry(
    organiser: Organiser, make_package: MakePackage
) -> None:
    package = make_package(module="def broken(:\n")
    said = organiser("submit", package, "--team", "the-eagles", "--no-external-data")
    assert said.code == 1
    assert "nothing was spent" in said.err
    assert '"Submit' not in organiser("log").out


def test_what_the_rules_refuse_ends_with_1_and_a_wrong_name_is_named(organiser: Organiser) -> None:
    assert organiser("init").code == 1
    assert organiser("team", "add", "The Eagles").code == 1
    for asked in (
        ("finals", "nobody"),
        ("grant", "nobody", "1", "--reason", "x"),
        ("team", "merge", "the-eagles", "nobody"),
        ("disqualify", "nobody", "--reason", "x", "--note", "y"),
    ):
        said = organiser(*asked)
        assert (said.code, "nobody" in said.err) == (1, True), asked
    assert organiser("record", "no-entry", "no-run").code == 2
    assert organiser("phase", "closed", "--reason", "it is late").out == "it is closed now\n"
    assert organiser("phase", "open", "--reason", "never mind").code == 1, "no phase runs backwards"


def test_the_log_is_exported_verified_and_brings_a_contest_back(organiser: Organiser, tmp_path: Path) -> None:
    assert organiser("disqualify", "the-eagles", "--reason", "two names", "--note", "see the rules").code == 0
    assert organiser("reinstate", "the-eagles", "--reason", "it was a twin").code == 0
    said = organiser("log", "--output", "log.jsonl")
    assert said.code == 0
    head = said.err.split("--head ")[1].strip()
    assert organiser("log", "--head", head).code == 0
    assert organiser("log", "--head", "0" * 64).code == 1
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert organiser("rebuild", "--events", "log.jsonl", store=other).code == 0
    assert organiser("log", store=other).out == (tmp_path / "log.jsonl").read_text()
    assert organiser("show", store=other).out == organiser("show").out
    with sqlite3.connect(tmp_path / "store.db") as database:
        changed = database.execute(
            "UPDATE harness_events SET event = replace(event, 'two names', 'one name')"
        )
        assert changed.rowcount
    forged = organiser("log")
    assert forged.code == 1
    assert "the log was changed" in forged.err


def test_a_plan_says_what_the_entries_at_hand_will_cost_and_of_nothing_that_there_is_nothing(
    harness: Harness, made: Path, tmp_path: Path, make_package: MakePackage
) -> None:
    handed_in = tmp_path / "handed_in"
    for team in ("red", "blue"):
        shutil.copytree(make_package(), handed_in / team / "entry")
    prices = tmp_path / "prices.toml"
    prices.write_text('[[nodes]]\nname = "small"\ncount = 2\nplaces = 1\nprice_per_hour = 3.0\n')
    asked = ("contest", "plan", made / "challenge.toml", "--prices", prices, "--entries")
    said = harness(*asked, handed_in, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)["plan"]
    assert (found["entries"], found["unknown"], found["currency"]) == (2, 2, "EUR")
    assert found["money"] == pytest.approx(found["machine_hours"] * 3.0)
    # 2 entries × 2 sets × 40 videos, whose pace nobody knows yet: each may take the budget of 8.1 s.
    assert found["place_hours"] * 3600 >= 2 * 2 * 40 * 8.1
    missing = harness(*asked, tmp_path / "nowhere")
    assert missing.code == 2
    assert "nowhere: is not a folder" in missing.err
