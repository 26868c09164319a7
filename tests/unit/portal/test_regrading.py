"""An organiser regrades on pages: seen before it holds, done by the worker, nothing private for a team."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import requests
from portal_kit import Kit, made_result, portal

from harness.contest.board.keeper import BoardKeeper
from harness.contest.intake import record_run
from harness.contest.ledger import Accepted, Ledger
from harness.contest.regrade.asked import FOLDER
from harness.contest.regrade.regrader import Place, Regrader
from harness.contest.rules import HARNESS
from harness.contest.rules.commands import Start
from harness.contest.state import EntryStatus
from harness.core.types import Outcome, OutcomeKind, PreparedVideo, SetName, Verdict
from harness.gateway.journal import Header, Journal, Line
from harness.results.result import SetResult, write_result
from harness.results.run_folder import RunFolder, regrade_record
from harness.results.run_row import enter
from harness.results.seal import Key
from harness.results.store import regrade_rows
from harness.results.store.regrade_rows import RegradeRow, RegradeState
from harness.scoring.score import score_set
from harness.videos.labels import read_labels
from harness.videos.ready_set import ReadySet

pytestmark = pytest.mark.slow  # starts a server

VIDEOS = 24
KEY = Key(secret=b"k" * 32)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with portal(tmp_path, public=VIDEOS, private=VIDEOS) as found:
        yield found


def sets_of(kit: Kit) -> tuple[ReadySet, ...]:
    """Return both sets as if they were prepared."""
    found = []
    for name in (SetName.PUBLIC, SetName.PRIVATE):
        labels = read_labels(kit.challenge.sets[name].labels)
        videos = tuple(
            PreparedVideo(video_id=f"{name}-{one}", path=Path(one), source_id=one, sha256="0" * 64)
            for one in labels
        )
        found.append(ReadySet(name=name, videos=videos, labels=labels, sha256="", manifest_path=Path()))
    return tuple(found)


def worker(kit: Kit) -> tuple[Regrader, BoardKeeper]:
    """Return what a worker has beside its driver."""
    place = Place(
        store=kit.site.store,
        challenge=kit.challenge,
        toml=kit.toml,
        sets=sets_of(kit),
        runs=kit.config.runs,
        key=KEY,
        workers=0,
    )
    said: list[str] = []
    keeper = BoardKeeper(
        kit.site.store,
        Ledger(kit.site.store, kit.name),
        kit.challenge,
        place.sets,
        kit.config.runs,
        say=said.append,
    )
    return Regrader(place, say=said.append), keeper


def run(kit: Kit, team: str, *, skill: float, seed: int, regrader: Regrader) -> str:
    """Hand in, and put a run with answers of its own on record as the worker does; returns the entry."""
    entry = kit.hand_in(team)
    found = kit.ledger.state().entries[entry]
    folder = RunFolder(path=kit.config.runs / f"{kit.name}-{entry}")
    sets: dict[SetName, SetResult] = {}
    for ready in sets_of(kit):
        rng = np.random.default_rng([seed, len(sets)])
        outcomes = []
        for video in ready.videos:
            right = skill + 0.3 * rng.normal()
            signed = right if ready.labels.of(video.source_id).fake else -right
            answer = float(1.0 / (1.0 + np.exp(-signed)))
            outcomes.append(Outcome(video_id=video.video_id, kind=OutcomeKind.PREDICTED, probability=answer))
        header = Header(order_seed=1, videos_sha256="0" * 64, limits_sha256="0" * 64)
        with Journal(folder.journal(ready.name), header) as journal:
            journal.append(Line(outcome=one) for one in outcomes)
        score = score_set(
            set_name=ready.name,
            verdict=Verdict.OK,
            outcomes=outcomes,
            videos=ready.videos,
            labels=ready.labels,
            rule=kit.challenge.scoring.failure_rule,
        )
        sets[ready.name] = (
            made_result()
            .sets[ready.name]
            .model_copy(
                update={
                    "verdict": Verdict.OK,
                    "score": score,
                    "outcomes": {OutcomeKind.PREDICTED: len(outcomes)},
                }
            )
        )
    made = made_result()
    challenge = made.challenge.model_copy(update={"name": kit.name, "sha256": kit.challenge.sha256})
    package = made.package.model_copy(update={"sha256": found.package_sha256})
    result = made.model_copy(
        update={
            "run_id": folder.run_id,
            "sets": sets,
            "challenge": challenge,
            "package": package,
            "gaps": (),
            "isolation": "docker",
        }
    )
    write_result(result, folder.result)
    enter(folder, team=team)
    kit.ledger.ask(Start(entry=entry, attempt=1), now=datetime.now(UTC), by=HARNESS)
    with regrader.about_to_record(folder):
        recorded = record_run(kit.ledger, found, folder, now=datetime.now(UTC))
    assert isinstance(recorded, Accepted), recorded
    assert kit.ledger.state().entries[entry].status is EntryStatus.SCORED
    return entry


class Boss:
    """An organiser's browser on the pages of regrades."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.session = kit, kit.browser(None)
        self.place = f"{kit.address}/c/{kit.name}/organise/regrades"
        found = re.search(r'data-csrf="([0-9a-f]+)"', self.page())
        assert found
        self.word = found[1]

    def page(self, path: str = "") -> str:
        return self.session.get(self.place + path, timeout=60).text

    def send(self, path: str, **fields: str) -> requests.Response:
        return self.session.post(
            f"{self.place}/{path}", data={"csrf": self.word, **fields}, timeout=60, allow_redirects=False
        )

    def asks(self, **fields: str) -> str:
        answer = self.send("ask", **{"reason": "two labels were wrong", "adds": "yes"} | fields)
        assert answer.status_code == 303, answer.text
        found = re.search(r"/regrades/([0-9a-f-]+)\?", answer.headers["location"])
        assert found
        return found[1]


def wrong_labels(kit: Kit, name: SetName, count: int) -> str:
    """Return corrected labels of a set's first videos: the other ones."""
    labels = read_labels(kit.challenge.sets[name].labels)
    rows = [f"{one},{'real' if labels.of(one).fake else 'fake'}" for one in list(labels)[:count]]
    return "\n".join(["filename,label", *rows])


def state_of(kit: Kit, regrade: str) -> str:
    with kit.site.store.read() as connection:
        row = regrade_rows.get(connection, kit.name, regrade)
    assert row is not None
    return row.state.value


def test_a_regrade_is_seen_before_it_holds_and_no_team_sees_what_is_private(kit: Kit) -> None:
    regrader, keeper = worker(kit)
    entries = {
        "red": run(kit, "red", skill=3.0, seed=1, regrader=regrader),
        "blue": run(kit, "blue", skill=1.0, seed=2, regrader=regrader),
    }
    keeper.look()
    before = {team: kit.ledger.state().entries[one].shown for team, one in entries.items()}
    boss, head = Boss(kit), kit.ledger.log()[-1].sha256
    regrade = boss.asks(set="public", labels=wrong_labels(kit, SetName.PUBLIC, 8))
    assert "being worked out" in boss.page(f"/{regrade}")
    assert boss.send(f"{regrade}/apply").status_code == 409  # nobody has seen anything yet
    assert regrader.look() == 1
    page = boss.page(f"/{regrade}")
    assert "8 labels change" in page
    assert "Of 2 teams, 2 have another score, 2 another place" in page  # confident answers suffer more
    assert kit.ledger.log()[-1].sha256 == head
    assert {team: kit.ledger.state().entries[one].shown for team, one in entries.items()} == before
    assert boss.send(f"{regrade}/apply").status_code == 303
    regrader.look()
    keeper.look()
    assert state_of(kit, regrade) == "applied"
    state = kit.ledger.state()
    assert state.regrades == (regrade,)
    assert "organiser organiser person" in str(kit.ledger.log()[-1].document["by"])
    assert kit.ledger.problems() == ()
    with kit.site.store.read() as connection:
        row = regrade_rows.get(connection, kit.name, regrade)
    assert row is not None
    assert row.document == ""  # labels stay where they are
    assert "video" not in row.preview.partition('"correction"')[2]
    board = kit.call("GET", "board").json()["rows"]
    assert [one["team"] for one in board] == ["blue", "red"]
    # Intervals are those of the corrected labels, too.
    assert all(one["low"] <= one["score"] <= one["high"] for one in board)
    # A run that ends later is scored as all others were.
    late = run(kit, "red", skill=3.0, seed=1, regrader=regrader)
    assert kit.ledger.state().entries[late].shown == state.entries[entries["red"]].shown
    assert kit.ledger.state().entries[late].shown != before["red"]


def test_private_corrections_move_nothing_that_a_team_can_reach(kit: Kit) -> None:
    regrader, keeper = worker(kit)
    for number, team in enumerate(("red", "blue")):
        run(kit, team, skill=1.0 + number, seed=number, regrader=regrader)
    keeper.look()
    boss, member = Boss(kit), kit.browser("red")
    seen = _all_of(kit, member)
    regrade = boss.asks(set="private", labels=wrong_labels(kit, SetName.PRIVATE, 3))
    regrader.look()
    page = boss.page(f"/{regrade}")
    scores = set(re.findall(r"\d\.\d{4}", page.partition("private board")[2]))
    assert len(scores) >= 4
    assert _all_of(kit, member) == seen
    boss.send(f"{regrade}/apply")
    regrader.look()
    keeper.look()
    after = _all_of(kit, member)
    assert not {one for one in scores if one in after} - {one for one in scores if one in seen}
    for path in ("", f"/{regrade}"):
        assert member.get(boss.place + path, timeout=60).status_code == 403
        assert requests.get(boss.place + path, timeout=60).status_code == 401


def _all_of(kit: Kit, session: requests.Session) -> str:
    """Return all that a team's pages and answers say of scores."""
    found = []
    for path in ("board", "board.csv", "entries", "team", ""):
        found.append(session.get(f"{kit.address}/c/{kit.name}/{path}".rstrip("/"), timeout=60).text)
    for path in ("board", "entries", "team"):
        found.append(kit.call("GET", path, "red").text)
    text = "\n".join(found)
    text = re.sub(r"pause|delay:\d+ms|seen=[0-9a-f]+|version\"?: ?\"[0-9a-f]+", "", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:+]+|\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", text)


def test_what_was_killed_between_its_record_and_the_log_is_told_to_the_log(kit: Kit) -> None:
    regrader, _ = worker(kit)
    entry = run(kit, "red", skill=1.0, seed=1, regrader=regrader)
    boss = Boss(kit)
    regrade = boss.asks(epsilon="0.3")
    regrader.look()
    boss.send(f"{regrade}/apply")
    refusing = replace(regrader._place, store=_Refusing(kit.site.store))  # type: ignore[arg-type]  # stands in for it
    killed = Regrader(refusing, say=lambda _: None)
    killed._ledger = kit.ledger
    with suppress(ZeroDivisionError):
        killed.look()
    assert regrade_record(kit.config.runs, regrade).is_file()
    assert kit.ledger.state().regrades == ()
    regrader.look()
    assert kit.ledger.state().regrades == (regrade,)
    folder = RunFolder(path=kit.config.runs / f"{kit.name}-{entry}")
    assert folder.current.path.name == regrade
    assert kit.ledger.state().entries[entry].result_sha256 is not None
    assert state_of(kit, regrade) == "applied"


class _Refusing:
    """A store that goes away before anything can be written."""

    def __init__(self, store: object) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        if name == "write":
            raise ZeroDivisionError
        return getattr(self._store, name)


def test_corrections_add_up_are_chosen_and_taken_back(kit: Kit) -> None:
    regrader, _ = worker(kit)
    run(kit, "red", skill=1.0, seed=1, regrader=regrader)
    folder = kit.toml.parent / FOLDER
    folder.mkdir()
    (folder / "first.csv").write_text(wrong_labels(kit, SetName.PUBLIC, 2) + "\n", encoding="utf-8")
    (folder / "link.csv").symlink_to("/etc/passwd")
    boss = Boss(kit)
    assert "first.csv" in boss.page()
    assert "link.csv" not in boss.page()
    first = boss.asks(set="public", file="first.csv")
    regrader.look()
    boss.send(f"{first}/apply")
    regrader.look()
    second = boss.asks(set="public", labels=wrong_labels(kit, SetName.PUBLIC, 3))
    other = boss.asks(set="public", labels=wrong_labels(kit, SetName.PUBLIC, 1), adds="")
    regrader.look()
    assert "1 label changes" in boss.page(f"/{second}")
    assert "1 label changes" in boss.page(f"/{other}")  # the second of the first two is taken back
    assert boss.send(f"{other}/withdraw").status_code == 303
    assert boss.send(f"{other}/apply").status_code == 409
    boss.send(f"{second}/apply")
    regrader.look()
    late = boss.asks(set="public", labels=wrong_labels(kit, SetName.PUBLIC, 4))
    stale = boss.asks(set="public", labels=wrong_labels(kit, SetName.PUBLIC, 5))
    regrader.look()
    for one in (late, stale):
        assert boss.send(f"{one}/apply").status_code == 303
    regrader.look()
    assert (state_of(kit, late), state_of(kit, stale)) == ("applied", "failed")
    assert "another regrade was made" in boss.page(f"/{stale}")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "nothing is corrected"),
        ({"labels": "filename,label\nvideo.mp4,perhaps"}, "the labels"),
        ({"labels": "nonsense"}, "the labels"),
        ({"labels": "filename,label\n../../x.mp4,fake"}, "the labels"),
        ({"labels": "filename,label\nof_no_set.mp4,fake"}, None),
        ({"set": "control", "labels": "filename,label\nv,fake"}, "no such set"),
        ({"file": "../challenge.toml"}, "no such file"),
        ({"epsilon": "nan"}, "not a number"),
        ({"epsilon": "0,1"}, "not a number"),
        ({"epsilon": "0.7"}, "between 0 and 0.5"),
        ({"failed_probability": "1e400"}, "not a number"),
        ({"failed_probability": "-1"}, "[0, 1]"),
        ({"reason": " ", "epsilon": "0.1"}, "say why"),
    ],
)
def test_what_makes_no_sense_is_refused_on_the_page_or_by_the_worker(
    shared: Kit, fields: dict[str, str], words: str | None
) -> None:
    boss = Boss(shared)
    answer = boss.send("ask", **{"reason": "why", "adds": "yes"} | fields)
    if words is not None:
        assert answer.status_code == 422
        assert words.casefold() in answer.text.casefold()
        return
    regrader, _ = worker(shared)
    assert answer.status_code == 303
    regrader.look()
    page = boss.session.get(shared.address + answer.headers["location"], timeout=60).text
    assert "1 rows fit no set" in page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with portal(tmp_path_factory.mktemp("regrades")) as found:
        yield found


def test_a_stranger_cannot_send_much_to_the_form_that_takes_a_file(shared: Kit) -> None:
    place = f"{shared.address}/c/{shared.name}/organise/regrades/ask"
    assert requests.post(place, data={"labels": "x" * 100_000}, timeout=60).status_code == 401
    assert requests.post(place, data={"labels": "x" * 5_000_000}, timeout=60).status_code == 413


@pytest.mark.parametrize("state", [RegradeState.ASKED, RegradeState.WANTED])
def test_what_another_release_wrote_is_told_to_be_asked_for_again(shared: Kit, state: RegradeState) -> None:
    row = RegradeRow(
        challenge=shared.name,
        regrade=f"20261127-080000-{state.value}"[:22],
        state=state,
        by="organiser",
        reason="why",
        asked="2026-11-27T08:00:00+00:00",
        changed="2026-11-27T08:00:00+00:00",
        document='{"words": "of another release"}',
        preview='{"words": "of another release"}',
    )
    shared.site.store.write(lambda connection: regrade_rows.add(connection, row))
    address = f"{shared.address}/c/{shared.name}/organise/regrades/{row.regrade}"
    boss = Boss(shared)
    assert boss.session.get(address, timeout=60).status_code == 200
    regrader, _ = worker(shared)
    regrader.look()
    assert "Ask for it again." in boss.session.get(address, timeout=60).text
