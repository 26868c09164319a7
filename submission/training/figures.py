"""Figures of a training run, and their picture. What the entry is worth is for the harness to say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from detector import models
from numpy.typing import NDArray

BATCH = 32


@torch.inference_mode()
def logits_of(model: models.Member, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logits of crops, (n,), with the model as it will be used at test."""
    trained = model.training
    model.eval()
    device = next(model.parameters()).device
    parts = [
        model.predict(models.to_tensor(crops[i : i + BATCH]).to(device)).cpu()
        for i in range(0, len(crops), BATCH)
    ]
    model.train(trained)
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def figures(
    logits: NDArray[np.float64], labels: NDArray[np.float32], methods: Sequence[str]
) -> dict[str, float]:
    """log_loss, auc, and auc_<method> of each method against all real crops."""
    real, fake = logits[labels == 0], logits[labels == 1]
    signed = np.where(labels == 1, logits, -logits)
    out = {"log_loss": float(np.logaddexp(0, -signed).mean()), "auc": auc(real, fake)}
    names = np.array(methods)
    for name in sorted(set(methods) - {"real"}):
        out[f"auc_{name}"] = auc(real, logits[names == name])
    return out


def auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """The chance that a fake scores above a real one; ties count half."""
    difference = fake[:, None] - real[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def draw_curve(log: Path, picture: Path) -> None:
    """Training loss, and log loss and AUC of what is held out, over the steps."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import, and only needed at the end)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  (plots alone need it)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(7, 4))
    steps = [line["step"] for line in lines]
    for name in lines[-1]:
        if name.endswith(("loss", "/auc")):
            axes.plot(steps, [line[name] for line in lines], marker=".", label=name)
    axes.axhline(np.log(2), color="grey", linestyle=":", label="log loss of a constant 0.5")
    axes.set_xlabel("step")
    axes.legend(fontsize="small")
    figure.savefig(picture, dpi=100)
    plt.close(figure)
