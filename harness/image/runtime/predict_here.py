"""Ask a package about videos in this very Python, with a debugger if requested. No sandbox.

Standard library only, like the runner beside it, whose way of loading a package it uses.
Called as: predict_here.py PACKAGE PDB VIDEO...
"""

import contextlib
import csv
import os
import pdb
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import runner

sys.path.pop(0)


def main() -> int:
    """Answer for each video; return how many failed."""
    package, debug = Path(sys.argv[1]).resolve(), sys.argv[2] == "1"
    videos = [Path(name).resolve() for name in sys.argv[3:]]
    manifest = tomllib.loads((package / "submission.toml").read_text(encoding="utf-8-sig"))
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # as in the sandbox: the working directory is not the package
        if manifest.get("command"):
            return batch(manifest, package, videos)
        return stream(manifest, package, videos, debug=debug)


def stream(manifest: dict[str, Any], package: Path, videos: list[Path], *, debug: bool) -> int:
    """Ask about one video after the other."""
    started = time.monotonic()
    with caught(debug=debug) as loading:
        runner.unpack_wheels(package)
        predictor = runner.load_predictor(manifest, package)
    if loading:
        return len(videos)
    print(f"ready after {time.monotonic() - started:.2f} s", flush=True)
    failures = 0
    for video in videos:
        started, answer = time.monotonic(), None
        with caught(debug=debug) as failed:
            answer = runner.plain_number(predictor.predict(video))
        failures += bool(failed) or not is_probability(answer)
        said = (
            "failed" if failed else f"{answer}" if is_probability(answer) else f"no probability: {answer!r}"
        )
        print(f"{video.name}: {said}  ({time.monotonic() - started:.2f} s)", flush=True)
    return failures


def batch(manifest: dict[str, Any], package: Path, videos: list[Path]) -> int:
    """Run the command on a folder of these videos."""
    folder = Path.cwd() / "videos"
    folder.mkdir()
    for video in videos:
        (folder / video.name).symlink_to(video)
    runner.unpack_wheels(package)
    command = runner.prepare_command(manifest, package, folder)
    started = time.monotonic()
    where = Path.cwd() if manifest.get("layout") == "kaggle" else package
    code = subprocess.run(command, cwd=where, check=False).returncode  # the debugger's terminal stays its own
    print(f"exit code {code}  ({time.monotonic() - started:.2f} s)")
    table = Path.cwd() / runner.ANSWER_FILE
    rows = {}
    if table.is_file():
        with table.open(newline="") as lines:
            rows = {row["filename"]: row["label"] for row in csv.DictReader(lines) if row.get("label")}
    for video in videos:
        print(f"{video.name}: {rows.get(video.name, 'no row')}")
    return sum(video.name not in rows for video in videos)


def is_probability(value: Any) -> bool:
    """Tell whether the gateway would take an answer."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@contextlib.contextmanager
def caught(*, debug: bool) -> Any:
    """Print what is raised, and open the debugger there if requested; yields a list of failures."""
    failed: list[BaseException] = []
    try:
        yield failed
    except BaseException as error:
        failed.append(error)
        traceback.print_exc()
        if debug:
            pdb.post_mortem(error.__traceback__)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
