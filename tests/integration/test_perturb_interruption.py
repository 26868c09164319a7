"""Killed without warning and called again: the same set as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.videos.perturb.recipes import load_recipe
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.synthetic import ClipSpec, write_clip

CLIPS = 8
PROGRAM = """
import sys
from pathlib import Path
from harness.videos.prepare import SourceVideo, prepare_set
from harness.videos.perturb.recipes import load_recipe
if __name__ == "__main__":
    folder, destination = map(Path, sys.argv[1:])
    sources = [SourceVideo(source_id=path.name, path=path) for path in sorted(folder.iterdir())]
    call = dict(sources=sources, recipe=load_recipe("private"), set_seed=4, destination=destination)
    prepare_set(**call, workers=2)
"""


def hashes(destination: Path) -> dict[str, str]:
    videos = destination / "videos"
    if not videos.is_dir():
        return {}
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in videos.iterdir()
        if not path.name.startswith(".")
    }


def test_a_set_killed_at_any_time_ends_the_same(tmp_path: Path) -> None:
    folder, program = tmp_path / "sources", tmp_path / "program.py"
    folder.mkdir()
    program.write_text(PROGRAM)
    for index in range(CLIPS):
        write_clip(folder / f"{index}.mp4", ClipSpec(width=160, height=120, frames=20, seed=index))
    sources = [SourceVideo(source_id=path.name, path=path) for path in sorted(folder.iterdir())]
    recipe = load_recipe("private")
    whole = tmp_path / "whole"
    prepare_set(sources=sources, recipe=recipe, set_seed=4, destination=whole, workers=0)
    expected = hashes(whole)
    assert len(expected) == CLIPS

    broken = tmp_path / "broken"
    for wanted in (1, 4):
        command = [sys.executable, str(program), str(folder), str(broken)]
        process = subprocess.Popen(command, start_new_session=True)
        deadline = time.monotonic() + 300
        while len(hashes(broken)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = hashes(broken)
        assert found.items() <= expected.items(), "a partial file is in place"
    resumed = prepare_set(sources=sources, recipe=recipe, set_seed=4, destination=broken, workers=0)
    assert resumed.reused >= 1
    assert hashes(broken) == expected
    assert not list((broken / "videos").glob(".*"))
