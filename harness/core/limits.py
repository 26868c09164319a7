"""Limits in words: one place for the banner, the README's table and the reports.

Pure functions of values; nothing here prints.
"""

from __future__ import annotations

from dataclasses import fields

from harness.core.types import Limits


def bytes_in_words(count: float) -> str:
    """Print a number of bytes in decimal units: 13 GB, 64.5 MB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{_three_digits(count / size)} {unit}"
    return f"{count:.0f} bytes"


def seconds_in_words(seconds: float) -> str:
    """Print a duration: 250 ms, 8.1 s, 5 min, 9 h."""
    if 0 < seconds < 1:
        return f"{_three_digits(seconds * 1000)} ms"
    if seconds < 120:
        return f"{_three_digits(seconds)} s"
    return f"{_three_digits(seconds / 60)} min" if seconds < 7200 else f"{_three_digits(seconds / 3600)} h"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def limits_table(limits: Limits) -> list[tuple[str, str, str]]:
    """Return (key in challenge.toml, value in words, what it limits) for every limit, in order."""
    return [
        (field.name, _in_words(field.name, getattr(limits, field.name)), field.metadata["help"])
        for field in fields(limits)
    ]


def limits_markdown(limits: Limits) -> str:
    """Return the limits as the Markdown table of the README; a test holds the two together."""
    rows = [f"| `{key}` | {value} | {meaning} |" for key, value, meaning in limits_table(limits)]
    return "\n".join(["| key in `[limits]` | default | what it limits |", "|---|---|---|", *rows])


def banner(limits: Limits, *, videos: int) -> str:
    """Say in one line what a set of this many videos is held to."""
    budget = seconds_in_words(limits.mean_video_seconds * videos)
    return (
        f"{videos} videos, {seconds_in_words(limits.video_seconds)} each at most and {budget} in all, "
        f"{limits.cpus:g} cores, {bytes_in_words(limits.memory_bytes)} of memory, "
        f"{limits.pids} processes, no network"
    )


def _in_words(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return bytes_in_words(value)
    if name.endswith("_seconds"):
        return seconds_in_words(value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"
