"""A small made contest: a challenge of tiny clips, and entries of several kinds.

Used by the tests, the benchmarks and `make contest-demo`. Answers hang on a video's content alone, so that a
disturbed contest must come to what an undisturbed one comes to.
"""

from __future__ import annotations

from pathlib import Path

from harness.videos.synthetic import ClipSpec, write_clip

CHALLENGE = """
schema = 1
name = "{name}"
[sets.public]
videos = "public"
labels = "public/labels.csv"
recipe = "original"
seed = 1
[sets.private]
videos = "private"
labels = "private/labels.csv"
recipe = "original"
seed = 2
[limits]
video_seconds = 60
mean_video_seconds = 30
cpus = {cpus}
memory_bytes = 128_000_000
pids = 64
tmp_bytes = 16_000_000
shm_bytes = 16_000_000
startup_seconds = 120
gpus = 0
[scoring]
bootstrap_samples = 100
"""
BY_CONTENT = """
import hashlib, time
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        time.sleep({sleep})
        data = video.read_bytes()
        drawn = int(hashlib.sha256(b"{key}" + data).hexdigest()[:8], 16) / 2**32
        return {formula}
"""
RAISES = """
class Predictor:
    def __init__(self, package):
        raise RuntimeError("weights are missing")
    def predict(self, video):
        return 0.5
"""
CRASHES = """
import hashlib, os
class Predictor:
    def __init__(self, package):
        pass
    def predict(self, video):
        drawn = int(hashlib.sha256(video.read_bytes()).hexdigest()[:8], 16)
        if drawn % 11 == 0:
            os._exit(3)
        return (drawn % 1000) / 1000
"""


def write_challenge(
    folder: Path, *, name: str = "made", public: int = 16, private: int = 16, cpus: float = 1.0
) -> Path:
    """Make a challenge whose clips all differ; returns its challenge.toml."""
    for offset, (which, count) in enumerate((("public", public), ("private", private))):
        place = folder / which
        place.mkdir(parents=True)
        clip = write_clip(
            folder / "clip.mp4", ClipSpec(width=64, height=48, frames=3, seed=offset)
        ).read_bytes()
        rows = ["filename,label"]
        for number in range(count):
            path = place / f"clip{number:05d}.mp4"
            path.write_bytes(clip + _comment(f"{which}/{number}"))
            rows.append(f"{path.name},{number % 2}")
        (place / "labels.csv").write_text("\n".join(rows) + "\n")
        (folder / "clip.mp4").unlink()
    path = folder / "challenge.toml"
    path.write_text(CHALLENGE.format(name=name, cpus=cpus))
    return path


def write_entry(
    folder: Path,
    *,
    team: str,
    name: str = "entry",
    sleep: float = 0.0,
    formula: str = "0.2 + 0.6 * drawn",
    module: str | None = None,
) -> Path:
    """Make one entry's package under its team's folder."""
    package = folder / team / name
    package.mkdir(parents=True)
    (package / "submission.toml").write_text(f'name = "{name}"\nentry = "predictor:Predictor"\n')
    text = (
        module
        if module is not None
        else BY_CONTENT.format(sleep=sleep, key=f"{team}/{name}", formula=formula)
    )
    (package / "predictor.py").write_text(text)
    return package


def _comment(text: str) -> bytes:
    """An MP4 box that players skip: what makes two clips with one picture differ."""
    data = text.encode()
    return (8 + len(data)).to_bytes(4, "big") + b"free" + data
