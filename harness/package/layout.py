"""Where a package finds itself and its videos in the container: plain, or as in the 2020 contest.

Pure functions. The kaggle layout is what a script written for that site's notebooks expects: working folder
`/kaggle/working`, writable and temporary; videos in `/kaggle/input/<slug>/test_videos`; beside them
`sample_submission.csv`; folders of the package as further data sets under `/kaggle/input`; and the answer in
`submission.csv` of the working folder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import PackageError
from harness.core.types import Mount
from harness.package.manifest import MANIFEST_NAME, Layout, Manifest
from harness.package.opened import Package

PACKAGE_TARGET = "/package"
VIDEOS_TARGET = "/videos"
KAGGLE_INPUT = "/kaggle/input"
KAGGLE_WORKING = "/kaggle/working"
SAMPLE_SUBMISSION = "sample_submission.csv"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The fields of a `SandboxSpec` that a layout decides."""

    package: Mount
    videos: Mount
    extra_mounts: tuple[Mount, ...] = ()
    writable: tuple[str, ...] = ()
    working_directory: str = "/tmp"  # noqa: S108  (in the container: a fresh tmpfs)


def layout_mounts(
    package: Package, videos_folder: Path, slug: str, *, sample_submission: Path | None = None
) -> Placement:
    """Say where everything is mounted.

    Args:
        package: The opened package.
        videos_folder: The staged videos on the host: a neutral folder.
        slug: The contest's folder in the kaggle layout, unless the manifest names another.
        sample_submission: The staged file of `sample_submission_csv`; needed by the kaggle layout, and kept
            outside `videos_folder`.

    Raises:
        PackageError: a data set has the contest's own slug, or its folder is not in the package.
        ValueError: the kaggle layout without `sample_submission`.
    """
    root = Mount(source=package.root, target=PACKAGE_TARGET)
    if package.manifest.layout is Layout.PLAIN:
        return Placement(package=root, videos=Mount(source=videos_folder, target=VIDEOS_TARGET))
    if sample_submission is None:
        raise ValueError("the kaggle layout needs a staged sample_submission.csv")
    contest = contest_slug(package.manifest, slug)
    datasets = kaggle_datasets(package.manifest, package.folders, slug)
    return Placement(
        package=root,
        videos=Mount(source=videos_folder, target=f"{KAGGLE_INPUT}/{contest}/test_videos"),
        extra_mounts=(
            Mount(source=sample_submission, target=f"{KAGGLE_INPUT}/{contest}/{SAMPLE_SUBMISSION}"),
            *(
                Mount(source=package.root / folder, target=f"{KAGGLE_INPUT}/{name}")
                for name, folder in datasets.items()
            ),
        ),
        writable=(KAGGLE_WORKING,),
        working_directory=KAGGLE_WORKING,
    )


def contest_slug(manifest: Manifest, slug: str) -> str:
    """Return the contest's folder: the manifest's if it names one, else the challenge's."""
    return manifest.kaggle.slug or slug


def kaggle_datasets(manifest: Manifest, folders: Iterable[str], slug: str) -> dict[str, str]:
    """Return the further data sets: name in `/kaggle/input` → folder of the package, sorted by name.

    Args:
        manifest: Says which; by default every top-level folder.
        folders: Every folder of the package, relative to its root.
        slug: The challenge's contest folder.

    Raises:
        PackageError: a data set has the contest's own slug, or its folder is not in the package.
    """
    known = frozenset(folders)
    chosen = manifest.kaggle.datasets
    if chosen is None:
        chosen = {folder: folder for folder in known if "/" not in folder}
    contest = contest_slug(manifest, slug)
    if contest in chosen:
        raise PackageError(
            f"the data set {contest!r} would cover the contest's own folder",
            place=MANIFEST_NAME,
            remedy="Rename that folder, or name the data sets in [kaggle.datasets].",
        )
    absent = sorted(folder for folder in chosen.values() if folder not in known)
    if absent:
        raise PackageError(
            f"[kaggle.datasets] names folders that are not in the package: {', '.join(absent)}",
            place=MANIFEST_NAME,
            remedy="Name folders relative to the package's root.",
        )
    return dict(sorted(chosen.items()))


def sample_submission_csv(names: Iterable[str]) -> str:
    """Return the `sample_submission.csv` of the 2020 contest: every video with the label 0.5, in order."""
    return "filename,label\n" + "".join(f"{name},0.5\n" for name in names)
