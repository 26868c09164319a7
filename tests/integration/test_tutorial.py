"""The contestant's tutorial and an installation outside the repository, as a stranger would try them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tiny_challenge import write_challenge

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "examples" / "ci" / "check-package.yml"
PAGE = ROOT / "docs" / "tutorial-contestant.md"
# Not run here: what installs, what is a terminal or a debugger, and what never ends by itself.
LEFT_OUT = re.compile(r"^(git|make|\. )|--pdb|--watch|^harness shell")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with clips and a small challenge, which is found there before the sample challenge is."""
    write_challenge(tmp_path, rules="", one_folder=True)
    clips = sorted((tmp_path / "videos").glob("*.mp4"))
    for number, clip in enumerate(clips):
        place = tmp_path / "clips" / ("real", "fake")[number % 2] / clip.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(clip.read_bytes())
    (tmp_path / "clip.mp4").write_bytes(clips[0].read_bytes())
    return tmp_path


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "HARNESS_CACHE": str(folder / "cache"), **environment},
    )


def runtime_distributions() -> set[str]:
    """Return what the harness needs to run, by the metadata of what is installed: no extra of it."""
    found: set[str] = set()
    waiting = ["blackbox-video-harness"]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            for line in distribution(name).requires or ():
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    waiting.append(needed.name)
                    waiting += [
                        Requirement(one).name
                        for one in distribution(needed.name).requires or ()
                        for extra in needed.extras
                        if (marker := Requirement(one).marker) and marker.evaluate({"extra": extra})
                    ]
    return found - {"blackbox-video-harness"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what the harness needs and nothing of development, and the harness.

    The libraries are links to this environment's own files: `pip install` would fetch the same for minutes.
    """
    tmp_path = tmp_path_factory.mktemp("elsewhere")
    source = tmp_path / "source"
    copied = "cp -r harness sample_videos pyproject.toml README.md LICENSE"
    assert run(f"mkdir {source} && {copied} {source}", ROOT).returncode == 0
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env" / "lib").glob("python3*")) / "site-packages"
    for name in runtime_distributions():
        for file in distribution(name).files or ():
            top = Path(file.parts[0])
            place = Path(str(distribution(name).locate_file(top)))
            if not (site / top).exists() and ".." not in top.parts and place.exists():
                (site / top).symlink_to(place)
    pip = f"{sys.executable} -m pip --disable-pip-version-check"
    options = "-q --no-deps --no-index"
    for line in (
        f"{pip} wheel {options} --no-build-isolation -w {tmp_path} {source}",
        f"{pip} --python {tmp_path}/env/bin/python install {options} --no-compile {tmp_path}/*.whl",
    ):
        done = run(line, tmp_path)
        assert done.returncode == 0, done.stderr
    return tmp_path / "env" / "bin" / "harness"


def test_the_contestant_s_tutorial_from_top_to_bottom_outside_the_repository(
    elsewhere: Path, desk: Path, runtime_image: str
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    typed = [line for line in lines if line and not LEFT_OUT.search(line)]
    assert len(typed) >= 7
    for line in typed:
        done = run(line, desk, PATH=f"{elsewhere.parent}:{os.environ['PATH']}")
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert (desk / "my-entry.zip").is_file()
    (folder,) = (path for path in (desk / "runs").iterdir() if "tiny" in (path / "result.json").read_text())
    assert (folder / "contestant.html").is_file()


def test_the_example_workflow_step_by_step(elsewhere: Path, desk: Path, runtime_image: str) -> None:
    """As GitHub's runner does it: each `run` in a shell of its own, at the root of the package."""
    path = f"{elsewhere.parent}:{os.environ['PATH']}"
    assert run("harness new entry", desk, PATH=path).returncode == 0
    (job,) = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
    install, *steps = (step["run"] for step in job["steps"] if "run" in step)
    assert install == 'pip install "$HARNESS_SOURCE"'  # what `elsewhere` is
    for number, step in enumerate(steps):
        (desk / f"{number}.sh").write_text(step)
        done = run(f"bash -e {desk}/{number}.sh", desk / "entry", PATH=path)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    assert json.loads((desk / "entry" / "check.json").read_text())["ok"] is True
    kept = job["steps"][-1]["with"]["path"].split()
    assert [len(list((desk / "entry").glob(pattern))) for pattern in kept] == [1] * len(kept)


def test_the_sample_challenge_comes_with_an_installation(elsewhere: Path, tmp_path: Path) -> None:
    """In an empty folder, with nothing above it, the challenge is the one that was installed."""
    empty = tmp_path / "empty"
    empty.mkdir()
    for line in ("new x", "check --static x"):
        done = run(f"{elsewhere} {line}", empty)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    samples = elsewhere.parents[1] / "share" / "blackbox-video-harness" / "sample_videos"
    assert len(list(samples.glob("*/*.mp4"))) == 32
    shipped = run(f"{elsewhere} leaderboard {samples}/challenge.toml", empty)
    assert "nobody has submitted to" in shipped.stdout, shipped.stderr
