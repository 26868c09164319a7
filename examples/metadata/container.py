"""What a video's container says of it, in six numbers. No picture is decoded."""

from __future__ import annotations

import math
from pathlib import Path

import av


def describe(video: Path) -> list[float]:
    """Pixels, shape, frames per second, seconds and bits per pixel, as logarithms; whether there is sound."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        width, height = max(1, stream.width), max(1, stream.height)
        rate = float(stream.average_rate or 25)
        seconds = max(0.1, float(container.duration or 0) / av.time_base)
        bits = 8 * max(1, video.stat().st_size)
        return [
            math.log(width * height),
            math.log(width / height),
            math.log(rate),
            math.log(seconds),
            math.log(bits / (width * height * rate * seconds)),
            float(bool(container.streams.audio)),
        ]
