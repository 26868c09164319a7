"""The arithmetic of WS-DAN (Hu et al. 2019, arXiv 1901.09891), apart from any network.

Everything here is a pure function of tensors, so that it can be checked by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as nnf

EPSILON = 1e-6


def bilinear_pool(features: Tensor, attention: Tensor) -> Tensor:
    """Pools features under each attention map.

    For map m and channel c: the spatial mean of attention_m x features_c; then sign(x) sqrt(|x| + eps) and L2
    normalisation over everything (paper, section 3.1.2).

    Args:
        features: (batch, channels, height, width).
        attention: (batch, maps, height, width), not negative.

    Returns:
        (batch, maps * channels), each row of length 1 (the map is the slow index).
    """
    height, width = features.shape[2:]
    pooled = torch.einsum("bmhw,bchw->bmc", attention, features) / (height * width)
    rooted = torch.sign(pooled) * torch.sqrt(pooled.abs() + EPSILON)
    return nnf.normalize(rooted.flatten(1), dim=1)


def draw_map(attention: Tensor, generator: torch.Generator) -> Tensor:
    """Draws one map per image with probability proportional to the root of its mean activation.

    Returns:
        (batch, 1, height, width).
    """
    weights = torch.sqrt(attention.detach().mean(dim=(2, 3)) + EPSILON)
    chosen = torch.multinomial(weights, 1, generator=generator)
    return attention.detach()[torch.arange(len(attention)), chosen[:, 0]][:, None]


def crop_boxes(attention_map: Tensor, threshold: Tensor, padding: float) -> Tensor:
    """The bounding boxes of what is attended to.

    Args:
        attention_map: (batch, 1, height, width), already as large as the image.
        threshold: (batch,), a share of each map's maximum; what is above it is inside.
        padding: added on every side, as a share of the image's height or width.

    Returns:
        (batch, 4): top, bottom, left, right, as shares of the image in [0, 1]. The whole image where the
        map is flat zero.
    """
    batch, _, height, width = attention_map.shape
    inside = attention_map[:, 0] > threshold[:, None, None] * attention_map.amax(dim=(1, 2, 3))[:, None, None]
    rows, columns = inside.any(dim=2), inside.any(dim=1)
    empty = ~inside.flatten(1).any(dim=1)

    def ends(hit: Tensor, length: int) -> tuple[Tensor, Tensor]:
        index = torch.arange(length, device=hit.device).expand(batch, length)
        first = torch.where(hit, index, length).amin(dim=1) / length - padding
        last = (torch.where(hit, index, -1).amax(dim=1) + 1) / length + padding
        first = torch.where(empty, torch.zeros_like(first), first)
        last = torch.where(empty, torch.ones_like(last), last)
        return first.clamp(0, 1), last.clamp(0, 1)

    return torch.stack([*ends(rows, height), *ends(columns, width)], dim=1)


def crop(images: Tensor, boxes: Tensor) -> Tensor:
    """Cuts each image's box out and scales it back to the image's size (bilinear).

    Args:
        images: (batch, channels, height, width).
        boxes: (batch, 4) as `crop_boxes` gives them.
    """
    top, bottom, left, right = boxes.to(images.dtype).unbind(dim=1)
    zero = torch.zeros_like(top)
    # affine_grid's coordinates run from -1 to 1 over the picture's outer edges
    theta = torch.stack(
        [
            torch.stack([right - left, zero, left + right - 1], dim=1),
            torch.stack([zero, bottom - top, top + bottom - 1], dim=1),
        ],
        dim=1,
    )
    grid = nnf.affine_grid(theta, list(images.shape), align_corners=False)
    return nnf.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def drop(images: Tensor, attention_map: Tensor, threshold: Tensor) -> Tensor:
    """Sets to zero what is attended to most: pixels above a share of the map's maximum.

    Args:
        images: (batch, channels, height, width); zero is the mean colour once images are normalised.
        attention_map: (batch, 1, height, width).
        threshold: (batch,).
    """
    limit = threshold[:, None, None, None] * attention_map.amax(dim=(1, 2, 3), keepdim=True)
    return images * (attention_map <= limit)


def enlarge(attention_map: Tensor, images: Tensor) -> Tensor:
    """Scales maps to the size of the images (bilinear)."""
    size = list(images.shape[2:])
    return nnf.interpolate(attention_map, size=size, mode="bilinear", align_corners=False)
