from __future__ import annotations

from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.videos.perturb.timeline import Timeline

PICTURE, SOUND = 0, 1


class FakeStreamPacket:
    """What `mend` reads and writes of a packet, with a track and a place that only a file gives av.Packet."""

    def __init__(self, track: int, time: float, place: int = 0, duration: float = 0.04) -> None:
        self.stream_index, self.pos = track, place
        self.time_base = Fraction(1, 90_000)
        self.dts: int | None = round(time * 90_000)
        self.pts: int | None = self.dts
        self.duration = round(duration * 90_000)
        self.is_discard = False


def mended(container: str, *packets: tuple[int, float]) -> list[float]:
    timeline = Timeline(picture=PICTURE, container=container)
    times = []
    for place, (track, time) in enumerate(packets):
        packet = FakeStreamPacket(track, time, place)
        timeline.mend(packet)  # type: ignore[arg-type]
        assert packet.pts is not None
        times.append(round(packet.pts / 90_000, 3))
    return times


def steady(track: int, start: float, count: int, step: float = 0.04) -> list[tuple[int, float]]:
    return [(track, start + index * step) for index in range(count)]


@given(st.lists(st.tuples(st.sampled_from([PICTURE, SOUND]), st.floats(0, 0.4)), max_size=30))
def test_what_rises_is_left_alone(steps: list[tuple[int, float]]) -> None:
    clock, packets = 5.0, []
    for track, step in steps:
        clock += step
        packets.append((track, clock))
    assert mended("mpegts", *packets) == [round(round(time * 90_000) / 90_000, 3) for _, time in packets]


def test_a_joint_moves_the_sound_as_far_as_the_picture() -> None:
    first = [*steady(PICTURE, 1, 50), *steady(SOUND, 1, 20)]  # the sound ends 1.2 s before the picture
    times = mended("mpegts", *first, *steady(PICTURE, 1, 2), *steady(SOUND, 1, 2))
    assert times[-4:] == [3.0, 3.04, 3.0, 3.04]


def test_sound_that_was_never_before_the_joint_belongs_behind_it() -> None:
    times = mended("mpegts", (PICTURE, 1), *steady(PICTURE, 1.04, 49), (PICTURE, 1), (SOUND, 1.02))
    assert times[-2:] == [3.0, 3.02]


def test_sound_that_did_not_fall_goes_by_its_place_in_the_file() -> None:
    first = [*steady(PICTURE, 1, 50), (SOUND, 1.0)]
    assert mended("mpegts", *first, (PICTURE, 1), (SOUND, 1.05))[-2:] == [3.0, 3.05]


def test_a_picture_may_stand_while_the_sound_goes_on() -> None:
    sound = steady(SOUND, 0, 800)
    assert mended("mpegts", (PICTURE, 0), *sound, (PICTURE, 800 * 0.04))[-1] == 32.0
    hours = [(SOUND, float(second)) for second in range(7200)]
    assert mended("matroska,webm", (PICTURE, 0), *hours, (PICTURE, 7200))[-1] == 7200


@pytest.mark.parametrize(("container", "kept"), [("mpegts", False), ("mov,mp4", True)])
def test_a_jump_of_all_tracks_is_closed_where_recordings_are_joined(container: str, *, kept: bool) -> None:
    times = mended(container, *steady(PICTURE, 0, 5), (SOUND, 0.1), (PICTURE, 300), (SOUND, 300.1))
    assert times[-2:] == ([300, 300.1] if kept else [0.2, 0.3])


def test_one_wrong_time_moves_nothing_after_it() -> None:
    times = mended("mpegts", *steady(PICTURE, 0, 5), (PICTURE, 9000), *steady(PICTURE, 0.24, 3), (SOUND, 0.3))
    assert times[-4:] == [0.24, 0.28, 0.32, 0.3]


def test_pictures_without_a_time_of_decoding_may_come_before_earlier_ones() -> None:
    timeline = Timeline(picture=PICTURE, container="matroska,webm")
    for shown, decoded in (
        (0, None),
        (3, None),
        (1, 0),
        (2, 1),
        (7, None),
        (5, 3),
    ):  # seconds, of one a second
        packet = FakeStreamPacket(PICTURE, shown)
        packet.dts = None if decoded is None else decoded * 90_000
        timeline.mend(packet)  # type: ignore[arg-type]
        assert packet.pts == shown * 90_000


def test_real_packets_are_taken() -> None:
    packet = av.Packet(b"")
    Timeline(picture=PICTURE, container="mpegts").mend(packet)
    assert packet.dts is None


def test_pictures_that_an_edit_list_has_decoded_and_not_shown_set_no_clock_back() -> None:
    timeline = Timeline(picture=PICTURE, container="mov,mp4,m4a,3gp,3g2,mj2")
    found = []
    for time, shown in [(0, True), (0.04, True), (0.8, False), (-0.4, False), (0.04, False), (0.08, True)]:
        packet = FakeStreamPacket(PICTURE, time)
        packet.is_discard = not shown
        timeline.mend(packet)  # type: ignore[arg-type]
        found.append(packet.pts)
    assert found == [0, 3600, 72_000, -36_000, 3600, 7200]
