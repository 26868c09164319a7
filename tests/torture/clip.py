"""How a torture clip is made: drawn by us, coded by the ffmpeg program, then perhaps spoilt."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from drawing import RATE, draw, tone

Spoil = Callable[[bytes, np.random.Generator], bytes]

H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "10")
AAC = ("-c:a", "aac", "-b:a", "128k")
EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
FFMPEG = ("ffmpeg", "-y", "-nostdin", "-v", "error", "-threads", "1", "-filter_threads", "1")
QUICK_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a clip is made of, and so what must come out of it again."""

    name: str
    group: str
    ext: str = "mp4"
    size: tuple[int, int] = (160, 128)
    rate: str = "25"
    frames: int = 20
    video: tuple[str, ...] = H264
    pixel_format: str = "yuv420p"
    # matrix, range, primaries and transfer, as the ffmpeg program names them; empty: untagged BT.601
    colour: tuple[str, str, str, str] | None = None
    filters: tuple[str, ...] = ()  # after the drawing
    audio: tuple[str, ...] = AAC
    beeps: tuple[float, ...] = (0.2, 0.6)
    sound_seconds: float | None = None  # as long as the picture where not given
    tracks: int = 1
    mux: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()  # further inputs, after picture and sound
    maps: tuple[str, ...] = ()
    matrix: tuple[float, float, float, float] | None = None  # of the track header
    spoil: Spoil | None = None
    remux: tuple[str, ...] = ()  # a second run of the ffmpeg program with "-c copy" and these
    seed: int = 0
    # --- what is expected ---
    refused: str = ""  # a pattern of the reason; empty: to be prepared
    may_refuse: bool = False  # where damage may leave nothing
    aspect: Fraction | None = None  # of the upright picture; as drawn where not given
    times: tuple[float, ...] | None = None  # seconds of each frame from the first; by the rate if not given
    numbers: tuple[int, ...] | None = None  # in order; 0, 1, 2 … where not given
    heard: tuple[float, ...] | None = None  # when the tones are to be heard, from the first frame
    silent: bool = False
    part: float = 1.0  # at least this share of what the reference decodes must come out right
    check_colour: bool = True
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def wanted_numbers(self) -> tuple[int, ...]:
        """Of the frames, in order."""
        return tuple(range(self.frames)) if self.numbers is None else self.numbers

    @property
    def wanted_times(self) -> tuple[float, ...]:
        """Of the frames, from the first."""
        if self.times is not None:
            return self.times
        return tuple(float(index / Fraction(self.rate)) for index in range(len(self.wanted_numbers)))

    @property
    def wanted_tones(self) -> tuple[float, ...]:
        """From the first frame."""
        if self.silent or not self.tracks:
            return ()
        return self.beeps if self.heard is None else self.heard

    @property
    def wanted_aspect(self) -> float:
        """Width over height of what a viewer sees."""
        return float(self.aspect if self.aspect is not None else Fraction(*self.size))


def make(clip: Clip, folder: Path) -> Path:
    """Write the clip.

    Raises:
        RuntimeError: The ffmpeg program refused; its words are in the text.
    """
    path = folder / f"{clip.name}.{clip.ext}"
    width, height = clip.size
    seconds = clip.frames / float(Fraction(clip.rate))
    command = [*FFMPEG, "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", clip.rate, "-i", "pipe:0"]
    if clip.tracks:
        sound = folder / "sound.f32"
        length = clip.sound_seconds if clip.sound_seconds is not None else seconds
        sound.write_bytes(tone(length, clip.beeps).tobytes())
        command += ["-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", str(sound)]
    for name, text in clip.extra.items():
        if "." in name:
            (folder / name).write_text(text)
    command += [text.replace("{folder}", str(folder)) for text in clip.inputs]
    command += clip.maps or ["-map", "0:v", *(["-map", "1:a"] * clip.tracks)]
    command += ["-vf", ",".join((*_converted(clip), *clip.filters)), *clip.video]
    if clip.colour:
        _, levels, primaries, transfer = clip.colour
        matrix = clip.extra.get("matrix_tag", clip.colour[0])
        command += ["-color_range", levels, "-colorspace", matrix]
        command += ["-color_primaries", primaries, "-color_trc", transfer]
    command += (
        *(clip.audio if clip.tracks else ()),
        "-fflags",
        "+bitexact",
        *(text.replace("{folder}", str(folder)) for text in clip.mux),
        str(path),
    )
    pictures = b"".join(draw(number, width, height).tobytes() for number in range(clip.frames))
    _run(command, pictures)
    if clip.remux:
        again = path.with_name(f"again.{clip.extra.get('remux_ext', clip.ext)}")
        before = [text for text in clip.remux if text.startswith("<")]
        after = [text for text in clip.remux if not text.startswith("<")]
        copy = ["-map", "0", "-c", "copy"]
        _run([*FFMPEG, *(text[1:] for text in before), "-i", str(path), *copy, *after, str(again)])
        path.unlink()
        path = again.rename(path.with_suffix(again.suffix))
    if clip.matrix is not None:
        path.write_bytes(with_matrix(path.read_bytes(), clip.matrix))
    if clip.spoil is not None:
        path.write_bytes(clip.spoil(path.read_bytes(), np.random.default_rng(clip.seed)))
    return path


def _converted(clip: Clip) -> tuple[str, ...]:
    matrix, levels = (clip.colour[0], clip.colour[1]) if clip.colour else ("smpte170m", "tv")
    names = {"bt470bg": "bt601", "smpte170m": "bt601", "bt2020nc": "bt2020"}
    if clip.pixel_format.startswith(("rgb", "bgr", "gbr", "pal", "argb", "0rgb")) or matrix == "gbr":
        return (f"format={clip.pixel_format}",)
    if clip.pixel_format.startswith("yuvj"):
        levels = "pc"
    to = f"scale=out_color_matrix={names.get(matrix, matrix)}:out_range={levels}:{EXACT}"
    return (to, f"format={clip.pixel_format}")


def _run(command: list[str], content: bytes = b"") -> bytes:
    done = subprocess.run(command, check=False, input=content, capture_output=True, timeout=QUICK_SECONDS)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-600:]}")
    return done.stdout


def with_matrix(content: bytes, numbers: tuple[float, float, float, float]) -> bytes:
    """Set the display matrix in the first track header of an MP4 (ISO/IEC 14496-12, 8.3.2)."""
    one = 1 << 16
    a, b, c, d = (round(number * one) for number in numbers)
    packed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    place = content.index(b"tkhd") + 4
    place += 52 if content[place] == 1 else 40
    return content[:place] + packed + content[place + 36 :]
