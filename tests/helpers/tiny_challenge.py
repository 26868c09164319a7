"""A challenge of two sets of tiny clips, for tests that run packages on one."""

from __future__ import annotations

from pathlib import Path

from harness.videos.synthetic import ClipSpec, write_clip

SETS = """\
schema = 1
name = "tiny"
[sets.public]
videos = "{public}"
labels = "{public}/labels.csv"
recipe = "clean"
seed = 1
[sets.private]
videos = "{private}"
labels = "{private}/labels.csv"
recipe = "original"
seed = 2
"""
# Limits of a package that does next to nothing, on a machine that may be busy.
GENEROUS = """\
[limits]
video_seconds = 120
mean_video_seconds = 120
cpus = 1
memory_bytes = 256_000_000
tmp_bytes = 16_000_000
shm_bytes = 16_000_000
startup_seconds = 300
"""
FEW_SAMPLES = "[scoring]\nbootstrap_samples = 100\n"


def write_challenge(folder: Path, *, rules: str, videos: int = 4, one_folder: bool = False) -> Path:
    """Write a challenge, half of whose videos are fake; returns its `challenge.toml`.

    Args:
        folder: Made if it is not there.
        rules: What follows the sets: limits, scoring.
        videos: Of each set.
        one_folder: Both sets are made of the same videos, in `videos/`.
    """
    names = ("videos", "videos") if one_folder else ("public", "private")
    for offset, name in enumerate(dict.fromkeys(names)):
        (folder / name).mkdir(parents=True)
        rows = ["filename,label"]
        for number in range(videos):
            clip = folder / name / f"clip{number}.mp4"
            write_clip(clip, ClipSpec(width=64, height=48, frames=5, seed=10 * offset + number))
            rows.append(f"{clip.name},{number % 2}")
        (folder / name / "labels.csv").write_text("\n".join(rows) + "\n")
    path = folder / "challenge.toml"
    path.write_text(SETS.format(public=names[0], private=names[1]) + rules)
    return path
