"""The image's packages as an environment of this machine: made whole or not at all, and found again.

With a wheel of ours in the place of the image's two gigabytes; Python's own venv and pip do the rest.
"""

from __future__ import annotations

import ensurepip
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from harness.core.errors import ImageError
from harness.image.environment import OPERATORS, ensure_environment, environment_folder
from harness.image.runtime_image import RUNTIME_FOLDER
from harness.image.wheels import Wheelhouse

pytestmark = pytest.mark.slow


def wheelhouse(folder: Path) -> Wheelhouse:
    """A wheelhouse as `ensure_wheelhouse` leaves one: pip among the tools, and one package."""
    for name in ("tools", "packages"):
        (folder / name).mkdir(parents=True)
    pip = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    shutil.copy(pip, folder / "tools")
    info = "brought-1.0.dist-info"
    with zipfile.ZipFile(folder / "packages" / "brought-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("brought.py", "ANSWER = 0.25\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Wheelhouse(folder=folder, digest="0123456789abcdef0123", torch="2.13.0+cpu")


def test_it_has_the_packages_and_the_stand_in_for_torchvision_s_operators(tmp_path: Path) -> None:
    wheels, said = wheelhouse(tmp_path / "wheels"), list[str]()
    python = ensure_environment(wheels, cache=tmp_path, runtime=RUNTIME_FOLDER, say=said.append)
    code = (
        "import brought, json, site, sys; "
        "print(json.dumps([brought.ANSWER, sys.prefix, site.getsitepackages()]))"
    )
    done = subprocess.run([str(python), "-sPc", code], capture_output=True, text=True, check=True)
    answer, prefix, (packages,) = json.loads(done.stdout)
    assert answer == 0.25
    assert Path(prefix) == environment_folder(tmp_path, wheels)
    for name in OPERATORS:
        assert (Path(packages) / name).read_bytes() == (RUNTIME_FOLDER / name).read_bytes()
    assert ensure_environment(wheels, cache=tmp_path, runtime=RUNTIME_FOLDER, say=said.append) == python
    assert len(said) == 1  # the second time there was nothing to do


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
