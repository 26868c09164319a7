"""Two harnesses on an engine that has no image yet: one builds, the other waits, both have the same image.

The engine is a second one, started for the test. What is built is tiny: a base with a shell and nothing else,
and no packages. The steps, the locks and the processes are the real ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.image.runtime_image import RUNTIME_FOLDER
from harness.image.wheels import requirements_key

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="to start an engine of its own takes root"),
]
HARNESS = """
import sys
from pathlib import Path
from harness.image.container_engine import connect
from harness.image.runtime_image import ensure_image
def say(text):
    print(text, flush=True)
found = ensure_image(connect(), variant="cpu", say=say, runtime=Path(sys.argv[1]))
print(found.reference, flush=True)
"""
# If no registry answers, a base is made by the program of this name. This one has it ready, after a moment.
MMDEBSTRAP = """#!/bin/sh
sleep 1
for word in "$@"; do case "$word" in *.tar) cp {base} "$word" ;; esac; done
"""


def shell_and_its_libraries(path: Path) -> Path:
    """Make the archive of a file system in which `/bin/sh` runs."""
    shell = str(Path("/bin/sh").resolve())
    listed = subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout
    with tarfile.open(path, "w", dereference=True) as archive:
        archive.add(shell, "bin/sh")
        for library in re.findall(r"(/\S+) \(0x", listed):
            archive.add(library, library.lstrip("/"))
    return path


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """What a runtime image is made of, without packages, and the wheels for it already in a cache."""
    folder = Path(shutil.copytree(RUNTIME_FOLDER, tmp_path / "runtime"))
    (folder / "packages.sh").write_text("exit 0\n")
    (folder / "Dockerfile").write_text("ARG PACKAGES_IMAGE\nFROM ${PACKAGES_IMAGE}\nCOPY runner.py /\n")
    wheels = tmp_path / "cache" / "blackbox-video-harness" / "wheelhouse"
    wheel = wheels / f"cpu-{requirements_key(folder, 'cpu')}" / "packages" / "torch-0+cpu-none.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"")
    manifest = {f"packages/{wheel.name}": hashlib.sha256(b"").hexdigest()}
    (wheel.parent.parent / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_two_harnesses_that_build_everything_at_once_end_with_one_image(
    fresh_engine: Any, runtime: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    base = shell_and_its_libraries(tmp_path / "base.tar")
    (programs / "mmdebstrap").write_text(MMDEBSTRAP.format(base=base))
    (programs / "mmdebstrap").chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "BASE_IMAGE"} | {
        "DOCKER_HOST": fresh_engine.address,
        "HARNESS_CLAIMS": str(tmp_path / "claims"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-c", HARNESS, str(runtime)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=300)[0].splitlines() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][-1] == said[1][-1]
    assert said[0][-1].startswith("sha256:")
    assert sum(any("Adding the runner" in line for line in lines) for lines in said) == 1, "one has built"
    with fresh_engine.client() as client:
        assert [image.tags for image in client.images.list() if not image.tags] == [], (
            "none has lost its name"
        )
        assert client.containers.list(all=True) == []
