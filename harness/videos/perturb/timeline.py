"""One clock for all tracks of a file, whatever recordings were joined in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import av

# Falling times within it are order of decoding, or an overlap that is trimmed; beyond, a clock was set back.
SET_BACK_SECONDS = 0.5
LONGEST_GAP_SECONDS = 600.0  # with nothing in any track: a longer one is a broken clock
LONGEST_GAP_BROADCAST_SECONDS = 120.0  # where recordings are joined as they are
BROADCAST = {"mpegts", "mpeg"}
SOON_SECONDS = 0.5  # by how much a joined recording may overlap the sound of the one before
LONGEST_STEP_SECONDS = 1.0


@dataclass
class _Track:
    """Where a track is, in seconds as mended."""

    joint: int  # which of the offsets holds for it
    last: float  # of decoding
    step: float  # from its packet before the last to the last
    shown: float  # the latest of showing

    @property
    def end(self) -> float:
        return self.shown + self.step


class _Times(NamedTuple):
    """Of one packet, in seconds as read."""

    decoded: float  # minus infinity, if it is not said
    shown: float
    duration: float
    place: int  # in the file, in bytes


class Timeline:
    """Finds the joints at which a file's clock was set anew, and what to add to times after each.

    Picture and sound that were recorded together stay together: where one of them finds a joint, the others
    take the same offset as soon as their own times need one. A track alone that pauses is no joint, while
    another goes on.
    """

    def __init__(self, *, picture: int, container: str) -> None:
        self._picture = picture  # index of the track that others follow
        self._in_order = container in BROADCAST  # what lies behind a joint was recorded after it
        self._gap = LONGEST_GAP_BROADCAST_SECONDS if container in BROADCAST else LONGEST_GAP_SECONDS
        self._offsets = [0.0]
        self._places = [0]  # of the packets that each joint was found at
        self._tracks: dict[int, _Track] = {}
        self._units: dict[int, float] = {}  # seconds of a tick: Python's fractions take longer than the rest

    def mend(self, packet: av.Packet[Any]) -> None:
        """Put a packet's times, in the order of the file, where they belong."""
        shown, decoded = packet.pts, packet.dts
        if (shown is None and decoded is None) or packet.is_discard:  # decoded for later ones, not shown
            return
        index = packet.stream_index
        base = self._units.get(index)
        if base is None:
            base = self._units[index] = float(packet.time_base or 0)
        if not base:
            return
        times = _Times(
            decoded=-math.inf if decoded is None else decoded * base,
            shown=((decoded or 0) if shown is None else shown) * base,
            duration=(packet.duration or 0) * base,
            place=packet.pos or 0,
        )
        offset = self._offset(index, times)
        if offset:
            moved = round(offset / base)
            packet.pts = None if shown is None else shown + moved
            packet.dts = None if decoded is None else decoded + moved

    def is_beyond(self, seconds: float) -> bool:
        """Whether a time is so long after everything in any track that it is a broken clock's."""
        return bool(self._tracks) and seconds > self._end + self._gap

    def _offset(self, index: int, times: _Times) -> float:
        latest = len(self._offsets) - 1
        track = self._tracks.get(index)
        if track is None:
            picture = self._tracks.get(self._picture)  # it is where the file is
            joint = latest if picture is None else picture.joint
            offset = self._offsets[joint]
            self._tracks[index] = _Track(
                joint=joint,
                last=times.decoded + offset,
                step=times.duration,
                shown=times.shown + offset,
            )
            return offset
        passed = self._in_order and track.joint < latest and times.place >= self._places[latest]
        if passed and self._fits(track, times, latest):
            track.joint = latest
        elif not self._fits(track, times, track.joint):
            track.joint = self._joint(track, times)
        offset = self._offsets[track.joint]
        if times.decoded + offset > track.last > -math.inf:
            track.step = min(times.decoded + offset - track.last, LONGEST_STEP_SECONDS)
        track.last = max(track.last, times.decoded + offset)
        track.shown = max(track.shown, times.shown + offset)
        return offset

    def _fits(self, track: _Track, times: _Times, joint: int) -> bool:
        offset = self._offsets[joint]
        if (
            times.decoded == -math.inf
        ):  # times of showing fall wherever a picture is coded before an earlier one
            return not self.is_beyond(times.shown + offset)
        falls = times.decoded + offset < track.last - SET_BACK_SECONDS
        return not falls and not self.is_beyond(times.decoded + offset)

    def _joint(self, track: _Track, times: _Times) -> int:
        """Return the known joint that suits a track best, or a new one."""
        fitting = [number for number in range(len(self._offsets)) if self._fits(track, times, number)]
        if fitting:
            return min(fitting, key=lambda number: abs(times.shown + self._offsets[number] - track.end))
        # What follows begins where the picture ends; later, if the sound went on for longer.
        picture, end = self._tracks.get(self._picture), self._end
        if picture is not None and end <= picture.end + SOON_SECONDS:
            end = picture.end
        self._offsets.append(end - times.shown)
        self._places.append(times.place)
        return len(self._offsets) - 1

    @property
    def _end(self) -> float:
        return max([track.end for track in self._tracks.values()])
