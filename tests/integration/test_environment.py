"""The image's packages as an environment of this machine: made whole or not at all, and found again.

With a wheel of ours in the place of the image's two gigabytes; Python's own venv and pip do the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from harness.core.errors import ImageError
from harness.image.environment import OPERATORS, ensure_environment, environment_folder
from harness.image.runtime_image import RUNTIME_FOLDER
from harness.image.wheels import Wheelhouse, find_wheelhouse, requirements_key
from harness.videos.synthetic import ClipSpec, write_clip

pytestmark = pytest.mark.slow

MakePackage = Callable[..., Path]
HARNESS = Path(sys.executable).with_name("harness")
CHALLENGE = """
schema = 1
name = "tiny"
[sets.public]
videos = "."
labels = "labels.csv"
recipe = "original"
seed = 1
"""


def wheelhouse(folder: Path) -> Wheelhouse:
    """A wheelhouse as `ensure_wheelhouse` leaves one: pip among the tools, and one package."""
    for name in ("tools", "packages"):
        (folder / name).mkdir(parents=True)
    # This environment's pip as a wheel: Debian's Python brings none unless it is asked for.
    pip = distribution("pip")
    with zipfile.ZipFile(folder / "tools" / f"pip-{pip.version}-py3-none-any.whl", "w") as archive:
        for file in pip.files or ():
            if file.parts[0].startswith("pip") and file.suffix != ".pyc":
                archive.write(str(file.locate()), str(file))
    info = "brought-1.0.dist-info"
    with zipfile.ZipFile(folder / "packages" / "brought-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("brought.py", "ANSWER = 0.25\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Wheelhouse(folder=folder, digest="0123456789abcdef0123", torch="2.13.0+cpu")


def test_one_that_cannot_be_made_is_said_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    wheels = wheelhouse(tmp_path / "wheels")
    (wheels.folder / "packages" / "brought-1.0-py3-none-any.whl").write_bytes(b"half of a wheel")
    with pytest.raises(ImageError, match="cannot be made") as caught:
        ensure_environment(wheels, cache=tmp_path, runtime=RUNTIME_FOLDER, say=lambda _: None)
    assert "Remedy" in str(caught.value)
    assert list((tmp_path / "environment").iterdir()) == []


def test_another_python_than_the_image_s_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.image.environment.PYTHON_VERSION", "3.99")
    with pytest.raises(ImageError, match="--container"):
        ensure_environment(
            wheelhouse(tmp_path / "wheels"), cache=tmp_path, runtime=RUNTIME_FOLDER, say=lambda _: None
        )


def test_predict_and_run_without_a_container_use_it(tmp_path: Path, make_package: MakePackage) -> None:
    """Found by this release's pins: a package may import what the image has and this machine has not."""
    cache, said = tmp_path / "blackbox-video-harness", list[str]()
    folder = cache / "wheelhouse" / f"cpu-{requirements_key(RUNTIME_FOLDER, 'cpu')}"
    wheels = wheelhouse(folder)
    (folder / "manifest.json").write_text("{}\n")
    wheels = replace(wheels, digest=hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest())
    python = ensure_environment(wheels, cache=cache, runtime=RUNTIME_FOLDER, say=said.append)
    code = "import brought, json, sys; print(json.dumps([sys.prefix, brought.__file__]))"
    done = subprocess.run([str(python), "-sPc", code], capture_output=True, text=True, check=True)
    prefix, module = json.loads(done.stdout)
    assert Path(prefix) == environment_folder(cache, wheels)
    for name in OPERATORS:  # the stand-in for torchvision's operators
        assert (Path(module).parent / name).read_bytes() == (RUNTIME_FOLDER / name).read_bytes()
    assert ensure_environment(wheels, cache=cache, runtime=RUNTIME_FOLDER, say=said.append) == python
    assert len(said) == 1  # the second time there was nothing to do
    (folder / "packages" / "torch-2.13.0+cpu-py3-none-any.whl").touch()  # its name is asked for, no more
    assert find_wheelhouse(RUNTIME_FOLDER, variant="cpu", cache=cache) == wheels
    package = make_package("import brought\nreturn brought.ANSWER")
    for name in ("0", "1"):
        write_clip(tmp_path / f"{name}.mp4", ClipSpec(frames=3, seed=int(name)))
    (tmp_path / "labels.csv").write_text("filename,label\n0.mp4,0\n1.mp4,1\n")
    (tmp_path / "challenge.toml").write_text(CHALLENGE)
    for command in (
        ["predict", str(package), str(tmp_path / "0.mp4")],
        ["run", str(package), "--sandbox", "process", "-c", str(tmp_path / "challenge.toml")],
    ):
        done = subprocess.run(
            [str(HARNESS), *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
    assert f"with the image's packages: {python}" in done.stderr
    assert "2 of 2 answered" in done.stdout
