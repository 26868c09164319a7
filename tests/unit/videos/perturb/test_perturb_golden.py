"""Plans are pinned: the same seed, recipe and video must give the same plan for ever.

Where a change is meant, count `prepare.RENDERER` up, say so in the changelog, and write the file anew with
`python tests/unit/test_perturb_golden.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.videos.perturb.recipes import load_recipe, plan, shipped_recipes
from harness.videos.perturb.registry import SEVERITIES, catalogue, generator
from harness.videos.perturb.steps import Canvas, to_json
from harness.videos.probe import VideoInfo

GOLDEN = Path(__file__).with_name("perturb_golden.json")
INFO = VideoInfo(
    width=1280,
    height=720,
    rotation_degrees=0,
    pixel_aspect=1.0,
    frames_per_second=30.0,
    duration_seconds=10.0,
    frame_count=300,
    video_codec="h264",
    pixel_format="yuv420p",
    color_space=1,
    has_audio=True,
    audio_streams=1,
    audio_codec="aac",
    audio_rate=44100,
    audio_channels=2,
    container="mov",
    file_bytes=1,
)


def steps() -> dict[str, Any]:
    """Every kind at every severity, as it comes out for one video."""
    canvas = Canvas.of(INFO)
    return {
        f"{name} {severity}": to_json(kind.step(severity, generator(1, "video.mp4", name), canvas))
        for name, kind in catalogue().items()
        for severity in SEVERITIES
    }


def draws() -> dict[str, Any]:
    """What each shipped mixture makes of twelve videos."""
    return {
        name: [
            [
                f"{item.name} {item.severity}"
                for item in plan(load_recipe(name), set_seed=1, video_id=f"{index}.mp4", info=INFO).applied
            ]
            for index in range(12)
        ]
        for name in shipped_recipes()
        if load_recipe(name).law == "mixture"
    }


def test_steps_are_as_pinned() -> None:
    golden, found = json.loads(GOLDEN.read_text())["steps"], json.loads(json.dumps(steps()))
    assert found.keys() == golden.keys()
    changed = {name: (golden[name], found[name]) for name in golden if golden[name] != found[name]}
    assert not changed


def test_draws_are_as_pinned() -> None:
    assert draws() == json.loads(GOLDEN.read_text())["draws"]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({"draws": draws(), "steps": steps()}, indent=1, sort_keys=True) + "\n")
