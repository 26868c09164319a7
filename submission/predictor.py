"""The entry: one video in, P(fake) out.

decode a few stretches -> find faces, follow them from frame to frame -> cut crops -> every member of the
ensemble on every crop -> frames to persons, members to one sum of evidence, persons to one answer. A thread
decodes the next stretch while the models work on the last one.

Not covered: sound; motion (every frame is judged alone); faces that YuNet does not find; forged pictures
without a face.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from queue import Full, Queue

# Torch's threads wait for each other by spinning, which takes the cores from the decoder and, where cores are
# shared, from themselves: on two busy cores 2.7 to 7.7 s per video spinning, 1.1 s sleeping, for a third of
# the CPU time. Read when torch is loaded, so it must stand before that.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
import torch
from detector import decoding, evidence, faces, models, pooling, tracking
from numpy.typing import NDArray

THREADS = 2  # the default limit; on a host of many cores torch would start as many threads and be throttled
QUEUED_FRAMES = 6  # decoded ahead: six 4K pictures are 150 MB
BATCH = 32
FRAME_RULE = "mean_logit"
# Where no face is found the members look at whole frames, which they were never trained on. Their log-odds
# say little there, so they are shrunk; the answer stays theirs, and the case is counted.
WHOLE_FRAME_TRUST = 0.25


Logits = NDArray[np.float64]
Found = Sequence[tuple[int, Sequence[faces.Box]]]  # (number of a picture, boxes of its faces)


@dataclass(kw_only=True)
class Counts:
    """What happened so far; printed to standard error after each unusual video."""

    videos: int = 0
    without_face: int = 0
    undecodable: int = 0


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One person in one stretch: where (mean box), and what the members say of each frame.

    `logits` is (frames, members): calibrated log-odds of the trace that each looks for.
    """

    stretch: int
    box: faces.Box
    logits: Logits


class Predictor:
    """Answers for one video at a time; weights and detector are loaded once."""

    def __init__(self, package: Path) -> None:
        torch.set_num_threads(THREADS)
        cv2.setNumThreads(THREADS)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._finder = faces.FaceFinder(package)
        files = sorted((package / "weights").glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"no weights in {package / 'weights'}")
        self._members = [models.load(file) for file in files]
        for model, _ in self._members:
            models.fold_norms(model).to(self._device)
        self._evidence = evidence.load(package / "weights")
        self.counts = Counts()

    def predict(self, video: Path) -> float:
        """P(fake) of a video, within [CLIP, 1 - CLIP] of pooling.py.

        A video of which no frame can be decoded gets 0.5, and says so on standard error: there is nothing to
        judge, and an exception would cost the whole run where failures are strict.
        """
        self.counts.videos += 1
        self._finder.start_video()
        sightings: list[Sighting] = []
        spare: list[faces.Picture] = []  # one frame per stretch, in case there is no face at all
        try:
            for stretch, frames in groupby(_read_ahead(Path(video)), key=lambda frame: frame.stretch):
                pictures, found = self._look(frame.picture for frame in frames)
                spare.append(pictures[len(pictures) // 2])
                sightings += self._judge_stretch(stretch, pictures, found)
        except decoding.UndecodableVideoError as error:
            self.counts.undecodable += 1
            self._tell(f"0.5 for a video that cannot be decoded: {error}")
            return 0.5
        if not sightings:
            self.counts.without_face += 1
            self._tell("no face: judged by whole frames")
            logits = self._logits([(picture, None) for picture in spare])
            return pooling.clip(_sigmoid(self._log_odds(logits) * WHOLE_FRAME_TRUST))
        persons = [(_sigmoid(self._log_odds(logits)), len(logits)) for logits in _persons(sightings)]
        return pooling.clip(pooling.pool_persons(persons))

    def _look(self, frames: Iterable[faces.Picture]) -> tuple[list[faces.Picture], Found]:
        """The pictures of a stretch and their faces; looked for while the next ones are decoded."""
        pictures: list[faces.Picture] = []
        found: list[tuple[int, list[faces.Box]]] = []
        for number, picture in enumerate(frames):
            pictures.append(picture)
            found.append((number, [face.box for face in self._finder.find(picture)]))
        return pictures, found

    def _judge_stretch(self, stretch: int, pictures: Sequence[faces.Picture], found: Found) -> list[Sighting]:
        upright = [self._finder.turned(picture) for picture in pictures]
        sightings = []
        for track in tracking.link(found):
            seen = [(upright[number], box) for number, box in track.boxes.items()]
            mean_box = np.mean([box for _, box in seen], axis=0)
            sightings.append(Sighting(stretch=stretch, box=mean_box, logits=self._logits(seen)))
        return sightings

    def _logits(self, seen: Sequence[tuple[faces.Picture, faces.Box | None]]) -> Logits:
        """Each member's calibrated log-odds of each (picture, box); no box: the picture: (n, members)."""
        out = np.empty((len(seen), len(self._members)))
        cut: dict[tuple[int, float], list[faces.Picture]] = {}  # once for all members that want it alike
        for column, (model, config) in enumerate(self._members):
            how = (config.input_size, config.margin)
            if how not in cut:
                cut[how] = [_crop(picture, box, config) for picture, box in seen]
            crops = cut[how]
            for start in range(0, len(crops), BATCH):
                batch = models.to_tensor(np.stack(crops[start : start + BATCH])).to(self._device)
                with (
                    torch.inference_mode(),
                    torch.autocast("cuda", torch.float16, enabled=self._device.type == "cuda"),
                ):
                    logits = model.predict(batch)
                raw = logits.float().cpu().numpy().astype(np.float64)
                out[start : start + BATCH, column] = raw / config.temperature + config.bias
        return out

    def _log_odds(self, logits: Logits) -> float:
        """One person's frames, (n, members), to the log-odds of being fake."""
        said = [
            (config.finds, _pool(frames)) for (_, config), frames in zip(self._members, logits.T, strict=True)
        ]
        by_kind = {kind: [value for name, value in said if name == kind] for kind, _ in said}
        return self._evidence.log_odds({kind: float(np.mean(some)) for kind, some in by_kind.items()})

    def _tell(self, message: str) -> None:
        print(f"{message} ({self.counts})", file=sys.stderr)


def _crop(picture: faces.Picture, box: faces.Box | None, config: models.MemberConfig) -> faces.Picture:
    if box is None:
        return faces.whole_frame(picture, config.input_size)
    return faces.cut(picture, faces.square_around(box, config.margin), config.input_size)


def _sigmoid(log_odds: float) -> float:
    return float(np.exp(-np.logaddexp(0, -log_odds)))  # without overflow


def _pool(logits: Logits) -> float:
    """One member's frames of one person, (n,), to one log-odds, by FRAME_RULE."""
    p = pooling.pool_frames([_sigmoid(value) for value in logits], FRAME_RULE)
    return float(np.log(p / (1 - p)))


def _persons(sightings: Sequence[Sighting]) -> list[Logits]:
    """Joins the sightings of each person over the stretches, by place: their frames, (n, members)."""
    by_stretch = [(s, list(group)) for s, group in groupby(sightings, key=lambda sighting: sighting.stretch)]
    boxes = [(s, [sighting.box for sighting in group]) for s, group in by_stretch]
    groups = dict(by_stretch)
    return [
        np.concatenate(
            [
                sighting.logits
                for s, box in track.boxes.items()
                for sighting in groups[s]
                if sighting.box is box
            ]
        )
        for track in tracking.link(boxes)
    ]


def _read_ahead(video: Path) -> Iterator[decoding.Frame]:
    """Decodes in a thread, a few frames ahead of whoever reads."""
    queue: Queue[decoding.Frame | BaseException | None] = Queue(maxsize=QUEUED_FRAMES)
    stop = threading.Event()

    def put(item: decoding.Frame | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for frame in decoding.read_frames(video):
                if not put(frame):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  (raised again by the reader: a thread has no caller)
            put(error)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
