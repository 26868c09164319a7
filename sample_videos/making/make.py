"""Makes the sample videos again: `python -m sample_videos.making.make` from the root of the repository.

Needs npm, and the packages in `requirements.txt` in an environment of their own. Writes
`sample_videos/{public,private}/*.mp4`, their `labels.csv` and `contact_sheet.jpg`. Same machine and same
versions give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sample_videos.making.contact_sheet import Entry, contact_sheet
from sample_videos.making.encode import cropped, encode_to_size, place_crop, room_tone
from sample_videos.making.fakes import Footage, make_fake
from sample_videos.making.geometry import Image
from sample_videos.making.plan import (
    FORMATS,
    OTHER,
    SEED,
    SETS,
    SIZE_JITTER,
    SOURCE_RATES,
    STRETCHES,
    SWAPS,
    Format,
    Pair,
    SetPlan,
    Stretch,
)
from sample_videos.making.sources import fetch_media, read_frames
from sample_videos.making.tracking import Track, find_landmarks, smooth_track


@dataclass(frozen=True, kw_only=True)
class Job:
    """One pair to make: where, what, and the two file sizes to hit."""

    cache: Path
    folder: Path
    set_index: int
    pair_index: int
    names: tuple[str, str]
    size_factors: tuple[float, float]

    @property
    def plan(self) -> SetPlan:
        """The set the pair belongs to."""
        return SETS[self.set_index]

    @property
    def pair(self) -> Pair:
        """What the pair shows."""
        return self.plan.pairs[self.pair_index]

    @property
    def format(self) -> Format:
        """What its files are like."""
        return FORMATS[self.pair_index]


def tracked(cache: Path, source: str) -> Track:
    """Raw landmarks of a whole source clip, kept in the cache."""
    kept = cache / f"{source}.npy"
    if not kept.exists():
        media = fetch_media(cache)
        np.save(kept, find_landmarks(read_frames(media / source)))
    return np.asarray(np.load(kept), dtype=np.float32)


def footage(cache: Path, source: str, first: int, stop: int, step: int) -> Footage:
    """Frames and smoothed landmarks of a part of a source clip."""
    frames = list(read_frames(fetch_media(cache) / source, first, stop, step))
    return Footage(frames=frames, track=list(smooth_track(tracked(cache, source)[first:stop])[::step]))


def stretches(cache: Path, parts: tuple[Stretch, ...]) -> Footage:
    """The footage of several stretches in a row."""
    loaded = [footage(cache, part.source, part.first_frame, part.stop_frame, part.step) for part in parts]
    return Footage(
        frames=[frame for part in loaded for frame in part.frames],
        track=[points for part in loaded for points in part.track],
    )


def donor_of(job: Job) -> Footage | None:
    """The footage a fake borrows from: the other person's for swaps, the same person's for resynthesis."""
    identity = job.plan.identity
    if job.pair.fake.method in SWAPS:
        return stretches(job.cache, STRETCHES[OTHER[identity]])
    if job.pair.fake.method == "pca_resynthesis":
        return stretches(job.cache, STRETCHES[identity])
    return None


def make_pair(job: Job) -> str:
    """Writes the real and the fake clip of one pair; returns a line that says what came out."""
    cv2.setNumThreads(1)
    pair, form = job.pair, job.format
    stop = pair.first_frame + form.frames * form.step
    clip = footage(job.cache, pair.source, pair.first_frame, stop, form.step)
    if len(clip.frames) != form.frames:
        raise ValueError(f"{pair.source} ends before frame {stop}")
    rng = np.random.default_rng([SEED, job.set_index, job.pair_index])
    fake = make_fake(
        clip,
        pair.fake,
        donor=donor_of(job),
        frames_per_second=form.frames_per_second,
        rng=rng,
    )
    height, width = clip.frames[0].shape[:2]
    crop = place_crop(
        clip.track,
        frame_size=(width, height),
        aspect=form.width / form.height,
        zoom=pair.zoom,
        offset=pair.offset,
    )
    audio = room_tone(rng, form.seconds) if form.sound else None
    report = [f"{job.plan.name} {job.pair_index} {pair.fake.method}"]
    versions: tuple[list[Image], ...] = (list(clip.frames), fake)
    for frames, name, factor in zip(versions, job.names, job.size_factors, strict=True):
        shown = [cropped(frame, crop, width=form.width, height=form.height) for frame in frames]
        target = round(form.seconds * form.kilobits_per_second * 125 * factor)
        data, crf = encode_to_size(
            shown, frames_per_second=form.frames_per_second, target_bytes=target, audio=audio
        )
        (job.folder / name).write_bytes(data)
        report.append(f"{name} {len(data)} bytes ({len(data) / target - 1:+.2%}) at CRF {crf:.1f}")
    return ", ".join(report)


def jobs_of(set_index: int, *, cache: Path, output: Path) -> list[Job]:
    """The jobs of one set, with random file names and size factors that real and fake clips share."""
    plan = SETS[set_index]
    rng = np.random.default_rng([SEED, 1000 + set_index])
    count = len(plan.pairs)
    names = [f"{int(value):010x}.mp4" for value in rng.choice(16**10, size=2 * count, replace=False)]
    steps = 1 + SIZE_JITTER * np.linspace(-1, 1, count)
    real, fake = rng.permutation(steps), rng.permutation(steps)
    return [
        Job(
            cache=cache,
            folder=output / plan.name,
            set_index=set_index,
            pair_index=index,
            names=(names[2 * index], names[2 * index + 1]),
            size_factors=(float(real[index]), float(fake[index])),
        )
        for index in range(count)
    ]


def source_of(job: Job) -> str:
    """The source clip and the seconds of it that a pair shows."""
    rate = SOURCE_RATES[job.pair.source]
    start = job.pair.first_frame / rate
    end = (job.pair.first_frame + job.format.frames * job.format.step) / rate
    return f"{job.pair.source} {start:.2f}-{end:.2f} s"


def write_labels(jobs: list[Job]) -> None:
    """The set's labels.csv, in the order of the random file names."""
    rows = []
    for job in jobs:
        for name, label in zip(job.names, (0, 1), strict=True):
            method = job.pair.fake.method if label else "real"
            rows.append((name, label, method, source_of(job), job.plan.identity))
    with (jobs[0].folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("filename", "label", "method", "source", "identity"))
        writer.writerows(sorted(rows))


def write_contact_sheet(jobs: list[list[Job]], path: Path) -> None:
    """Real clips above their fakes, one row each per set."""
    rows = []
    for group in jobs:
        for label in (0, 1):
            rows.append(
                [
                    Entry(
                        video=job.folder / job.names[label],
                        title="real" if label == 0 else f"fake: {job.pair.fake.method}",
                        detail=f"{job.plan.name} {job.format.width}x{job.format.height} "
                        f"{job.format.frames_per_second} fps {job.names[label][:4]}",
                    )
                    for job in group
                ]
            )
    cv2.imwrite(str(path), contact_sheet(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """Fetches, tracks, makes, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("build/sample_videos"))
    parser.add_argument("--output", type=Path, default=Path("sample_videos"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    fetch_media(options.cache)
    for source in SOURCE_RATES:
        print(json.dumps({"tracked": source, "frames": len(tracked(options.cache, source))}))
    groups = [jobs_of(index, cache=options.cache, output=options.output) for index in range(len(SETS))]
    for group in groups:
        group[0].folder.mkdir(parents=True, exist_ok=True)
        for old in group[0].folder.glob("*.mp4"):
            old.unlink()
    with ProcessPoolExecutor(max_workers=options.workers) as pool:
        for line in pool.map(make_pair, [job for group in groups for job in group]):
            print(line, flush=True)
    for group in groups:
        write_labels(group)
    write_contact_sheet(groups, options.output / "contact_sheet.jpg")


if __name__ == "__main__":
    main()
