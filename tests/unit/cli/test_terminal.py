"""What people see: on a terminal of 80 columns, without colours, on a dumb one, in a pipe, in the C locale.

Each setting is one process on a real pseudo-terminal (or a pipe, or a file) that runs the commands one after
another, as `harness` does.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

import pytest

from harness.cli.app import run_command
from harness.contest.ledger import Ledger
from harness.core.challenge import load_challenge
from harness.package.new import new_package
from harness.results.result import ChallengeFacts, Eligibility, Result, write_result
from harness.results.run_folder import RunFolder
from harness.results.store import Store
from harness.videos.perturb.registry import catalogue
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CHALLENGE = ROOT / "sample_videos" / "challenge.toml"
RUN_IDS = ("20300102-030405-abcdef", "20300102-030406-012345")
TEAM = "Die Füchse mit einem Namen, der in keine Spalte eines Terminals passt – 狐"
CONTEST = """
schema = 1
name = "words"
[sets.public]
videos = "Videos"
labels = "Videos/labels.csv"
recipe = "clean"
seed = 1
[contest]
timezone = "UTC"
opens = 2000-01-01T12:00:00
closes = 2999-01-01T12:00:00
"""
RUN_ALL = """
import shlex, sys
from harness.cli.app import run_command
for number, line in enumerate(sys.argv[1:]):
    print("=== command", number, flush=True)
    print("\\n--- exit code", run_command(shlex.split(line)), flush=True)
"""
# What is typed, and how it ends. Names with umlauts, arrows, bars and long ids are in each of them.
COMMANDS = {
    "--version": 0,
    "--help": 0,
    "limits": 0,
    "perturb list": 0,
    "leaderboard {challenge} --store sqlite:///{folder}/index.db": 0,
    "contest show -c {folder}/contest.toml --store sqlite:///{folder}/contest.db": 0,
    "check --static {folder}/Päckchen": 1,
    "contest plan {folder}/nobody–there --entries {folder}": 2,
    "perturb render --recipe clean {folder}/Videos {folder}/set-{name} --workers 0": 0,
}


@dataclass(frozen=True)
class Setting:
    """Where output goes, and what the environment says of it."""

    environment: Mapping[str, str]
    terminal: bool = True

    @property
    def colours(self) -> bool:
        return self.terminal and not {"NO_COLOR"} & set(self.environment) and self.dumb is False

    @property
    def dumb(self) -> bool:
        return self.environment.get("TERM") == "dumb"

    @property
    def ascii(self) -> bool:
        return self.environment.get("LC_ALL") == "C"


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "TERM": "xterm-256color"}
SETTINGS = {
    "80-columns": Setting({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}),
    "no-colour": Setting({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}),
    "dumb": Setting({"TERM": "dumb", "LC_ALL": "C.UTF-8"}),
    "c-locale": Setting(C_LOCALE),
    "pipe": Setting({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}, terminal=False),
    "c-locale-log-file": Setting(C_LOCALE, terminal=False),
}


@dataclass(frozen=True)
class Seen:
    """What a setting showed, as bytes."""

    setting: Setting
    out: bytes
    errors: bytes

    def of(self, command: str) -> str:
        """Return what the one command that begins so wrote to standard output."""
        text = self.out.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        (number,) = (n for n, one in enumerate(COMMANDS) if one.startswith(command))
        mark = f"=== command {number}\n"
        assert mark in text
        return re.sub(r"\x1b\[[0-9;]*m", "", text.partition(mark)[2].partition("\n=== ")[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, finished_run: tuple[Path, Result, object]) -> Path:
    """A package with findings, two entries of a team with a long name, a table, and videos."""
    place = tmp_path_factory.mktemp("words")
    package = place / "Päckchen"
    package.mkdir()
    (package / "submission.toml").write_text('name = "p"\nentry = "predictor:Predictor"\n')
    (package / "predictor.py").write_text("import nowhere\ndef broken(:\n")
    loaded = load_challenge(CHALLENGE)
    store = Store(f"sqlite:///{place}/index.db")
    for number, run_id in enumerate(RUN_IDS):
        run = RunFolder(path=place / "runs" / run_id)
        run.path.mkdir(parents=True)
        changes = {
            "run_id": run_id,
            "isolation": "docker",
            "leaderboard": Eligibility(eligible=True),
            "challenge": ChallengeFacts(name=loaded.name, sha256=loaded.sha256),
        }
        write_result(finished_run[1].model_copy(update=changes), run.result)
        store.submit(run, team=f"{TEAM} {number}")
    store.close()
    (place / "Videos").mkdir()
    for number in range(2):
        write_clip(place / "Videos" / f"{number}.mp4", ClipSpec(frames=3, seed=number))
    contest(place)
    return place


@pytest.fixture(scope="module", params=SETTINGS)
def seen(request: pytest.FixtureRequest, folder: Path) -> Seen:
    """Run the commands in one setting."""
    setting = SETTINGS[request.param]
    lines = [one.format(challenge=CHALLENGE, folder=folder, name=request.param) for one in COMMANDS]
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    environment = {**kept, "PYTHONCOERCECLOCALE": "0", **setting.environment}
    command = [sys.executable, "-c", RUN_ALL, *lines]
    if setting.terminal:
        code, out, errors = on_a_terminal(command, environment, folder)
    else:
        done = subprocess.run(
            command, capture_output=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False
        )
        code, out, errors = done.returncode, done.stdout, done.stderr
    assert code == 0, errors[-2000:]
    return Seen(setting, out, errors)


def contest(place: Path) -> None:
    """Make a contest in which a team has handed in two packages."""
    rows = "\n".join(["filename,label", "0.mp4,0", "1.mp4,1"])
    (place / "Videos" / "labels.csv").write_text(rows + "\n")
    (place / "contest.toml").write_text(CONTEST)
    options = ["-c", str(place / "contest.toml"), "--store", f"sqlite:///{place}/contest.db"]
    assert run_command(["contest", "init", *options]) == 0
    assert run_command(["contest", "team", "add", TEAM, "--id", "fuechse", *options]) == 0
    for number in range(2):
        package = new_package(place / f"entry-{number}", style="stream")[0].parent
        command = ["contest", "submit", str(package), "--team", "fuechse", "--no-external-data", *options]
        assert run_command([*command, "--packages", str(place / "packages")]) == 0


def on_a_terminal(
    command: list[str], environment: Mapping[str, str], folder: Path
) -> tuple[int, bytes, bytes]:
    """Run a command with standard output and error on a terminal each, of 80 columns."""
    ends = [pty.openpty() for _ in range(2)]
    for _, theirs in ends:
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        command, stdin=ends[0][1], stdout=ends[0][1], stderr=ends[1][1], env=environment, cwd=folder
    ) as process:
        said: list[list[bytes]] = [[], []]
        readers = [
            threading.Thread(target=_read, args=(ours, parts))
            for (ours, _), parts in zip(ends, said, strict=True)
        ]
        for reader in readers:
            reader.start()
        code = process.wait()
    for _, theirs in ends:
        os.close(theirs)
    for reader in readers:
        reader.join()
    for ours, _ in ends:
        os.close(ours)
    return code, b"".join(said[0]), b"".join(said[1])


def _read(end: int, parts: list[bytes]) -> None:
    while True:
        try:
            part = os.read(end, 65536)
        except OSError:  # nobody holds the other end any more
            return
        if not part:
            return
        parts.append(part)


def test_every_command_ends_as_it_should_and_shows_no_fault_of_ours(seen: Seen) -> None:
    for command, code in COMMANDS.items():
        assert f"--- exit code {code}" in seen.of(command), command
    for text in (seen.out, seen.errors):
        assert b"Traceback" not in text
        assert b"UnicodeEncodeError" not in text


def test_colours_only_where_they_are_wanted(seen: Seen) -> None:
    assert (b"\x1b[" in seen.out) is seen.setting.colours
    assert (b"\x1b[" in seen.errors) is seen.setting.colours


def test_nothing_is_drawn_over_where_there_is_no_terminal(seen: Seen) -> None:
    redrawn = b"\r" in seen.errors.replace(b"\r\n", b"")
    assert redrawn is (seen.setting.terminal and not seen.setting.dumb)
    assert b"2 of 2 videos" in seen.errors or redrawn


def test_what_must_be_copied_is_whole(seen: Seen, folder: Path) -> None:
    shown = seen.of("leaderboard")
    for run_id in RUN_IDS:
        assert any(run_id in line for line in shown.splitlines()), shown
    assert "…" not in shown
    store = Store(f"sqlite:///{folder}/contest.db")
    entries = Ledger(store, "words", path="").state().entries
    store.close()
    assert len(entries) == 2
    shown = seen.of("contest show")
    for entry in entries:
        assert any(entry in line for line in shown.splitlines()), shown


def test_tables_fit_on_a_terminal(seen: Seen) -> None:
    """Only a character that is spelled in ASCII may push its line's end to the right."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.out.decode("utf-8", "surrogateescape"))
    drawn = [line for line in text.splitlines() if re.match(r"[|+│┃├┡└┏╭╰](?! `)", line)]
    if seen.setting.ascii:
        drawn = [line for line in drawn if not re.search(r"sigma|->|\.\.\.|\\[xuU]", line)]
    assert len(drawn) > 100
    widest = max(map(len, drawn))
    assert widest <= 80 if seen.setting.terminal else widest > 80


def test_every_word_is_there(seen: Seen) -> None:
    """Words may be on several lines; none is cut."""

    def letters(text: str) -> str:
        return re.sub(r"[\s|+│┃├┤─━-]", "", text)

    shown = letters(seen.of("perturb list"))
    assert [kind for kind in catalogue() if kind not in shown] == []
    assert "severity15" in shown
    assert "…" not in shown
    assert "P301" in seen.of("check --static")


def test_what_the_locale_cannot_show_is_spelled(seen: Seen) -> None:
    everything = seen.out + seen.errors
    if not seen.setting.ascii:
        assert "→".encode() in everything
        return
    named = "Päckchen".encode(), "nobody–there".encode()  # names of files are bytes, and stay the same bytes
    for name in named:
        everything = everything.replace(name, b"")
    assert everything.isascii()
    assert b"-> " in everything


def test_a_file_that_is_not_there_is_named_as_it_was_typed(seen: Seen) -> None:
    assert "nobody–there".encode() in seen.errors
