"""Coding on the way that several kinds share."""

from __future__ import annotations

from harness.videos.perturb.steps import Generation


def h264(crf: float, **options: str) -> Generation:
    """One more generation of H.264."""
    return Generation(
        codec="libx264", options={"preset": "ultrafast", "crf": f"{crf:g}", "threads": "1", **options}
    )


def motion_jpeg(quantiser: int, size: tuple[int, int] | None = None) -> Generation:
    """Every picture as a JPEG of its own, in video's own range: converting it costs as much as coding it.

    With a size (width, height), it is coded in that, and enlarged again after.
    """
    options = {"qmin": f"{quantiser}", "qmax": f"{quantiser}", "huffman": "default", "strict": "unofficial"}
    return Generation(codec="mjpeg", options=options, size=size)
