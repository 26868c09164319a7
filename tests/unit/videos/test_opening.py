from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.core.errors import VideoError
from harness.videos.opening import open_video
from harness.videos.probe import probe
from harness.videos.synthetic import ClipSpec, write_clip

NAMES = [
    "concat:a.mp4|b.mp4",
    "file:a.mp4",
    "data:a.mp4",
    "pipe:0",
    "-i.mp4",
    "%03d.mp4",
    "a\nb.mp4",
    "ü 名?#.mp4",
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", ClipSpec(frames=3))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name_whatever_it_looks_like(
    clip: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(clip.read_bytes())
    assert probe(Path(name)).frame_count == 3


def test_a_link_to_a_video_is_followed(clip: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    assert probe(link).frame_count == 3


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to("pipe.mp4")
    for name in ("pipe.mp4", "link.mp4"):
        with pytest.raises(VideoError, match=f"{name}: is a named pipe"):
            open_video(tmp_path / name)


def test_folders_sockets_and_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "folder.mp4").mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.mp4")
        for name, what in (("zero", "a device"), ("folder", "a folder"), ("socket", "a socket")):
            with pytest.raises(VideoError, match=f"{name}.mp4: is {what}, not a file"):
                open_video(Path(f"{name}.mp4"))


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "ffconcat", "ts", "jpg"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("ffconcat version 1.0\nfile clip.mp4\n", "a list of files to join"),
        ("#EXTM3U\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n", "an HLS playlist"),
        ("v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "an SDP description"),
    ],
)
def test_a_playlist_is_refused_beside_the_video_that_it_names(
    clip: Path, content: str, what: str, suffix: str
) -> None:
    path = clip.with_name(f"list.{suffix}")
    path.write_text(content)
    with pytest.raises(VideoError, match=f"is {what}.*not followed"):
        probe(path)


def test_numbered_pictures_are_no_sequence(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"a{number:03d}.png"), np.zeros((64, 64, 3), np.uint8))
    pattern = tmp_path / "a%03d.png"
    pattern.write_bytes((tmp_path / "a000.png").read_bytes())
    for path in (pattern, tmp_path / "a001.png"):
        with pytest.raises(VideoError, match=r"is a single picture \(PNG\)"):
            probe(path)
