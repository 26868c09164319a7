"""Several harnesses that start at the same moment after a crash: each clears up, none fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.gateway.staging import reap_stages

pytestmark = pytest.mark.slow  # starts processes

LEFT = """
import os, sys
from harness.gateway.staging import Stage
for _ in range(30):
    stage = Stage(sys.argv[1])
    for number in range(5):
        (stage.videos / str(number)).touch()
os._exit(0)
"""
REAP = """
import sys
from pathlib import Path
from harness.gateway.staging import reap_stages
print("ready", flush=True)
sys.stdin.readline()
print(len(reap_stages(Path(sys.argv[1]))))
"""


def test_harnesses_that_clear_up_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEFT, str(tmp_path)], check=True)
    assert len(list(tmp_path.iterdir())) == 30
    reapers = [
        subprocess.Popen(
            [sys.executable, "-c", REAP, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for reaper in reapers:
        assert reaper.stdout is not None
        assert reaper.stdout.readline() == "ready\n"
    for reaper in reapers:
        assert reaper.stdin is not None
        reaper.stdin.write("go\n")
        reaper.stdin.flush()
    told = [reaper.communicate(timeout=300) for reaper in reapers]
    assert [reaper.returncode for reaper in reapers] == [0, 0, 0], told
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_begins_like_ours_is_not_ours(tmp_path: Path) -> None:
    other = tmp_path / "unclaimed-luggage"
    other.mkdir()
    os.utime(other, (0, 0))
    assert reap_stages(tmp_path) == ()
    assert other.is_dir()
