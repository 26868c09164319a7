"""The names of the runtime image: the same content is the same name, any change another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness.core.errors import ImageError
from harness.image.runtime_image import RUNTIME_FOLDER, packages_tag, runtime_tag

ROOT = Path(__file__).parents[3]
BASE = "sha256:" + "0" * 64
MOUNTED = "predict_here.py"  # by `harness predict`, into a container; it is not in the image
HELD_BACK = {"python-dateutil"}  # on the host by botocore, which takes none from 3 on; no picture passes it


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUNTIME_FOLDER, tmp_path / "runtime"))


def test_the_same_content_elsewhere_has_the_same_name(runtime: Path) -> None:
    assert runtime_tag(BASE, "cpu", runtime) == runtime_tag(BASE, "cpu", RUNTIME_FOLDER)


@pytest.mark.parametrize(
    "name", ["runner.py", "torchvision_operators.py", "torchvision_operators.pth", "Dockerfile"]
)
def test_a_change_in_the_cheap_part_leaves_the_packages_image_alone(runtime: Path, name: str) -> None:
    with (runtime / name).open("a") as stream:
        stream.write("\n")
    assert runtime_tag(BASE, "cpu", runtime) != runtime_tag(BASE, "cpu", RUNTIME_FOLDER)
    assert packages_tag(BASE, "cpu", runtime) == packages_tag(BASE, "cpu", RUNTIME_FOLDER)


@pytest.mark.parametrize(
    "name", ["packages.sh", "requirements.txt", "requirements-nodeps.txt", "requirements-tools.txt"]
)
def test_a_change_in_the_packages_changes_both_images(runtime: Path, name: str) -> None:
    with (runtime / name).open("a") as stream:
        stream.write("\n")
    assert packages_tag(BASE, "cpu", runtime) != packages_tag(BASE, "cpu", RUNTIME_FOLDER)
    assert runtime_tag(BASE, "cpu", runtime) != runtime_tag(BASE, "cpu", RUNTIME_FOLDER)


def test_another_base_or_variant_is_another_image() -> None:
    tags = {
        tag(base, variant, RUNTIME_FOLDER)
        for tag in (packages_tag, runtime_tag)
        for base in (BASE, BASE.replace("0", "1"))
        for variant in ("cpu", "cuda")
    }
    assert len(tags) == 8


def test_every_file_of_the_runtime_folder_is_in_one_of_the_names(runtime: Path) -> None:
    before = runtime_tag(BASE, "cpu", runtime)
    assert MOUNTED not in (runtime / "Dockerfile").read_text(encoding="utf-8")
    for path in sorted(path for path in runtime.iterdir() if path.is_file() and path.name != MOUNTED):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert runtime_tag(BASE, "cpu", runtime) != before, f"{path.name} may change without a new image"
        path.write_bytes(content)


def test_a_missing_file_is_named(runtime: Path) -> None:
    (runtime / "runner.py").unlink()
    with pytest.raises(ImageError, match=r"runner\.py"):
        runtime_tag(BASE, "cpu", runtime)


def pins(path: Path) -> dict[str, str]:
    """Read `name==version` lines; anything else is a failure."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        requirement = line.split("#")[0].strip()
        if requirement:
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", requirement)
            assert match, f"{path.name}: {line!r} is not a pin"
            name = match[1].lower().replace("_", "-")
            assert name not in found, f"{path.name}: {name} twice"
            found[name] = match[2]
    return found


def test_what_runs_on_both_sides_is_the_same_release() -> None:
    host = pins(ROOT / "constraints.txt")
    inside = pins(RUNTIME_FOLDER / "requirements.txt")
    shared = host.keys() & inside.keys()
    assert {"numpy", "av", "opencv-python-headless", "torch", "timm"} <= shared
    same = shared - HELD_BACK
    assert all(host[name] != inside[name] for name in HELD_BACK), "no longer held back: take it off the list"
    assert {name: host[name] for name in same} == {name: inside[name] for name in same}
