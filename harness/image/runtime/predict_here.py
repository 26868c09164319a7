"""Ask a package about videos in this very Python, with a debugger if requested. No sandbox.

Standard library only, like the runner beside it, whose way of loading a package it uses.
Called as: predict_here.py PACKAGE PDB ANSWERS VIDEO...; ANSWERS is a file for the answers as JSON, or "-".
"""

import contextlib
import csv
import json
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
    answers = None if sys.argv[3] == "-" else Path(sys.argv[3]).resolve()
    videos = [Path(name).resolve() for name in sys.argv[4:]]
    found = {"startup_seconds": None, "answers": []}
    failures = ask(package, videos, found, debug=debug)
    if answers is not None:
        answers.write_text(json.dumps(found), encoding="utf-8")
    return failures


def ask(package: Path, videos: list[Path], found: dict[str, Any], *, debug: bool) -> int:
    """Ask in the way that the manifest says; note in `found` what came of it."""
    manifest = tomllib.loads((package / "submission.toml").read_text(encoding="utf-8-sig"))
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # as in the sandbox: the working directory is not the package
        if manifest.get("command"):
            return batch(manifest, package, videos, found)
        return stream(manifest, package, videos, found, debug=debug)


def stream(
    manifest: dict[str, Any], package: Path, videos: list[Path], found: dict[str, Any], *, debug: bool
) -> int:
    """Ask about one video after the other."""
    started = time.monotonic()
    with caught(debug=debug) as loading:
        runner.unpack_wheels(package)
        predictor = runner.load_predictor(manifest, package)
    if loading:
        found["answers"] = [row(video, None, f"not ready: {said_of(loading[0])}", None) for video in videos]
        return len(videos)
    found["startup_seconds"] = time.monotonic() - started
    print(f"ready after {found['startup_seconds']:.2f} s", flush=True)
    failures = 0
    for video in videos:
        started, answer = time.monotonic(), None
        with caught(debug=debug) as failed:
            answer = runner.plain_number(predictor.predict(video))
        seconds = time.monotonic() - started
        wrong = "" if is_probability(answer) else f"no probability: {answer!r}"
        if failed:
            wrong = said_of(failed[0])
        failures += bool(wrong)
        found["answers"].append(row(video, None if wrong else answer, wrong, seconds))
        print(f"{video.name}: {'failed' if failed else wrong or answer}  ({seconds:.2f} s)", flush=True)
    return failures


def batch(manifest: dict[str, Any], package: Path, videos: list[Path], found: dict[str, Any]) -> int:
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
        with table.open(newline="", encoding="utf-8", errors="replace") as lines:
            rows = {row["filename"]: row["label"] for row in csv.DictReader(lines) if row.get("label")}
    failures = 0
    for video in videos:
        answer = number(rows.get(video.name, ""))
        wrong = "" if is_probability(answer) else "no row" if video.name not in rows else "no probability"
        failures += bool(wrong)
        found["answers"].append(row(video, None if wrong else answer, wrong, None))
        print(f"{video.name}: {rows.get(video.name, 'no row')}")
    return failures


def row(video: Path, probability: float | None, failure: str, seconds: float | None) -> dict[str, Any]:
    """Say what came of one video."""
    return {"video": video.name, "probability": probability, "failure": failure, "wall_seconds": seconds}


def said_of(error: BaseException) -> str:
    """Say in one line what was raised."""
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]


def number(text: str) -> float | None:
    """Read a cell of a table; None if it is not a number."""
    try:
        return float(text)
    except ValueError:
        return None


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
