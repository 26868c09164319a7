from fractions import Fraction
from pathlib import Path

import pytest

from harness.core.errors import VideoError
from harness.videos.probe import probe
from harness.videos.synthetic import ClipSpec, write_clip


def test_plain_clip(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", ClipSpec(width=160, height=120, frames=30)))
    assert (info.width, info.height, info.rotation_degrees) == (160, 120, 0)
    assert info.frames_per_second == pytest.approx(25)
    assert info.duration_seconds == pytest.approx(1.2, abs=0.01)
    assert info.frame_count == 30
    assert info.video_codec == "h264"
    assert (info.has_audio, info.audio_streams, info.audio_codec) == (True, 1, "aac")


@pytest.mark.parametrize(("degrees", "upright"), [(90, (120, 160)), (180, (160, 120)), (270, (120, 160))])
def test_rotation_flag_is_clockwise_and_turns_the_upright_size(
    tmp_path: Path, degrees: int, upright: tuple[int, int]
) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", ClipSpec(clockwise_degrees=degrees)))
    assert info.rotation_degrees == degrees
    assert (info.width, info.height) == (160, 120)
    assert (info.upright_width, info.upright_height) == upright


def test_wide_pixels_widen_the_upright_size(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "a.mp4", ClipSpec(pixel_aspect=Fraction(4, 3))))
    assert (info.upright_width, info.upright_height) == (213, 120)


def test_no_audio_and_several_tracks(tmp_path: Path) -> None:
    silent = probe(write_clip(tmp_path / "a.mp4", ClipSpec(audio_tracks=0)))
    assert (silent.has_audio, silent.audio_streams, silent.audio_codec) == (False, 0, None)
    assert probe(write_clip(tmp_path / "b.mp4", ClipSpec(audio_tracks=3))).audio_streams == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.mp4", b""), ("text.mp4", b"this is not a video, however it is called" * 20)],
)
def test_what_is_not_a_video_is_named_with_a_reason(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoError, match=name) as caught:
        probe(path)
    assert len(caught.value.message) > len("cannot be read as a video: ")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"gone\.mp4.*No such file"):
        probe(tmp_path / "gone.mp4")


def test_sound_without_picture(tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_pictures_all_damaged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", ClipSpec(audio_tracks=0))
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov")
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        probe(path)


def test_an_unknown_sound_codec_means_no_sound_and_an_unknown_picture_codec_is_refused(
    tmp_path: Path,
) -> None:
    path = write_clip(tmp_path / "a.mp4")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"mp4a", b"zz9x").replace(b"esds", b"zz9y"))
    assert not probe(path).has_audio
    path.write_bytes(content.replace(b"avc1", b"zz9x"))
    with pytest.raises(VideoError, match=r"a\.mp4"):
        probe(path)


def with_cover(path: Path, *, video: bool) -> Path:
    """Sound with a cover picture, and a real video where asked for."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        tracks = []
        if video:
            tracks.append(container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p"))
        cover = container.add_stream("mjpeg", rate=1, width=640, height=640, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        sound = container.add_stream("libmp3lame", rate=44100)
        for track in (*tracks, cover):
            for index in range(1 if track is cover else 5):
                picture = np.full((track.height, track.width, 3), 40 * index, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                container.mux(track.encode(frame.reformat(format=track.pix_fmt)))
            container.mux(track.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
        silence.sample_rate, silence.pts = 44100, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    return path


def test_a_cover_picture_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"song\.mp3.*only picture is a cover"):
        probe(with_cover(tmp_path / "song.mp3", video=False))


def test_a_cover_beside_a_video_is_not_taken_for_it(tmp_path: Path) -> None:
    info = probe(with_cover(tmp_path / "a.mp4", video=True))
    assert (info.width, info.height) == (64, 48)
