r"""What members are worth on clips that their fold's training never saw, before the harness says it.

    python -m training.judge look --unseen UNSEEN --cache CACHE  # once: what the entry would see
    python -m training.judge score --clips FOLDER --unseen UNSEEN --cache CACHE --runs RUNS \
        --kinds generated swapped --report FILE

`look` renders the sets of every fold's challenge, decodes and finds faces as the entry does, and keeps the
crops. `score` gives each clip to the member of the fold that held it out, for as many members as are named,
and writes all frames' logits with the figures. A fourth set is what render.py forged by hand of the real
clips, beside what it forged it from: people held out, the public recipe. For choosing and calibrating; the
figures that are quoted are the harness's own.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from detector import models
from numpy.typing import NDArray
from tqdm import tqdm

from . import album
from .clips import FOLDS, read_clips, split
from .fakes import Crop
from .figures import auc
from .places import PACKAGE
from .pool import read_rendered

SETS = ("control", "public", "private")
FORGED = "forged by hand"  # the fourth set, and the generator that its fakes are said to be of
FRAMES = 8  # looked at per video, as the entry does
AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The crops of one clip in one set, and what is known of it."""

    name: str
    fold: int
    label: int
    generator: str
    identity: str
    repository: str
    crops: tuple[Crop, ...]


def look(unseen: Path, cache: Path) -> None:
    """Keeps what the entry would see of every clip in every set; what is there is left as it is."""
    from detector.decoding import read_frames  # noqa: PLC0415  (PyAV and the harness are needed here alone)
    from detector.faces import FaceFinder, cut, square_around  # noqa: PLC0415  (likewise)

    from harness.core.challenge import load_challenge  # noqa: PLC0415  (likewise)
    from harness.core.types import SetName  # noqa: PLC0415  (likewise)
    from harness.videos.ready_set import ready_set  # noqa: PLC0415  (likewise)

    finder = FaceFinder(PACKAGE)
    config = models.MemberConfig(kind="plain")
    for fold in range(FOLDS):
        with (unseen / f"fold{fold}" / "videos" / "labels.csv").open(newline="") as file:
            clips = [Path(row["filename"]).stem for row in csv.DictReader(file)]
        for name in SETS:
            folder = cache / "unseen" / name
            folder.mkdir(parents=True, exist_ok=True)
            if all((folder / f"{clip}.npz").exists() for clip in clips):
                continue  # without a look at the prepared videos, which takes a minute for all sets
            challenge = load_challenge(unseen / f"fold{fold}" / "challenge.toml")
            prepared = ready_set(SetName(name), challenge, cache=unseen / "prepared")
            for video in tqdm(prepared.videos, desc=f"fold {fold} {name}", unit="clip"):
                target = folder / f"{Path(video.source_id).stem}.npz"
                if target.exists():
                    continue
                finder.start_video()
                crops = []
                for frame in read_frames(video.path, frames=FRAMES):
                    for face in finder.find(frame.picture)[:1]:
                        square = square_around(face.box, config.margin)
                        crops.append(cut(finder.turned(frame.picture), square, config.input_size))
                album.save(target, album.pack("crops", crops))


def read_seen(unseen: Path, cache: Path, name: str) -> list[Seen]:
    """What `look` kept of one set."""
    seen = []
    for fold in range(FOLDS):
        with (unseen / f"fold{fold}" / "videos" / "labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            stem = Path(row["filename"]).stem
            with np.load(cache / "unseen" / name / f"{stem}.npz") as arrays:
                crops = tuple(album.unpack("crops", arrays))
            seen.append(
                Seen(
                    name=stem,
                    fold=fold,
                    label=int(row["label"]),
                    generator=row["method"],
                    identity=row["identity"],
                    repository=row["repository"],
                    crops=crops,
                )
            )
    return seen


def read_forged(clips: Sequence[Path], cache: Path, always: Sequence[str]) -> list[Seen]:
    """Rendered runs of the real clips of every fold, and their forged twins: each clip twice."""
    every = read_clips(clips)
    margin = models.MemberConfig(kind="plain").input_size
    seen = []
    for fold in range(FOLDS):
        held_out = [clip for clip in split(every, fold, always=always)[1] if not clip.label]
        rendered = read_rendered(cache, held_out)
        first = (rendered.crops.shape[1] - margin) // 2  # the middle is the entry's square: views.centre
        crops = rendered.crops[:, first : first + margin, first : first + margin]
        for clip in held_out:
            for label, side in ((0, "as it was"), (1, "forged")):
                rows = (rendered.clips == clip.name) & (rendered.labels == label)
                if rows.any():
                    seen.append(
                        Seen(
                            name=f"{clip.name} {side}",
                            fold=fold,
                            label=label,
                            generator=FORGED if label else "",
                            identity=clip.identity,
                            repository=clip.repository,
                            crops=tuple(crops[rows]),
                        )
                    )
    return seen


@torch.inference_mode()
def logits_of(model: models.Member, crops: Sequence[Crop], device: torch.device) -> NDArray[np.float64]:
    """Logits of crops, (n,)."""
    parts = []
    for start in range(0, len(crops), AT_ONCE):
        batch = models.to_tensor(np.stack(crops[start : start + AT_ONCE])).to(device)
        parts.append(model.predict(batch).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)


def judge(
    folds: Sequence[Path], sets: dict[str, list[Seen]], device: torch.device
) -> dict[str, dict[str, list[float]]]:
    """The logits of each clip's frames by set and name, each by the member that did not see it."""
    out: dict[str, dict[str, list[float]]] = {name: {} for name in sets}
    for fold, path in enumerate(folds):
        model, _ = models.load(path)
        model.to(device)
        for name, seen in sets.items():
            mine = [one for one in seen if one.fold == fold]
            flat = logits_of(model, [crop for one in mine for crop in one.crops], device)
            ends = np.cumsum([len(one.crops) for one in mine])
            for one, part in zip(mine, np.split(flat, ends[:-1]), strict=True):
                out[name][one.name] = [round(float(v), 4) for v in part]
    return out


def summary(logits: dict[str, list[float]], seen: Sequence[Seen]) -> dict[str, float]:
    """AUC and log loss of the mean logit per clip: of all, of each fold, of each generator."""
    mean = {one.name: float(np.mean(logits[one.name] or [0.0])) for one in seen}
    out = {}
    groups = {"all": list(seen)} | {f"fold {f}": [o for o in seen if o.fold == f] for f in range(FOLDS)}
    for name in sorted({o.generator for o in seen if o.label}):
        folds = {o.fold for o in seen if o.generator == name}
        groups[name] = [o for o in seen if o.generator == name or (o.fold in folds and not o.label)]
    for name, group in groups.items():
        real = np.array([mean[o.name] for o in group if not o.label])
        fake = np.array([mean[o.name] for o in group if o.label])
        if len(real) and len(fake):
            out[f"{name}: auc"] = round(auc(real, fake), 3)
    signed = np.array([-mean[o.name] if o.label else mean[o.name] for o in seen])
    return out | {"log loss, not calibrated": round(float(np.logaddexp(0, signed).mean()), 3)}


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("look", "score"))
    parser.add_argument("--unseen", type=Path, required=True, help="the folder that training.unseen made")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--clips", type=Path, nargs="+", default=[], help="folders given to train.py")
    parser.add_argument("--always", nargs="+", default=[], help="as given to train.py")
    parser.add_argument("--runs", type=Path, help="folder of runs: RUNS/KIND/foldN/*.safetensors")
    parser.add_argument("--kinds", nargs="+", default=[], help="names of folders in --runs")
    parser.add_argument("--report", type=Path, help="JSON; kinds that it has already are not judged again")
    arguments = parser.parse_args(command_line)
    if arguments.what == "look":
        look(arguments.unseen, arguments.cache)
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sets = {name: read_seen(arguments.unseen, arguments.cache, name) for name in SETS}
    sets[FORGED] = read_forged(arguments.clips, arguments.cache, arguments.always)
    report = json.loads(arguments.report.read_text()) if arguments.report.exists() else {}
    report["clips"] = {
        one.name: {
            "label": one.label, "fold": one.fold, "generator": one.generator, "identity": one.identity,
            "repository": one.repository,
        }
        for one in (*sets["control"], *sets[FORGED])
    }  # fmt: skip
    for kind in arguments.kinds:
        if kind in report:
            continue
        folds = [next((arguments.runs / kind / f"fold{f}").glob("*.safetensors")) for f in range(FOLDS)]
        logits = judge(folds, sets, device)
        report[kind] = {
            name: {"summary": summary(logits[name], sets[name]), "logits": logits[name]} for name in sets
        }
        for name in sets:
            print(kind, name, json.dumps(report[kind][name]["summary"]))
        partial = arguments.report.with_suffix(".part")
        partial.write_text(json.dumps(report) + "\n")
        partial.rename(arguments.report)


if __name__ == "__main__":
    main()
