"""Small autoencoders of faces: what a network's decoder draws is a fake of no generator in particular.

Trained generators end in a decoder that draws a face from few numbers. What it leaves behind, smooth skin,
lost fine noise and the pattern of its upsampling, is most of what their fakes have in common, and what fakes
blended by hand lack. So a few small autoencoders with different decoders are trained on the real faces that
are held out of no fold, and redraw any real face: whole, or its inner part blended in. The real picture is
its twin. (Zhang et al. 2019 simulate generators so; Chen et al. 2024 pair reals with their reconstructions.)
Half of them are trained against a discriminator of patches besides (Isola et al. 2017), as most generators
were: they draw sharp skin that is not the person's, and leave other traces than those that only blur.

    python -m training.autoencoders --clips FOLDER --cache CACHE --always REPOSITORY ...

Not covered: motion; anything that a decoder of this size cannot draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as nnf
from tqdm import tqdm

from . import views
from .augment import cut_square, resize
from .clips import read_clips
from .forge import FACE_MARGIN, read_faces
from .pool import MARGIN, SIDE

STEPS = 800
BATCH = 24
SAVE_EVERY = 20  # steps: a quarter of an hour on two cores
SIZES = (96, 128, 160, 192)  # of the training pictures
# (how the decoder upsamples, numbers per 8 x 8 pixels, weight of a discriminator's word)
KINDS = (
    ("nearest", 4, 0.0),
    ("transposed", 6, 0.0),
    ("shuffle", 8, 0.0),
    ("nearest", 16, 0.0),
    ("nearest", 6, 0.02),
    ("transposed", 8, 0.04),
    ("shuffle", 12, 0.04),
    ("nearest", 12, 0.08),
    ("bilinear", 8, 0.0),
    ("wide", 4, 0.0),
    ("bilinear", 6, 0.03),
    ("wide", 10, 0.06),
    ("shuffle", 4, 0.02),
    ("nearest", 24, 0.04),
    ("wide", 16, 0.03),
    ("bilinear", 16, 0.08),
)
AT_ONCE = 5  # of more than EACH redraw the pictures of one batch: others cost more than they bring
EACH = 8
LEARNING_RATE = 1e-3
EDGES = 2.0  # weight of differences of neighbouring pixels: a decoder that only blurs would be too easy
ALONE = 0.3  # share of the steps before the discriminator joins


Part = nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.GroupNorm(8, outside), nn.SiLU(inplace=True)
    )


def _up(kind: str, channels: int) -> nn.Module:
    if kind == "transposed":
        return nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1)
    if kind == "wide":  # the transposed convolution of most generators that are trained against a judge
        return nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(channels, 4 * channels, 1), nn.PixelShuffle(2))
    return nn.Upsample(scale_factor=2, mode=kind)


class Discriminator(nn.Module):
    """Says of each patch of some 30 pixels how real it looks: pictures (n, 3, h, w) to (n, 1, h/8, w/8)."""

    WIDTHS = (32, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for outside in self.WIDTHS:
            layers += [nn.Conv2d(inside, outside, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            inside = outside
        self.layers = nn.Sequential(*layers, nn.Conv2d(inside, 1, 3, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores, larger for more real."""
        scores: Tensor = self.layers(pictures * 2 - 1)
        return scores


class Autoencoder(nn.Module):
    """Pictures (n, 3, h, w) in [0, 1], sides divisible by 8, through `numbers` channels at an eighth."""

    WIDTHS = (24, 48, 72, 96)

    def __init__(self, kind: str, numbers: int) -> None:
        super().__init__()
        a, b, c, d = self.WIDTHS
        self.encoder = nn.Sequential(
            _block(3, a),
            *(layer for i, o in ((a, b), (b, c), (c, d)) for layer in (nn.AvgPool2d(2), _block(i, o))),
            nn.Conv2d(d, numbers, 1),
        )
        self.decoder = nn.Sequential(
            _block(numbers, d),
            *(
                layer
                for i, o in ((d, c), (c, b), (b, a))
                for layer in (_up(kind, i), _block(i, o), _block(o, o))
            ),
            nn.Conv2d(a, 3, 3, padding=1),
        )

    def forward(self, pictures: Tensor, disturbance: Tensor | None = None) -> Tensor:
        """The picture redrawn; `disturbance`, if given, is added to the numbers in units of their spread."""
        numbers = self.encoder(pictures * 2 - 1)
        if disturbance is not None:
            numbers = numbers + disturbance * numbers.std()
        redrawn: Tensor = self.decoder(numbers) / 2 + 0.5
        return redrawn


def build() -> nn.ModuleList:
    """One autoencoder of each kind, untrained."""
    return nn.ModuleList(Autoencoder(kind, numbers) for kind, numbers, _ in KINDS)


def fit(
    faces: Tensor,
    *,
    steps: int,
    seed: int,
    device: torch.device,
    batch: int = BATCH,
    kept: Path | None = None,
) -> nn.ModuleList:
    """Trains one of each kind on faces, (n, SIDE, SIDE, 3) bytes.

    Args:
        faces: what they learn to redraw.
        steps: how long.
        seed: of weights and batches.
        device: where.
        batch: pictures a step.
        kept: a file for the state; what was stopped goes on there.
    """
    torch.manual_seed(seed)
    generator = torch.Generator(device).manual_seed(seed)
    models = build().to(device)
    against = [(number, weight) for number, (_, _, weight) in enumerate(KINDS) if weight]
    judges = nn.ModuleList(Discriminator() for _ in against).to(device)
    optimizer = torch.optim.AdamW(models.parameters(), lr=LEARNING_RATE)
    other = torch.optim.AdamW(judges.parameters(), lr=LEARNING_RATE / 2, betas=(0.5, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    faces = faces.to(device)
    parts = (models, judges, optimizer, other, schedule)
    first = _restore(kept, parts, generator) if kept and kept.exists() else 0
    for step in tqdm(range(first, steps), "autoencoders", steps, unit="step", mininterval=2, initial=first):
        if kept and step > first and step % SAVE_EVERY == 0:
            _keep(kept, parts, generator, step)
        seen = _draw(faces, generator, SIZES[step % len(SIZES)], batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            redrawn = [model(seen).float() for model in models]
            loss = torch.stack([_loss(one, seen) for one in redrawn]).sum()
            if step >= ALONE * steps:
                for judge, (number, weight) in zip(judges, against, strict=True):
                    loss = loss - weight * judge(redrawn[number]).float().mean()
        _step(optimizer, loss, models)
        schedule.step()
        if step >= ALONE * steps:
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                hinges = [
                    _hinge(judge(seen).float(), judge(redrawn[number].detach()).float())
                    for judge, (number, _) in zip(judges, against, strict=True)
                ]
            _step(other, torch.stack(hinges).sum(), judges)
    return models.eval()


def _keep(path: Path, parts: Sequence[Part], generator: torch.Generator, step: int) -> None:
    """Writes the state beside its place and renames it. Nothing else is drawn than from the generator."""
    partial = path.with_suffix(".part")
    states = [part.state_dict() for part in parts]
    torch.save({"parts": states, "generator": generator.get_state(), "step": step}, partial)
    partial.rename(path)


def _restore(path: Path, parts: Sequence[Part], generator: torch.Generator) -> int:
    """Takes over what `_keep` wrote; the step to go on at."""
    saved = torch.load(path, weights_only=True, map_location=generator.device)
    for part, state in zip(parts, saved["parts"], strict=True):
        part.load_state_dict(state)
    generator.set_state(saved["generator"].cpu())
    return int(saved["step"])


def _draw(faces: Tensor, generator: torch.Generator, size: int, batch: int) -> Tensor:
    rows = torch.randint(0, len(faces), (batch,), generator=generator, device=faces.device)
    pairs = views.to_pictures(faces[rows]).repeat_interleave(2, dim=0)
    seen = views.cut(pairs, SIDE, generator, margin=MARGIN)[::2]
    return nnf.interpolate(seen, size=[size, size], mode="bilinear", antialias=True)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, models: nn.ModuleList) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    nn.utils.clip_grad_norm_(models.parameters(), 1.0)
    optimizer.step()


def _hinge(real: Tensor, redrawn: Tensor) -> Tensor:
    return nnf.relu(1 - real).mean() + nnf.relu(1 + redrawn).mean()


def _loss(redrawn: Tensor, seen: Tensor) -> Tensor:
    across = [(redrawn.diff(dim=d) - seen.diff(dim=d)).abs().mean() for d in (2, 3)]
    coarse = nnf.avg_pool2d(redrawn - seen, 4).abs().mean()
    return (redrawn - seen).abs().mean() + coarse + EDGES * torch.stack(across).mean()


@torch.no_grad()
def redraw(pictures: Tensor, models: nn.ModuleList, generator: torch.Generator) -> Tensor:
    """Fakes of pictures (n, 3, h, w) in [0, 1]: each redrawn by one of the models, at one of several sizes.

    Half of them wholly; of the others the inner face, blended into the picture.
    """
    device, size = pictures.device, pictures.shape[2]
    out = torch.empty_like(pictures)
    some = torch.arange(len(models), device=device)
    if len(models) > EACH:
        some = torch.randperm(len(models), generator=generator, device=device)[:AT_ONCE]
    which = some[torch.randint(0, len(some), (len(pictures),), generator=generator, device=device)]
    at = SIZES[int(torch.randint(0, len(SIZES), (1,), generator=generator, device=device))]
    for number in some.tolist():
        model = models[number]
        rows = (which == number).nonzero()[:, 0]
        if not len(rows):
            continue
        small = nnf.interpolate(pictures[rows], size=[at, at], mode="bilinear", antialias=True)
        strength = 0.15 * torch.rand(len(rows), 1, 1, 1, generator=generator, device=device)
        noise = strength * torch.randn(len(rows), 1, at // 8, at // 8, generator=generator, device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            drawn = model(small, noise).float()
        out[rows] = nnf.interpolate(drawn, size=[size, size], mode="bicubic").clamp(0, 1)
    whole = torch.rand(len(pictures), generator=generator, device=device) < 0.5
    mask = torch.where(whole[:, None, None, None], 1.0, _inner(len(pictures), size, generator))
    return mask * out + (1 - mask) * pictures


def _inner(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Soft ellipses about where the inner face is: (count, 1, size, size)."""
    device = generator.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator, device=device)

    line = torch.linspace(-1, 1, size, device=device)
    y = (line[None, :, None] - uniform(-0.08, 0.15)) / uniform(0.38, 0.66)
    x = (line[None, None, :] - uniform(-0.1, 0.1)) / uniform(0.32, 0.52)
    distance = (x**2 + y**2).sqrt()
    return torch.sigmoid((1 - distance) * uniform(6, 40))[:, None]


def load(path: Path, device: torch.device) -> nn.ModuleList:
    """Reads what `main` wrote."""
    models = build()
    models.load_state_dict(load_file(path))
    return models.to(device).eval()


def main(command_line: Sequence[str] | None = None) -> None:
    """Trains the autoencoders, unless they are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="folders given to prepare.py")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that prepare.py filled")
    parser.add_argument("--always", nargs="+", default=[], help="repositories that are held out of no fold")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH, help="pictures a step")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(command_line)
    target: Path = arguments.cache / "autoencoders.safetensors"
    if target.exists():
        print(f"{target} is there already")
        return
    clips = [clip for clip in read_clips(arguments.clips) if clip.repository in arguments.always]
    people = read_faces(arguments.cache, clips)
    if not people:
        parser.error("name with --always repositories that have real clips: no fold may be judged on them")
    crops = [
        resize(cut_square(face.crop, MARGIN, np.zeros(2), of=FACE_MARGIN), SIDE)
        for person in people.values()
        for face in person.faces
    ]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept, faces = target.with_suffix(".state.pt"), torch.from_numpy(np.stack(crops))
    how = {"steps": arguments.steps, "seed": arguments.seed, "batch": arguments.batch}
    models = fit(faces, device=device, kept=kept, **how)
    partial = target.with_suffix(".part")
    save_file({k: v.cpu().contiguous() for k, v in models.state_dict().items()}, partial)
    partial.rename(target)
    kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
