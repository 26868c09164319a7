"""Staging: what a package can see of a video beside its picture."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import SandboxError, VideoError
from harness.core.types import PreparedVideo
from harness.gateway.staging import FIXED_TIME, Stage, claim, reap_stages, shuffled
from harness.sandbox.docker.owner import Owner

MakeVideos = Callable[..., tuple[PreparedVideo, ...]]


def test_the_copy_has_a_neutral_name_a_fixed_time_and_no_rights(
    stage: Stage, make_videos: MakeVideos
) -> None:
    (video,) = make_videos(1)
    name = stage.put(video)
    staged = stage.videos / name
    assert re.fullmatch(r"[0-9a-f]{16}\.mp4", name)
    status = staged.stat()
    assert staged.read_bytes() == video.path.read_bytes()
    assert (status.st_mtime, status.st_atime, status.st_mode & 0o7777) == (FIXED_TIME, FIXED_TIME, 0o444)
    assert (status.st_ino, status.st_nlink) != (video.path.stat().st_ino, 2)
    assert not staged.is_symlink()


def test_a_video_staged_twice_has_two_names(stage: Stage, make_videos: MakeVideos) -> None:
    (video,) = make_videos(1)
    assert stage.put(video) != stage.put(video)


@pytest.mark.parametrize(
    ("suffix", "kept"), [(".MP4", ".mp4"), (".webm", ".webm"), ("", ""), (".secret-label", ""), (".Ünï", "")]
)
def test_only_a_plain_suffix_is_kept(stage: Stage, make_videos: MakeVideos, suffix: str, kept: str) -> None:
    (video,) = make_videos(1, suffix=suffix)
    assert Path(stage.put(video)).suffix == kept


def test_the_path_says_nothing(stage: Stage, make_videos: MakeVideos) -> None:
    assert re.fullmatch(r"stage-\w+/videos", "/".join(stage.videos.parts[-2:]))


def test_others_may_read_the_videos_and_nothing_around_them(stage: Stage) -> None:
    assert stage.videos.stat().st_mode & 0o777 == 0o755
    assert stage.videos.parent.stat().st_mode & 0o077 == 0


def test_taken_away_is_gone_and_taking_away_twice_is_fine(stage: Stage, make_videos: MakeVideos) -> None:
    name = stage.put(make_videos(1)[0])
    stage.take_away(name)
    stage.take_away(name)
    assert list(stage.videos.iterdir()) == []


def test_all_at_once_with_the_sample_submission_of_2020(stage: Stage, make_videos: MakeVideos) -> None:
    videos = make_videos(3)
    staged = stage.put_all(videos)
    assert set(staged.values()) == set(videos)
    assert {path.name for path in stage.videos.iterdir()} == set(staged)
    lines = stage.sample_submission.read_text().splitlines()
    assert lines == ["filename,label", *(f"{name},0.5" for name in sorted(staged))]
    assert stage.sample_submission.stat().st_mtime == stage.videos.stat().st_mtime == FIXED_TIME


def test_the_folder_is_gone_afterwards_even_after_an_error(make_videos: MakeVideos) -> None:
    (video,) = make_videos(1)
    places = []

    def interrupted() -> None:
        with Stage() as stage:
            places.append(stage.videos.parent)
            stage.put(video)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        interrupted()
    assert not places[0].exists()


def test_a_video_that_is_not_there_is_our_error_and_leaves_no_half_copy(
    stage: Stage, make_videos: MakeVideos
) -> None:
    (video,) = make_videos(1)
    video.path.unlink()
    with pytest.raises(VideoError, match="cannot be staged"):
        stage.put(video)
    assert list(stage.videos.iterdir()) == []


def test_the_order_depends_on_seed_and_ids_alone(make_videos: MakeVideos) -> None:
    videos = make_videos(20)
    order = [video.video_id for video in shuffled(videos, 1)]
    assert [video.video_id for video in shuffled(videos[::-1], 1)] == order
    assert [video.video_id for video in shuffled(videos, 2)] != order
    assert sorted(order) == [video.video_id for video in videos]
    assert order != sorted(order)


def test_the_reaper_takes_what_the_dead_left_and_nothing_else(
    tmp_path: Path, make_videos: MakeVideos
) -> None:
    alive, dead, strange = (Stage(tmp_path) for _ in range(3))
    foreign = tmp_path / "stage-foreign"
    foreign.mkdir()
    (foreign / "precious").touch()
    dead.put(make_videos(1)[0])
    gone = replace(Owner.current(), process_id=os.getpid(), started="1")
    (dead.videos.parent / "owner").write_text(str(gone))
    (strange.videos.parent / "owner").write_text(str(replace(gone, machine="elsewhere")))
    assert reap_stages(tmp_path) == (dead.videos.parent,)
    assert alive.videos.is_dir()
    assert strange.videos.is_dir()
    assert (foreign / "precious").exists()
    for stage in (alive, strange):
        shutil.rmtree(stage.videos.parent)


def test_a_claimed_folder_of_a_dead_harness_goes_although_what_is_in_it_is_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "stage-package"
    inside = folder / "package" / "weights"
    inside.mkdir(parents=True)
    (inside / "w").write_bytes(b"w")
    for path in (inside, inside.parent):
        path.chmod(0o555)
    claim(folder)
    assert reap_stages(tmp_path) == ()  # its owner, this process, lives
    (folder / "owner").write_text(str(replace(Owner.current(), process_id=2**22 + 1)))
    assert reap_stages(tmp_path) == (folder,)
    assert not folder.exists()


def test_a_harness_that_is_killed_while_it_claims_a_folder_leaves_one_that_is_known_for_its_own(
    tmp_path: Path,
) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from harness.gateway import staging
        staging.claim = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
        staging.Stage(Path(sys.argv[1]))
    """
    assert subprocess.run([sys.executable, "-c", code, tmp_path], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    claiming = tmp_path / f"unclaimed-{Owner.current()}~x"  # this process lives
    claiming.mkdir()
    assert reap_stages(tmp_path) == (left,)
    assert list(tmp_path.iterdir()) == [claiming]


@pytest.mark.parametrize(
    "removal",
    [
        "with staging.Stage(): pass",
        "with staging.neutral_folder() as folder: (folder / 'package').mkdir()",
        "with staging.own_folder() as folder: (folder / 'package.zip').touch()",
        "staging.reap_stages()",
    ],
)
def test_a_harness_that_is_killed_while_it_removes_a_folder_leaves_one_that_the_next_removes(
    tmp_path: Path, removal: str
) -> None:
    left = tmp_path / "stage-0123456789abcdef"  # for the reaper
    (left / "videos").mkdir(parents=True)
    (left / "owner").write_text(str(replace(Owner.current(), process_id=2**22 + 1)))
    code = f"""if True:
        import os, signal
        from harness.gateway import staging
        rmdir = os.rmdir
        def die_before_the_last(path, *, dir_fd=None):
            if dir_fd is None:  # all that was in it is gone, the note of its owner too
                os.kill(os.getpid(), signal.SIGKILL)
            rmdir(path, dir_fd=dir_fd)
        os.rmdir = die_before_the_last
        {removal}
    """
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    assert any(not any(folder.iterdir()) for folder in tmp_path.iterdir())
    reap_stages(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_nobody_claimed_goes_when_it_is_old(tmp_path: Path) -> None:
    old, fresh, full = (tmp_path / f"stage-{name}" for name in ("old", "fresh", "full"))
    for folder in (old, fresh, full):
        folder.mkdir()
    (full / "somebody's").touch()
    for folder in (old, full):
        os.utime(folder, (1, 1))
    assert reap_stages(tmp_path) == (old,)
    assert fresh.exists()
    assert full.exists()


def test_a_folder_that_cannot_be_claimed_is_not_left_behind(tmp_path: Path) -> None:
    # What a full disk does, on every machine: the kernel refuses to let a file grow.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(SandboxError, match="cannot be staged"):
            Stage(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
