"""What the members that ship answer in 16 bits on a GPU, against 32 bits, and how fast.

    python -m training.halves --weights WEIGHTS --cache CACHE --report FILE

The crops are those of render.py. An answer is that of a clip: the mean of its crops' calibrated log-odds, by
the sum of evidence that ships. `bf16` is not what the entry uses; it stands beside `fp16` to show why.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detector import evidence, models
from numpy.typing import NDArray

from .pool import RENDERED, Rendered
from .views import centre, to_pictures

DTYPES = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
BATCHES = (16, 128)
REPEATS = 20

Floats = NDArray[np.float64]


@torch.inference_mode()
def logits_of(
    model: models.Member, crops: NDArray[np.uint8], size: int, dtype: torch.dtype | None, device: torch.device
) -> Floats:
    """Logits of crops, (n,), by autocast to a type, or as they are where it is None."""
    parts = []
    for start in range(0, len(crops), BATCHES[-1]):
        some = torch.from_numpy(np.ascontiguousarray(crops[start : start + BATCHES[-1]])).to(device)
        pictures = centre(to_pictures(some), size) * 2 - 1
        with torch.autocast(device.type, dtype or torch.float16, enabled=dtype is not None):
            parts.append(model.predict(pictures.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(parts).double().numpy()


@torch.inference_mode()
def speed_of(
    model: models.Member, size: int, batch: int, dtype: torch.dtype | None, device: torch.device
) -> float:
    """Crops per second, the median of REPEATS batches of noise."""
    pictures = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(REPEATS + 5):
        began = time.perf_counter()
        with torch.autocast(device.type, dtype or torch.float16, enabled=dtype is not None):
            float(model.predict(pictures).float().sum())  # waits for the device
        seconds.append(time.perf_counter() - began)
    return batch / float(np.median(seconds[5:]))


def answers(weights: Path, rendered: Rendered, device: torch.device) -> dict[str, dict[str, object]]:
    """The figures of each type of number."""
    summed = evidence.load(weights)
    loaded = [models.load(path) for path in sorted(weights.glob("*.safetensors"))]
    clips = np.unique(rendered.clips)
    out: dict[str, dict[str, object]] = {}
    exact: Floats = np.empty(0)
    for name, dtype in DTYPES.items():
        found: dict[str, list[Floats]] = {}
        speeds = dict.fromkeys(BATCHES, 0.0)
        for model, config in loaded:
            models.fold_norms(model).to(device) if name == "fp32" else None
            each = logits_of(model, rendered.crops, config.input_size, dtype, device)
            means = np.array([each[rendered.clips == clip].mean() for clip in clips])
            found.setdefault(config.finds, []).append(means / config.temperature + config.bias)
            for batch in BATCHES:
                speeds[batch] += 1 / speed_of(model, config.input_size, batch, dtype, device)
        kinds = {kind: np.mean(some, axis=0) for kind, some in found.items()}
        odds = [summed.log_odds({k: float(v[i]) for k, v in kinds.items()}) for i in range(len(clips))]
        p = 1 / (1 + np.exp(-np.array(odds)))
        exact = p if name == "fp32" else exact
        row: dict[str, object] = {
            f"crops per second, all members, batches of {batch}": round(1 / seconds)
            for batch, seconds in speeds.items()
        }
        if name != "fp32":
            row |= {
                "largest difference of an answer": float(np.abs(p - exact).max()),
                "mean difference of an answer": float(np.abs(p - exact).mean()),
                "difference of the mean log loss, worst labels": float(
                    np.abs(np.log(p / exact)).clip(0).mean()
                ),
            }
        out[name] = row
    return out


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="folder of members and their sum")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that pool filled")
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args(command_line)
    if not torch.cuda.is_available():
        sys.exit("no GPU: the entry computes in 32 bits on a CPU, and there is nothing to compare")
    folder = arguments.cache / "pool"
    rendered = Rendered(
        **{name: np.load(folder / f"rendered_{name}.npy", mmap_mode="r") for name in RENDERED}
    )
    report = {
        "device": f"{torch.cuda.get_device_name()}, torch {torch.__version__}",
        "members": sorted(path.stem for path in arguments.weights.glob("*.safetensors")),
        "clips": len(set(rendered.clips.tolist())),
        "crops": len(rendered.clips),
        **answers(arguments.weights, rendered, torch.device("cuda")),
    }
    arguments.report.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
