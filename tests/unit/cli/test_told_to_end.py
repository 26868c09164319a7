"""A command that is told to end clears up, as after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """\
import sys, time
from pathlib import Path
from harness.cli.told_to_end import clears_up_when_told_to_end

place = Path(sys.argv[1])
with clears_up_when_told_to_end():
    try:
        place.touch()
        print("begun", flush=True)
        time.sleep(600)
    finally:
        place.unlink()
"""


def test_what_was_begun_is_cleared_up_and_said(tmp_path: Path) -> None:
    place = tmp_path / "begun"
    command = [sys.executable, "-c", SCRIPT, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        assert told.stdout.readline() == "begun\n"
        told.send_signal(signal.SIGTERM)
        _, said = told.communicate(timeout=60)
    assert told.returncode == 128 + signal.SIGTERM
    assert "what was done is kept" in said
    assert not place.exists()
