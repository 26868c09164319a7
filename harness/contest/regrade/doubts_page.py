"""Doubted labels as one self-contained page, a frame beside each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.contest.regrade.corrections import SetFrame
from harness.contest.regrade.doubts import Answers, Doubt
from harness.report.frames import frame_data_uri
from harness.report.pages import render

SHOWN_MAX = 200  # frames of one set: a page that nobody opens helps nobody


@dataclass(frozen=True, kw_only=True)
class DoubtedSet:
    """One set with what was found in it."""

    frame: SetFrame
    answers: Answers
    doubts: tuple[Doubt, ...]
    videos: Mapping[str, Path]  # by video id


def doubts_page(challenge: str, sets: Sequence[DoubtedSet], *, csv_name: str) -> str:
    """Render the page.

    Args:
        challenge: Its name.
        sets: Every set that was looked at.
        csv_name: Of the file with the labels turned round.
    """
    return render(
        "doubts.html",
        {
            "challenge": challenge,
            "csv_name": csv_name,
            "sets": [
                {
                    "name": one.frame.name.value,
                    "videos": len(one.frame.video_ids),
                    "witnesses": witnesses(one),
                    "doubts": [
                        {"doubt": doubt, "frame": frame_data_uri(one.videos[doubt.video_id])}
                        for doubt in one.doubts[:SHOWN_MAX]
                    ],
                }
                for one in sets
            ],
        },
    )


def witnesses(found: DoubtedSet) -> str:
    """Say in one line whose answers were looked at, and how many doubts a page leaves out."""
    count = len(found.answers.entries)
    if count < 2:
        known = "One entry is" if count == 1 else "No entry is"
        return f"{known} better than a constant 0.5; to doubt a label takes two."
    more = len(found.doubts) - SHOWN_MAX
    tail = f" The surest {SHOWN_MAX} are shown; {more} more are in the CSV." if more > 0 else ""
    return f"{count} entries were asked, each better than a constant 0.5.{tail}"
