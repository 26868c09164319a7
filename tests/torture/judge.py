"""Is what came out right? Decoded by the ffmpeg program, not by our own path, and read number by number."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import av
import numpy as np
from clip import QUICK_SECONDS, Clip, make
from drawing import CELLS, RATE, Reading, read, tones
from tone_reference import as_bt709

from harness.core.errors import VideoError
from harness.videos.perturb.plans import Encoding, build_plan
from harness.videos.perturb.render import render
from harness.videos.perturb.steps import Canvas
from harness.videos.perturb.verify import verify
from harness.videos.probe import probe

COLOUR_TOLERANCE = 2.0  # of 255, each channel of each patch
ASPECT_TOLERANCE = 0.01
SOUND_TOLERANCE_SECONDS = 0.02
CELL_PIXELS_MIN = 14  # below, a patch's middle is reached by its neighbours through 4:2:0
FRAME_LINE = re.compile(r"n: *\d+ pts: *\S+ pts_time: *(\S+)")
SIZE_LINE = re.compile(r" s:(\d+)x(\d+) ")
WIDE = {"smpte2084": "pq", "arib-std-b67": "hlg"}


class Fate(StrEnum):
    """What became of a case."""

    RIGHT = "right"
    REFUSED = "refused"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The fate of a case, and the reason: of a refusal, or what is wrong."""

    fate: Fate
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A file as the reference decoder gives it."""

    times: tuple[float, ...]
    readings: tuple[Reading, ...]
    size: tuple[int, int]
    tones: tuple[float, ...]

    def colours(self) -> dict[str, tuple[float, ...]]:
        """The mean of each patch over the frames."""
        readable = [one.colours for one in self.readings if one.colours]
        if not readable:
            return {}
        return {name: tuple(np.mean([one[name] for one in readable], 0)) for name in readable[0]}


def decode(path: Path, folder: Path, *, filters: str = "", sound: bool = True, fine: bool = False) -> Decoded:
    """Pictures in RGB, upright, with their times; and when tones start. A damaged file: as far as it goes.

    `fine` reads 16 bits, in units of 8: half a level of an HDR source can be several of BT.709's.
    """
    heard = folder / "heard.f32"
    heard.unlink(missing_ok=True)
    rgb = "rgb48le" if fine else "rgb24"
    chain = f"{filters}scale=flags=bicubic+accurate_rnd+full_chroma_int,format={rgb},showinfo=checksum=0"
    command = ["ffmpeg", "-y", "-nostdin", "-v", "info", "-threads", "1", "-i", str(path)]
    command += ["-map", "0:v:0", "-vf", chain, "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    if sound and _has_sound(path):
        command += ["-map", "0:a:0?", "-ac", "1", "-ar", str(RATE), "-af", "aresample=async=1:first_pts=0"]
        command += ["-f", "f32le", str(heard)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=QUICK_SECONDS)
    words = done.stderr.decode(errors="replace")
    times = [float(text) for text in FRAME_LINE.findall(words) if text != "NOPTS"]
    sizes = [(int(width), int(height)) for width, height in SIZE_LINE.findall(words)]
    if not sizes:
        return Decoded(times=(), readings=(), size=(0, 0), tones=())
    width, height = sizes[0]
    kind = np.dtype("<u2" if fine else "u1")
    count = len(done.stdout) // (width * height * 3 * kind.itemsize)
    pictures: Any = np.frombuffer(done.stdout, kind, count * width * height * 3).reshape(
        count, height, width, 3
    )
    readings = tuple(read(picture / 257 if fine else picture) for picture in pictures)
    wave = np.fromfile(heard, np.float32) if heard.exists() else np.zeros(0, np.float32)
    return Decoded(times=tuple(times), readings=readings, size=(width, height), tones=tuple(tones(wave)))


def _has_sound(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def judge(clip: Clip, folder: Path) -> Verdict:
    """Make, prepare and read one case."""
    source = make(clip, folder)
    target = folder / "prepared.mp4"
    try:
        prepare(source, target)
    except VideoError as error:
        reason = error.message
        if clip.may_refuse or (clip.refused and re.search(clip.refused, reason)):
            return Verdict(fate=Fate.REFUSED, reason=reason)
        return Verdict(fate=Fate.WRONG, reason=f"refused: {reason}")
    except Exception as error:  # whatever it is, it is the harness's fault, and one row of the table
        return Verdict(fate=Fate.WRONG, reason=f"raised {error!r}")
    if clip.refused:
        return Verdict(fate=Fate.WRONG, reason=f"prepared, though {clip.refused!r}")
    found = decode(target, folder)
    wrong = faults(clip, found, source, folder)
    return Verdict(fate=Fate.WRONG if wrong else Fate.RIGHT, reason="; ".join(wrong))


def prepare(source: Path, target: Path) -> None:
    """By the recipe "clean", but at a quality that keeps the encoder's own error out of the colours."""
    info = probe(source)
    plan = build_plan(
        [],
        recipe="torture",
        set_seed=1,
        video_id="v",
        canvas=Canvas.of(info),
        encoding=Encoding(crf=3, bits_per_pixel=8),
    )
    verify(target, plan, render(source, info, plan, target))


def faults(clip: Clip, found: Decoded, source: Path, folder: Path) -> list[str]:
    """Everything in which the output is not as it must be."""
    damaged = clip.part < 1
    wrong = []
    width, height = found.size
    off = abs(width - clip.wanted_aspect * height)
    if off > max(ASPECT_TOLERANCE * width, 2 * max(1, clip.wanted_aspect)):
        wrong.append(f"shape {width}x{height} for {clip.wanted_aspect:.3f}")
    turned = {one.orientation for one in found.readings if one.orientation} - {"upright"}
    if turned:
        wrong.append(f"lies {', '.join(sorted(turned))}")
    coloured = clip.check_colour and min(clip.size) >= CELL_PIXELS_MIN * CELLS
    if damaged or coloured:
        hdr = bool(clip.colour and clip.colour[3] in WIDE)
        reference = decode(source, folder, filters=_reference_filter(clip), sound=False, fine=hdr)
        wrong += _damaged_frames(clip, found, reference) if damaged else _colours(clip, found, reference)
    if not damaged:
        wrong += _frames(clip, found)
        wrong += _sound(clip, found)
    return wrong


def _frames(clip: Clip, found: Decoded) -> list[str]:
    numbers = tuple(one.number for one in found.readings)
    if numbers != clip.wanted_numbers:
        return [f"frames {_short(numbers)} instead of {_short(clip.wanted_numbers)}"]
    half = 0.5 / float(_rate(clip))
    first = found.times[0] if found.times else 0.0  # pictures and sound are both measured from the first one
    late = [
        f"{number} at {time:.3f} instead of {wanted:.3f}"
        for number, time, wanted in zip(numbers, found.times, clip.wanted_times, strict=True)
        if abs(time - first - wanted) > half
    ]
    return [f"frame {late[0]} and {len(late) - 1} more"] if late else []


def _rate(clip: Clip) -> float:
    first, _, second = clip.rate.partition("/")
    return float(first) / float(second or 1)


def _damaged_frames(clip: Clip, found: Decoded, reference: Decoded) -> list[str]:
    """Of the frames that the reference decodes, most must be there, each at its moment."""
    readable = {one.number for one in reference.readings if one.number is not None}
    places = [
        (one.number, time)
        for one, time in zip(found.readings, found.times, strict=False)
        if one.number is not None and one.number < clip.frames
    ]
    if not readable:
        return []
    if not places:
        return [f"no frame can be read, the reference reads {len(readable)}"]
    wanted = dict(zip(clip.wanted_numbers, clip.wanted_times, strict=True))
    shift = float(np.median([time - wanted[number] for number, time in places]))
    half = 0.5 / _rate(clip) + 1e-3
    # Where the damage took frames out of a file that has no times, the reference moves up like us.
    shown = {one.number: time for one, time in zip(reference.readings, reference.times, strict=False)}
    right = {
        number
        for number, time in places
        if abs(time - wanted[number] - shift) <= half or abs(time - shown.get(number, -1.0)) <= half
    }
    if len(right & readable) < clip.part * len(readable):
        return [f"{len(right & readable)} frames right of {len(readable)} that the reference reads"]
    return []


def _colours(clip: Clip, found: Decoded, reference: Decoded) -> list[str]:
    ours, theirs = found.colours(), reference.colours()
    if not ours and not theirs:
        return []  # a grey picture has no colours to read
    if not ours or not theirs:
        return [f"no colours to compare: {'ours' if not ours else 'the reference'} cannot be read"]
    transfer = WIDE.get(clip.colour[3]) if clip.colour else None
    if transfer:
        theirs = {name: as_bt709((r, g, b), transfer) for name, (r, g, b) in theirs.items()}
    worst, name = max((float(np.abs(np.subtract(ours[name], theirs[name])).max()), name) for name in theirs)
    if worst <= COLOUR_TOLERANCE:
        return []
    pair = [tuple(round(value) for value in which[name]) for which in (ours, theirs)]
    return [f"{name} is {pair[0]} instead of {pair[1]}"]


def _reference_filter(clip: Clip) -> str:
    """How the ffmpeg program brings this source to BT.709, where it has to be told."""
    deinterlace = "bwdif=mode=send_frame:deint=interlaced," if clip.extra.get("interlaced") else ""
    if not clip.colour or clip.colour[3] in WIDE:
        return deinterlace
    if clip.colour[2] in {"bt2020", "smpte432", "smpte431"}:
        return f"{deinterlace}zscale=p=709:t=709:m=709:r=limited,format=yuv444p10,"
    return deinterlace


def _sound(clip: Clip, found: Decoded) -> list[str]:
    wanted, first = clip.wanted_tones, found.times[0] if found.times else 0.0
    if len(found.tones) != len(wanted):
        return [f"{len(found.tones)} tones instead of {len(wanted)}"]
    return [
        f"tone at {heard - first:.3f} instead of {time:.3f}"
        for heard, time in zip(found.tones, wanted, strict=True)
        if abs(heard - first - time) > SOUND_TOLERANCE_SECONDS + 0.002  # as finely as `tones` measures
    ][:1]


def _short(numbers: tuple[int | None, ...]) -> str:
    text = ", ".join("?" if number is None else str(number) for number in numbers[:6])
    return f"{text}{', …' if len(numbers) > 6 else ''} ({len(numbers)})"
