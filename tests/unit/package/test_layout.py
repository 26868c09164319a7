"""Where packages and videos are mounted: golden, for the names are a contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import PackageError
from harness.core.types import Mount
from harness.package.layout import Placement, kaggle_datasets, layout_mounts, sample_submission_csv
from harness.package.manifest import Manifest, parse_manifest
from harness.package.opened import Package

SLUG = "deepfake-detection-challenge"
KAGGLE = 'name = "k"\nlayout = "kaggle"\ncommand = ["python", "kernel.py"]\n'


def read_back(raw: bytes) -> Manifest:
    manifest, findings = parse_manifest(raw)
    assert manifest is not None, findings
    return manifest


def package(manifest: str, folders: tuple[str, ...] = ("helper-code", "weights", "weights/large")) -> Package:
    return Package(
        root=Path("/opened"),
        manifest=read_back(manifest.encode()),
        sha256="0" * 64,
        size_bytes=1,
        file_count=1,
        folders=folders,
    )


def test_the_plain_layout() -> None:
    placed = layout_mounts(package('name = "p"\nentry = "predictor:Predictor"'), Path("/staged"), SLUG)
    assert placed == Placement(
        package=Mount(source=Path("/opened"), target="/package"),
        videos=Mount(source=Path("/staged"), target="/videos"),
        extra_mounts=(),
        writable=(),
        working_directory="/tmp",
    )


def test_the_kaggle_layout() -> None:
    placed = layout_mounts(package(KAGGLE), Path("/staged"), SLUG, sample_submission=Path("/sample.csv"))
    assert placed == Placement(
        package=Mount(source=Path("/opened"), target="/package"),
        videos=Mount(source=Path("/staged"), target=f"/kaggle/input/{SLUG}/test_videos"),
        extra_mounts=(
            Mount(source=Path("/sample.csv"), target=f"/kaggle/input/{SLUG}/sample_submission.csv"),
            Mount(source=Path("/opened/helper-code"), target="/kaggle/input/helper-code"),
            Mount(source=Path("/opened/weights"), target="/kaggle/input/weights"),
        ),
        writable=("/kaggle/working",),
        working_directory="/kaggle/working",
    )


def test_the_manifest_may_name_slug_and_data_sets() -> None:
    manifest = KAGGLE + '[kaggle]\nslug = "other"\ndatasets = { big = "weights/large" }\n'
    placed = layout_mounts(package(manifest), Path("/staged"), SLUG, sample_submission=Path("/sample.csv"))
    assert placed.videos.target == "/kaggle/input/other/test_videos"
    assert placed.extra_mounts[1:] == (
        Mount(source=Path("/opened/weights/large"), target="/kaggle/input/big"),
    )


def test_no_data_sets_may_be_asked_for() -> None:
    manifest = read_back((KAGGLE + "[kaggle]\ndatasets = {}\n").encode())
    assert kaggle_datasets(manifest, ("weights",), SLUG) == {}


def test_a_data_set_cannot_lie_over_the_contest() -> None:
    with pytest.raises(PackageError, match="contest's own folder"):
        kaggle_datasets(read_back(KAGGLE.encode()), (SLUG,), SLUG)


def test_a_data_set_must_be_in_the_package() -> None:
    manifest = read_back((KAGGLE + '[kaggle.datasets]\na = "nowhere"\n').encode())
    with pytest.raises(PackageError, match="nowhere"):
        kaggle_datasets(manifest, ("weights",), SLUG)


def test_the_kaggle_layout_needs_its_sample_submission() -> None:
    with pytest.raises(ValueError, match="sample_submission"):
        layout_mounts(package(KAGGLE), Path("/staged"), SLUG)


def test_the_sample_submission_is_that_of_the_contest() -> None:
    assert sample_submission_csv(["b.mp4", "a.mp4"]) == "filename,label\nb.mp4,0.5\na.mp4,0.5\n"
