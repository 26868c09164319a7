"""What happens to pictures between the pool and a member, real and fake alike, in batches on the device.

Squares are cut at random, bent and mirrored; then pictures are worn by the kinds of the *public* recipe:
blur, noise, resolution, compression, brightness, grey. The private kinds (rotation, contrast, things laid
over) are never seen.

Rows 2i and 2i + 1 are a pair. A pair is always cut alike and mostly worn alike: what is left to tell the two
apart is the forgery. Everything is a function of the generator that is passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as nnf

MARGINS = (1.3, 1.7)  # of the squares, in units of the face box
SHIFT = 0.06  # of the square's side
STRETCH = 0.08  # width against height
BENDS = 4  # grid of the gentle bending, along each side
BEND = 0.008  # its standard deviation, in units of the picture
UNTOUCHED = 0.25  # of the pairs are cut as the entry cuts: no resampling
ALIKE = 0.75  # of the pairs are worn alike
NATIVE = (56.0, 192.0)  # side in pixels to which half of the squares are shrunk: faces in small videos
QUALITY = (30.0, 95.0)  # of the compression
REACH = 5  # of a blur, in pixels
PARTS = 8  # of a batch that share one resolution

# Luminance and chrominance tables of JPEG (ITU-T T.81, annex K).
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Random numbers for the rows of a batch, the same ones for both rows of a pair that is worn alike."""

    generator: torch.Generator
    rows: Tensor  # (n,): which number a row gets

    @classmethod
    def of(cls, count: int, generator: torch.Generator) -> Draw:
        """Decides which of `count` / 2 pairs are worn alike."""
        rows = torch.arange(count, device=generator.device)
        alike = torch.rand(count // 2, generator=generator, device=generator.device) < ALIKE
        return cls(generator=generator, rows=rows - (rows % 2) * alike.repeat_interleave(2))

    def uniform(self, low: float, high: float) -> Tensor:
        """(n,) between low and high."""
        device = self.generator.device
        drawn = torch.rand(len(self.rows), generator=self.generator, device=device)[self.rows]
        return low + (high - low) * drawn

    def chance(self, share: float) -> Tensor:
        """(n,) booleans, a share of them true."""
        return self.uniform(0, 1) < share


def to_pictures(crops: Tensor) -> Tensor:
    """(n, side, side, 3) bytes to (n, 3, side, side) in [0, 1]."""
    return crops.permute(0, 3, 1, 2).float() / 255


def centre(pictures: Tensor, size: int) -> Tensor:
    """The middle `size` pixels: what the entry sees, where the pool's scale is the entry's."""
    first = (pictures.shape[2] - size) // 2
    return pictures[:, :, first : first + size, first : first + size]


def cut(pictures: Tensor, size: int, generator: torch.Generator, *, margin: float) -> Tensor:
    """Squares of `size` pixels out of pictures of a margin, cut, bent and mirrored; a pair's rows alike."""
    pairs, device = len(pictures) // 2, pictures.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(pairs, *shape, generator=generator, device=device)

    zoom = uniform(*MARGINS) / margin
    stretch = torch.exp(uniform(-STRETCH / 2, STRETCH / 2))
    mirror = 1 - 2 * (uniform(0, 1) < 0.5).float()
    shift = uniform(-SHIFT, SHIFT, 2) * 2 * zoom[:, None]
    bends = BEND * 2 * torch.randn(pairs, 2, BENDS, BENDS, generator=generator, device=device)
    untouched = uniform(0, 1) < UNTOUCHED
    zoom = torch.where(untouched, torch.full_like(zoom, size / pictures.shape[2]), zoom)
    stretch = torch.where(untouched, torch.ones_like(stretch), stretch)
    shift, bends = shift * ~untouched[:, None], bends * ~untouched[:, None, None, None]
    line = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    ys, xs = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([xs, ys], dim=-1).expand(pairs, size, size, 2)
    scale = torch.stack([zoom * stretch * mirror, zoom / stretch], dim=1)[:, None, None]
    bent = nnf.interpolate(bends, size=[size, size], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    grid = (grid * scale + shift[:, None, None] + bent).repeat_interleave(2, dim=0)
    return nnf.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def wear(pictures: Tensor, generator: torch.Generator, *, strength: float = 1.0) -> Tensor:
    """What happens to any video on its way; `strength` scales how often."""
    draw = Draw.of(len(pictures), generator)
    out = _shrink(pictures, draw, draw.chance(0.5 * strength))
    out = _blur(out, torch.where(draw.chance(0.2 * strength), draw.uniform(0.4, 1.8), out.new_tensor(1e-3)))
    level = torch.where(draw.chance(0.25 * strength), draw.uniform(1, 12) / 255, out.new_tensor(0.0))
    out = out + level[:, None, None, None] * torch.randn(
        out.shape, generator=generator, device=generator.device
    )
    tinted = draw.chance(0.5 * strength)
    light = draw.uniform(-40, 40) / 255
    tint = torch.stack([draw.uniform(-8, 8) / 255 for _ in range(3)], dim=1)
    out = out + (tinted[:, None] * (light[:, None] + tint))[:, :, None, None]
    grey = draw.chance(0.1 * strength)[:, None, None, None]
    out = torch.where(grey, out.mean(dim=1, keepdim=True).expand_as(out), out).clamp(0, 1)
    return _compress(out, draw.uniform(*QUALITY), draw.chance(0.7 * strength), generator)


def blank(pictures: Tensor, generator: torch.Generator, *, share: float = 0.2) -> Tensor:
    """Blanks a rectangle of some pairs, alike in both rows: no single part may carry the answer."""
    pairs, side, device = len(pictures) // 2, pictures.shape[2], pictures.device

    def uniform(low: float, high: float) -> Tensor:
        drawn = low + (high - low) * torch.rand(pairs, generator=generator, device=device)
        return drawn.repeat_interleave(2)[:, None, None]

    y, x = (uniform(0.2, 0.8) * side for _ in range(2))
    tall, wide = (uniform(0.05, 0.16) * side for _ in range(2))
    grey = uniform(0, 1)[:, None]
    line = torch.arange(side, device=device)
    inside = ((line[None, :, None] - y).abs() < tall) & ((line[None, None, :] - x).abs() < wide)
    inside = inside & (uniform(0, 1) < share)
    return torch.where(inside[:, None], grey, pictures)


def _shrink(pictures: Tensor, draw: Draw, chosen: Tensor) -> Tensor:
    """Some rows down and up again, an eighth of the pairs at a time to one resolution."""
    low, high = torch.tensor(NATIVE).log().tolist()
    device = draw.generator.device
    sides = torch.exp(low + (high - low) * torch.rand(PARTS, generator=draw.generator, device=device))
    ups = torch.rand(PARTS, generator=draw.generator, device=device) < 0.5
    size = pictures.shape[2]
    out = pictures.clone()
    for part, (side, up) in enumerate(zip(sides.round().int().tolist(), ups.tolist(), strict=True)):
        rows = ((torch.div(draw.rows, 2, rounding_mode="floor") % PARTS == part) & chosen).nonzero()[:, 0]
        if len(rows) and side < size:
            small = nnf.interpolate(pictures[rows], size=[side, side], mode="bilinear", antialias=True)
            back = nnf.interpolate(small, size=[size, size], mode="bilinear" if up else "bicubic")
            out[rows] = back.clamp(0, 1)
    return out


def _blur(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Each row by its own sigma, as weighted sums of shifted pictures: grouped convolutions are slow."""
    height, width = pictures.shape[2:]
    offsets = torch.arange(-REACH, REACH + 1, device=pictures.device)
    kernel = torch.exp(-(offsets[None] ** 2) / (2 * sigma[:, None] ** 2))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True))[:, :, None, None, None]
    padded = nnf.pad(pictures, (REACH,) * 4, mode="reflect")
    down = torch.zeros_like(padded[:, :, :height])
    for k in range(2 * REACH + 1):
        down = down + kernel[:, k] * padded[:, :, k : k + height]
    out = torch.zeros_like(pictures)
    for k in range(2 * REACH + 1):
        out = out + kernel[:, k] * down[..., k : k + width]
    return out


def _compress(pictures: Tensor, quality: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """What JPEG's quantisation loses, 4:2:0, its grid anywhere."""
    device = pictures.device
    offset = torch.randint(0, 16, (2,), generator=generator, device=device).tolist()
    rolled = torch.roll(pictures, offset, dims=(2, 3)) * 255 - 128
    to_luma = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], device=device
    )
    colours = torch.einsum("ij,njhw->nihw", to_luma, rolled)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None]
    tables = [torch.tensor(t, device=device, dtype=torch.float32) for t in (_LUMINANCE, _CHROMINANCE)]
    luma, chroma = [(t * scale).round().clamp(1, 255) for t in tables]
    bright = _quantise(colours[:, :1], luma)
    half = nnf.avg_pool2d(colours[:, 1:], 2)
    size = list(pictures.shape[2:])
    colour = nnf.interpolate(_quantise(half, chroma), size=size, mode="bilinear", align_corners=False)
    back = torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_luma), torch.cat([bright, colour], dim=1))
    back = torch.roll((back + 128) / 255, [-o for o in offset], dims=(2, 3)).clamp(0, 1)
    return torch.where(chosen[:, None, None, None], back, pictures)


def _quantise(planes: Tensor, table: Tensor) -> Tensor:
    """Blocks of 8 x 8 through the cosine transform, rounded in units of a table per row, and back."""
    count, channels, height, width = planes.shape
    k = torch.arange(8, device=planes.device, dtype=torch.float32)
    basis = torch.cos((2 * k[None, :] + 1) * k[:, None] * torch.pi / 16) / 2
    basis[0] /= 2**0.5
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8)
    waves = torch.einsum("ua,ncyaxb,vb->ncyuxv", basis, blocks, basis)
    steps = table[:, None, None, :, None, :]
    rounded = (waves / steps).round() * steps
    return torch.einsum("ua,ncyuxv,vb->ncyaxb", basis, rounded, basis).reshape(planes.shape)
