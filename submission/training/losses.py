"""The loss of a batch: cross-entropy, and for WS-DAN its further views and its centre loss."""

from __future__ import annotations

import torch
from detector import attention as attn
from detector import models
from torch import Tensor
from torch.nn import functional as nnf

SMOOTHING = 0.03  # of labels: we do not believe in certainty (see pooling.CLIP)
CENTRE_WEIGHT = 1.0
CENTRE_STEP = 0.05  # beta of WS-DAN
CROP_THRESHOLDS = (0.4, 0.6)
DROP_THRESHOLDS = (0.2, 0.5)
CROP_PADDING = 0.1


def loss_of(
    model: models.Member, images: Tensor, labels: Tensor, centres: Tensor, generator: torch.Generator
) -> Tensor:
    """The mean loss of a batch (Hu et al. 2019, sections 3.1 to 3.3, for WS-DAN).

    Args:
        model: in training mode.
        images: (batch, 3, height, width).
        labels: (batch,), in [0, 1].
        centres: (2, features), moved in place, as the paper has it; other kinds than WS-DAN leave it alone.
        generator: draws the attention maps and thresholds.
    """
    soft = labels * (1 - 2 * SMOOTHING) + SMOOTHING
    if not isinstance(model, models.WsDan):
        return nnf.binary_cross_entropy_with_logits(model(images), soft)
    raw = model.look(images)
    with torch.no_grad():
        cropped = _crop_view(images, raw.attention, generator)
        dropped = _drop_view(images, raw.attention, generator)
    views = model(torch.cat([cropped, dropped]))
    logits = torch.stack([raw.logits, *views.chunk(2)])
    loss = nnf.binary_cross_entropy_with_logits(logits, soft.expand(3, -1))
    sides = labels.round().long()  # a mixture belongs to the centre it is nearer to
    mine = nnf.normalize(centres, dim=1)[sides]
    centre_loss = (raw.pooled - mine).square().sum(dim=1).mean()
    with torch.no_grad():
        for label in (0, 1):
            rows = sides == label
            if rows.any():
                centres[label] += CENTRE_STEP * (raw.pooled[rows] - mine[rows]).mean(dim=0)
    return loss + CENTRE_WEIGHT * centre_loss


def _crop_view(images: Tensor, attention: Tensor, generator: torch.Generator) -> Tensor:
    drawn = attn.enlarge(attn.draw_map(attention, generator), images)
    threshold = _uniform(CROP_THRESHOLDS, len(images), generator)
    return attn.crop(images, attn.crop_boxes(drawn, threshold, CROP_PADDING))


def _drop_view(images: Tensor, attention: Tensor, generator: torch.Generator) -> Tensor:
    drawn = attn.enlarge(attn.draw_map(attention, generator), images)
    return attn.drop(images, drawn, _uniform(DROP_THRESHOLDS, len(images), generator))


def _uniform(limits: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    device = generator.device
    return limits[0] + (limits[1] - limits[0]) * torch.rand(count, generator=generator, device=device)
