"""The words of a plan: a canvas, and steps that change what is on it.

Everything here is a plain frozen value: it pickles to a worker and prints to JSON, so that a plan can be
pinned by a golden test, recorded in a manifest and hashed for resumption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol

from harness.videos.perturb.drawing.planes import Planes
from harness.videos.probe import VideoInfo

EditFrame = Callable[[Planes, int], None]
"""Edits one picture in place, given its index from 0 after all earlier steps."""


@dataclass(frozen=True)
class Redraw:
    """Draws one picture anew: from the first planes, which must not be written to, into all of the second.

    The second are of the size of the canvas that `start` was given, which is the step's afterwards. For what
    touches every sample anyway: the copy that is made before a picture is edited is saved.
    """

    draw: Callable[[Planes, Planes, int], None]
    by_sample: bool = False  # a sample needs none but that at its own place: both planes may be the same
    keeps: bool = False  # what was drawn is looked at again: later steps must not draw on it


@dataclass(frozen=True)
class EditParts:
    """Edits parts of one picture in place, each of which it has `Planes.keep` keep before.

    For what leaves most of a picture as it is. If no step comes after it, it draws on the picture that the
    decoder has lent, and what was there is put back when the picture has been coded: copying a whole picture
    takes longer than most drawings.
    """

    edit: EditFrame


@dataclass(frozen=True, kw_only=True)
class RedrawTogether:
    """Draws a few pictures in a row anew, for what costs less for several at once than for each.

    `draw` takes at most `at_once` sources, which must not be written to, as many targets, and the index of
    the first. How many there are must change no byte: the last ones of a video are fewer.
    """

    draw: Callable[[Sequence[Planes], Sequence[Planes], int], None]
    at_once: int


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """The picture and sound as a step finds them: upright, square pixels, even sizes, 8-bit 4:2:0."""

    width: int
    height: int
    frames_per_second: float
    duration_seconds: float
    has_audio: bool

    @property
    def unit(self) -> float:
        """The shorter side over 720: strengths given in pixels are pixels of a 720-line picture."""
        return min(self.width, self.height) / 720

    @staticmethod
    def of(info: VideoInfo) -> Canvas:
        """Return the canvas that a video becomes when it is read: upright, square pixels, even sizes."""
        return Canvas(
            width=even(info.upright_width),
            height=even(info.upright_height),
            frames_per_second=info.frames_per_second,
            duration_seconds=info.duration_seconds,
            has_audio=info.has_audio,
        )


def even(size: float) -> int:
    """Return the nearest even number not above `size`, at least 2: 4:2:0 halves the colour samples."""
    return max(2, int(size) // 2 * 2)


Operation = EditFrame | EditParts | Redraw | RedrawTogether


class FrameOperation(Protocol):
    """A change of the planes of each picture, for what libavfilter cannot do, or not as fast.

    Implementations are frozen dataclasses of plain values. State between frames lives in what `start`
    returns, so an operation may be rendered any number of times, and is bounded by a few frames.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def start(self, canvas: Canvas) -> Operation:
        """Prepare for one video of this size."""
        ...


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Coding and decoding again, in memory: what another service did to the video before it came to us."""

    codec: str  # as libav names the encoder
    options: Mapping[str, str] = field(default_factory=dict)
    pixel_format: str = "yuv420p"
    size: tuple[int, int] | None = None  # width and height in which it is coded, and enlarged again after
    slice_loss: float = 0.0  # share of slices thrown away before decoding (H.264 only)
    loss_seed: int = 0


@dataclass(frozen=True, kw_only=True)
class FinalEncode:
    """What a step asks of the one final encode. None leaves the recipe's value."""

    crf: float | None = None
    bits_per_pixel: float | None = None  # the rate cap; see `render.encoder_options`


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one perturbation does, in this order: filters, then the operation, then generations.

    `canvas` is what the picture and sound are afterwards; None if size, rate, length and audio stay.
    """

    video: tuple[str, ...] = ()  # libavfilter filters, each "name=arguments"
    operation: FrameOperation | None = None
    generations: tuple[Generation, ...] = ()
    audio: tuple[str, ...] = ()  # libavfilter filters; nothing happens if there is no audio
    encode: FinalEncode | None = None
    canvas: Canvas | None = None

    def after(self, before: Canvas) -> Canvas:
        """Return the canvas that the next step finds."""
        return before if self.canvas is None else self.canvas


def resized(canvas: Canvas, *, width: int, height: int) -> Canvas:
    """Return the same canvas in another size."""
    return replace(canvas, width=width, height=height)


def to_json(value: Any) -> Any:
    """Turn a dataclass tree into plain JSON values, each with its type's name, without empty fields."""
    if is_dataclass(value) and not isinstance(value, type):
        content = {
            item.name: to_json(getattr(value, item.name))
            for item in fields(value)
            if getattr(value, item.name) not in (None, "", ())
        }
        return {"type": type(value).__name__, **content}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value
