"""Videos as the package sees them: copies under random names in a neutral folder, there only for their turn.

A copy and not a link, because a bind mount shows its source's inode, times and path. What this cannot hide:
how large a video is, and when it appeared.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from harness.core.errors import SandboxError, VideoError
from harness.core.types import PreparedVideo
from harness.package.layout import SAMPLE_SUBMISSION, sample_submission_csv
from harness.package.opened import remove_package
from harness.sandbox.docker.owner import Owner

FIXED_TIME = 1_577_836_800  # 2020-01-01: every staged file is as old as every other
STAGE_PREFIX = "stage-"
_OWNER = "owner"
_UNCLAIMED_PREFIX, _END = "unclaimed-", "~"  # around the owner in a name
UNCLAIMED_SECONDS = 3600.0  # long enough for any start, also if the wall clock was set
_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class Stage:
    """A folder of staged videos; a context manager that removes it.

    Args:
        parent: Where to make it; the system's folder for temporary files if it is not given. The package
            can read this path in `/proc/self/mountinfo`: it must say nothing.

    Attributes:
        videos: The folder to mount.
        sample_submission: The file that the kaggle layout mounts; filled by `put_all`.

    Raises:
        SandboxError: the disk refuses.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._root = _claimed_folder(parent)
        self.videos = self._root / "videos"
        self.sample_submission = self._root / SAMPLE_SUBMISSION
        try:
            with _disk(self._root.parent):
                self.videos.mkdir()
                self.videos.chmod(0o755)
                self.sample_submission.touch()
                self.sample_submission.chmod(0o644)
        except SandboxError:
            shutil.rmtree(_leaving(self._root), ignore_errors=True)
            raise

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(_leaving(self._root), ignore_errors=True)

    def put(self, video: PreparedVideo) -> str:
        """Copy one video in, and return its neutral file name.

        Raises:
            VideoError: it cannot be read, or there is no room for it.
        """
        suffix = video.path.suffix.lower()
        name = secrets.token_hex(8) + (suffix if _PLAIN_SUFFIX.fullmatch(suffix) else "")
        target = self.videos / name
        try:
            shutil.copyfile(video.path, target)
            target.chmod(0o444)
            os.utime(target, (FIXED_TIME, FIXED_TIME))
        except OSError as error:
            target.unlink(missing_ok=True)
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise VideoError(
                f"cannot be staged: {error.strerror}",
                place=video.path,
                remedy=f"Make room on the disk of {self._root.parent}." if full else "Prepare the set again.",
            ) from error
        return name

    def take_away(self, name: str) -> None:
        """Remove one staged video."""
        (self.videos / name).unlink(missing_ok=True)

    def put_all(self, videos: Sequence[PreparedVideo]) -> Mapping[str, PreparedVideo]:
        """Copy all videos in, write the sample submission, and return which neutral name is which.

        Raises:
            VideoError: one cannot be read, or there is no room for them.
        """
        staged = {self.put(video): video for video in videos}
        with _disk(self._root.parent):
            self.sample_submission.write_text(sample_submission_csv(sorted(staged)), encoding="utf-8")
            os.utime(self.sample_submission, (FIXED_TIME, FIXED_TIME))
            os.utime(self.videos, (FIXED_TIME, FIXED_TIME))
        return staged


@contextmanager
def neutral_folder() -> Iterator[Path]:
    """Make a folder that a container's user can read, and remove it; `reap_stages` does if this is killed.

    Raises:
        SandboxError: the disk refuses.
    """
    folder = _claimed_folder(None)
    try:
        folder.chmod(0o755)  # the container's user is another one
        yield folder
    finally:
        remove_package(_leaving(folder))  # a package's folders are read-only, for their owner too


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it; `reap_stages` does if this is killed.

    Its name says whose it is: no container may see it.

    Raises:
        SandboxError: the disk refuses.
    """
    folder = _owned_folder(Path(tempfile.gettempdir()))
    try:
        yield folder
    finally:
        remove_package(folder)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxError(
            f"videos cannot be staged: {error.strerror}",
            place=folder,
            remedy=f"Make room on the disk of {folder}, or name another with TMPDIR. The run resumes.",
        ) from error


def _claimed_folder(parent: Path | None) -> Path:
    """Make a folder that has an owner at every moment, so that none is left, whenever this process is killed.

    Until it says inside whose it is, its name does; the name that a package can read says nothing.
    """
    place = Path(parent or tempfile.gettempdir())
    made = _owned_folder(place)
    with _disk(place):
        try:
            claim(made)
            return made.rename(place / f"{STAGE_PREFIX}{secrets.token_hex(8)}")
        except (OSError, SandboxError):
            shutil.rmtree(made, ignore_errors=True)
            raise


def _owned_folder(place: Path) -> Path:
    with _disk(place):
        return Path(tempfile.mkdtemp(prefix=f"{_UNCLAIMED_PREFIX}{Owner.current()}{_END}", dir=place))


def _owned_name(place: Path) -> Path:
    return place / f"{_UNCLAIMED_PREFIX}{Owner.current()}{_END}{secrets.token_hex(4)}"


def _leaving(folder: Path) -> Path:
    """Have a folder's name say again whose it is: the note inside it may be the first that is removed."""
    try:
        return folder.rename(_owned_name(folder.parent))
    except OSError:
        return folder  # it is gone, or a disk refuses: then it is removed as it is


def claim(folder: Path) -> None:
    """Say whose folder this is: if this process is killed, `reap_stages` removes it.

    Raises:
        SandboxError: the disk refuses.
    """
    with _disk(folder.parent):
        (folder / _OWNER).write_text(str(Owner.current()), encoding="utf-8")


def shuffled(videos: Iterable[PreparedVideo], order_seed: int) -> tuple[PreparedVideo, ...]:
    """Return the videos in the order of a run: it depends on nothing but the seed and their ids."""
    return tuple(sorted(videos, key=lambda video: _rank(video.video_id, order_seed)))


def _rank(video_id: str, order_seed: int) -> bytes:
    return hashlib.sha256(f"{order_seed}/{video_id}".encode("utf-8", errors="surrogateescape")).digest()


def reap_stages(parent: Path | None = None) -> tuple[Path, ...]:
    """Remove the folders that dead harnesses left, and return their paths.

    Raises:
        SandboxError: one cannot be removed.
    """
    place, removed = Path(parent or tempfile.gettempdir()), []
    for root in sorted((*place.glob(f"{_UNCLAIMED_PREFIX}*"), *place.glob(f"{STAGE_PREFIX}*"))):
        try:
            owner = _owner_of(root)
            if owner is None and (root.name.startswith(_UNCLAIMED_PREFIX) or not _was_never_claimed(root)):
                continue  # not ours
        except (OSError, UnicodeDecodeError):
            continue  # not for us to read
        if owner is None or owner.is_dead():
            mine = _owned_name(place)
            try:
                root.rename(mine)  # of two harnesses that clear up at the same time, one does
                remove_package(mine)  # a package's folders are read-only, for their owner too
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SandboxError(
                    f"cannot remove what a dead harness left: {error.strerror}",
                    place=root,
                    remedy="Remove it by hand.",
                ) from error
            removed.append(root)
    return tuple(removed)


def _owner_of(root: Path) -> Owner | None:
    if root.name.startswith(_UNCLAIMED_PREFIX):
        return Owner.parse(root.name.removeprefix(_UNCLAIMED_PREFIX).rpartition(_END)[0])
    try:
        return Owner.parse((root / _OWNER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _was_never_claimed(root: Path) -> bool:
    """Tell whether an older release was killed between making and claiming a folder: empty, not just made."""
    try:
        return not any(root.iterdir()) and time.time() - root.stat().st_mtime > UNCLAIMED_SECONDS
    except OSError:
        return False
