"""Every command of every page: run in a folder like a reader's, or, with the reason beside it, parsed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from harness.cli.app import app, run_command
from harness.package.new import new_package
from harness.package.pack import pack
from harness.videos.synthetic import ClipSpec, write_clip

ROOT = Path(__file__).parents[2]
PAGES = (
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "sample_videos/README.md")),
    *sorted(ROOT.glob("examples/**/README.md")),
)
# Commands of the harness that are parsed and not run here, each with why.
PARSED_ONLY = {
    "check": "without --static, starts containers; the contestant's tutorial is run in test_tutorial",
    "run": "starts containers; the contestant's tutorial is run with them in test_tutorial",
    "score-folder": "starts containers; the contestant's tutorial is run with them in test_tutorial",
    "predict my-entry clip.mp4 --container": "starts containers; in test_tutorial",
    "predict my-entry/ clip.mp4 --pdb": "opens a debugger; in test_start_commands",
    "predict my-entry clip.mp4 --pdb": "opens a debugger; in test_start_commands",
    "predict my_package": "the style timm needs torch",
    "shell": "is a terminal in a container; in test_terminal_docker",
    "environment": "installs 2 GB; tests/integration/test_environment.py installs a part",
    "doctor": "looks at this machine, whatever it is; in test_doctor_docker",
    "self-check": "attacks; in test_hostile_self_check",
    "calibrate": "measures in a container; in test_calibrate_docker",
    "audit": "takes minutes; in test_audit",
    "perturb preview": "draws 85 kinds; in test_perturb_command",
    "perturb render": "starts a process for each core; in test_perturb_command",
    "submit": "needs a finished run; in test_store",
    "board": "needs finished runs; in test_board",
    "plan": "needs finished runs; in test_board",
    "regrade": "needs finished runs; in test_regrade",
    "contest record": "needs a finished run; in test_rules",
    "contest run": "starts containers; in test_contest_driver",
    "contest plan": "needs packages that teams handed in; in test_contest_commands",
    "contest node": "becomes a node of Ray; in test_ray_engine",
    "backup": "needs a portal's database; in test_portal_operation",
    "remote": "needs a portal; in test_portal_client",
    "access": "needs a portal's contest; in test_walls",
    "serve": "serves until it is stopped; in test_portal_client",
}
# What stands for something of the reader's own, and what it is in the folder below.
OWN = {
    "PACKAGE": "my-entry",
    "VIDEO": "clip.mp4",
    "VIDEOS": "videos",
    "runs/…": "runs/20300102-030405-abcdef",
    "DIR": "clips",
    "zips/": "handed_in",
}
# Programs that are not the harness's: what is looked at is named in `_other`.
FOREIGN = {"git", "cd", ".", "pip", "pytest", "docker", "apt-get", "python3.11", "build/making/bin/pip"}
_COMMAND = re.compile(r"(\w+\$ )?(\S+/)?(harness|python3?|make|HARNESS\w+=\S+) ")
TINY = """
schema = 1
name = "tiny"
[sets.public]
videos = "videos"
labels = "videos/labels.csv"
recipe = "clean"
seed = 1
[contest]
timezone = "UTC"
opens = 2000-01-01T12:00:00
closes = 2999-01-01T12:00:00
"""


@dataclass(frozen=True, kw_only=True)
class Typed:
    """One command of a page."""

    page: str
    words: tuple[str, ...]

    @property
    def of_harness(self) -> tuple[str, ...]:
        """What comes after `harness`; nothing for another program."""
        return self.words[1:] if Path(self.words[0]).name == "harness" else ()

    @property
    def parsed_only(self) -> bool:
        line = f"{' '.join(self.of_harness)} "
        return "--static" not in self.words and any(line.startswith(f"{key} ") for key in PARSED_ONLY)


def typed_in(page: Path) -> Iterator[Typed]:
    """Return the commands of a page's blocks: of a shell's, and of unmarked ones that hold some."""
    text = page.read_text(encoding="utf-8")
    for mark, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = block.replace("\\\n", " ").splitlines()
        if mark in {"sh", "console"} or (not mark and any(_COMMAND.match(line) for line in lines)):
            for line in lines:
                yield from _typed(line, page)


def _typed(line: str, page: Path) -> Iterator[Typed]:
    for part in re.split(r"\s+&&\s+", re.sub(r"^\w+\$ ", "", line.strip())):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words:
            yield Typed(page=page.name, words=tuple(OWN.get(word, word) for word in words))


TYPED = {page: tuple(typed_in(page)) for page in PAGES}
ALL = [one for _, one in sorted({one.words: one for typed in TYPED.values() for one in typed}.items())]
OF_HARNESS = [one for one in ALL if one.of_harness and one.of_harness != ("--help",)]
OF_OTHERS = [one for one in ALL if Path(one.words[0]).name != "harness"]


def as_typed(one: Typed) -> str:
    return " ".join(one.words)


def test_the_pages_have_commands() -> None:
    assert len(ALL) > 80
    assert {"README.md", "tutorial-contestant.md", "tutorial-organiser.md", "cluster.md"} <= {
        one.page for typed in TYPED.values() for one in typed
    }


def test_every_row_of_the_table_of_what_is_only_parsed_is_needed() -> None:
    lines = [f"{' '.join(one.of_harness)} " for one in ALL]
    unused = {key for key in PARSED_ONLY if not any(line.startswith(f"{key} ") for line in lines)}
    assert unused <= {"access", "serve"}  # a page that names them must never start a server here


@pytest.mark.parametrize("one", OF_HARNESS, ids=as_typed)
def test_every_command_of_a_page_is_parsed(one: Typed, workspace: Path) -> None:
    """Options exist, what is required is given, and values are of their kinds."""
    del workspace
    command = typer.main.get_command(app)
    context = command.make_context("harness", list(one.of_harness))
    with suppress(typer.Exit):  # --help has been shown
        while hasattr(command, "resolve_command"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert name is not None
            context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("one", OF_OTHERS, ids=as_typed)
def test_what_another_program_is_given_exists(one: Typed) -> None:
    program, *arguments = one.words
    if program == "make":
        done = subprocess.run(
            ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    elif Path(program).name.startswith("python") and arguments[:1] == ["-m"]:
        assert find_spec(arguments[1].partition(".")[0]) or (ROOT / arguments[1].partition(".")[0]).is_dir()
    elif Path(program).name.startswith("python"):
        assert (ROOT / arguments[0]).is_file()
    else:
        assert program in FOREIGN or Path(program).name == "pip", f"{one.page}: what is {program}?"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(4):
        write_clip(folder / f"{number}.mp4", ClipSpec(frames=5, seed=number))
    return folder


@pytest.fixture
def workspace(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has what a reader has: clips, a package, a challenge, labels."""
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(clips, folder / "videos")
    names = sorted(path.name for path in clips.iterdir())
    labels = "\n".join(["filename,label", *(f"{name},{number % 2}" for number, name in enumerate(names))])
    (folder / "videos" / "labels.csv").write_text(labels + "\n")
    for table in ("labels.csv", "predictions.csv"):
        shutil.copy(folder / "videos" / "labels.csv", folder / table)
    shutil.copy(clips / names[0], folder / "clip.mp4")
    for number, name in enumerate(names):
        place = folder / "clips" / ("real", "fake")[number % 2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clips / name, place)
    (folder / "challenge.toml").write_text(TINY)
    (folder / "my").mkdir()
    (folder / "my" / "challenge.toml").write_text(TINY.replace('"videos', '"../videos'))
    new_package(folder / "spare", style="stream")
    with (folder / "spare" / "submission.toml").open("a") as manifest:
        manifest.write('[[external_data]]\nname = "n"\nlicence = "l"\nconsent = "c"\n')
    pack(folder / "spare", folder / "entry.zip")
    (folder / "handed_in" / "TEAM").mkdir(parents=True)
    shutil.copy(folder / "entry.zip", folder / "handed_in" / "TEAM")
    (folder / "runs").mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if TYPED[page]], ids=lambda page: page.name)
def test_the_commands_of_a_page_can_be_run_from_top_to_bottom(
    page: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in TYPED[page]:
        for name in ("my-entry", "my_package"):
            if name in " ".join(one.words) and "new" not in one.words and not (workspace / name).exists():
                new_package(workspace / name, style="stream")
        if one.of_harness and not one.parsed_only:
            code = run_command(list(one.of_harness))
            assert code == 0, (" ".join(one.words), capsys.readouterr())
