"""What a batch is drawn from: which pictures, how often, and which real one stands beside which fake one.

Everything is a function of (seed, step): a resumed run sees the very batches that it would have seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import autoencoders, views
from .clips import Clip
from .pool import MARGIN, Pairs, Rendered

# Shares of a batch's pairs. forged: by hand on single pictures; rendered: the same through encoders and the
# public recipe; redrawn: by an autoencoder; generated: by a trained generator, through the public recipe;
# twins: the same of a generator whose very source is known, which stands beside it.
SHARES = {"forged": 0.34, "rendered": 0.2, "redrawn": 0.16, "generated": 0.22, "twins": 0.14}
RENDERED_WEAR = 0.35  # of the wear of single pictures: what was rendered has been through much already

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows 2i, 2i + 1 are a pair, the real one first: pictures (n, 3, size, size) in [-1, 1], labels (n,)."""

    pictures: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Pairs of rows that may be drawn, and how likely each is."""

    real: Rows
    fake: Rows
    weights: NDArray[np.float64]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
        """`count` pairs."""
        chosen = rng.choice(len(self.real), size=count, p=self.weights / self.weights.sum())
        return self.real[chosen], self.fake[chosen]


def clip_weights(clips: Sequence[Clip]) -> dict[str, float]:
    """How likely each clip is drawn among those of its label, so that the many do not drown the few.

    One over the root of its repository's (if it is real) or its generator's number of clips.
    """
    homes = Counter((c.label, c.generator if c.label else c.repository) for c in clips)
    return {c.name: homes[c.label, c.generator if c.label else c.repository] ** -0.5 for c in clips}


class Material:
    """The pictures of the training side of a fold, on a device."""

    def __init__(
        self,
        *,
        clips: Sequence[Clip],
        pool: Pairs,
        rendered: Rendered | None,
        redrawers: nn.ModuleList | None,
        device: torch.device,
        without: Sequence[str] = (),
    ) -> None:
        """Lays everything out.

        Args:
            clips: of the training side; whatever is of other clips is left out.
            pool: forged pairs.
            rendered: crops through the public recipe; None where there are none (toys).
            redrawers: autoencoders; None where there are none.
            device: where pictures and models are.
            without: names of SHARES to leave out, for the table of what each brings.

        Raises:
            ValueError: nothing is left to train on.
        """
        self._device, self._redrawers = device, redrawers
        weights = clip_weights(clips)
        mine = np.flatnonzero(np.isin(pool.clips, list(weights)))
        pictures = [pool.real[mine], pool.fake[mine]]
        count = len(mine)
        pool_weights = np.array([weights[name] for name in pool.clips[mine]])
        tables = {
            "forged": Table(real=np.arange(count), fake=np.arange(count, 2 * count), weights=pool_weights)
        }
        reals, real_weights = np.arange(count), pool_weights / max(pool_weights.sum(), 1e-9)
        if rendered is not None:
            kept = np.flatnonzero(np.isin(rendered.clips, list(weights)))
            pictures.append(rendered.crops[kept])
            tables |= _rendered_tables(rendered, kept, 2 * count, clips, weights)
            first = np.flatnonzero(rendered.labels[kept] == 0)
            mild = np.array([weights[name] for name in rendered.clips[kept][first]])
            reals = np.concatenate([reals, first + 2 * count])
            real_weights = np.concatenate([real_weights, mild / max(mild.sum(), 1e-9)])
        if redrawers is not None:
            tables["redrawn"] = Table(real=reals, fake=reals, weights=real_weights)
        self._mild_from = 2 * count
        self._tables = {n: t for n, t in tables.items() if n not in without and len(t.real)}
        if not self._tables:
            raise ValueError(f"nothing to train on without {', '.join(without)}")
        ends = np.cumsum([len(part) for part in pictures]).tolist()
        shape = (ends[-1], *pictures[0].shape[1:])
        self._pictures = torch.empty(shape, dtype=torch.uint8, device=device)
        for part, end in zip(pictures, ends, strict=True):  # part by part: it is gigabytes
            self._pictures[end - len(part) : end] = torch.from_numpy(part)

    def batch(self, step: int, *, pairs: int, size: int, seed: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([seed, 1, step])
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**62)))
        shares = {name: SHARES[name] for name in self._tables}
        whole = sum(shares.values())
        rows: list[Rows] = []
        redrawn = 0
        for number, (name, share) in enumerate(shares.items()):
            last = number == len(shares) - 1
            count = pairs - sum(map(len, rows)) // 2 if last else round(pairs * share / whole)
            drawn = np.stack(self._tables[name].draw(count, rng), axis=1).reshape(-1)
            redrawn = count if name == "redrawn" else redrawn
            rows = [drawn, *rows] if name == "redrawn" else [*rows, drawn]  # the redrawn ones stand first
        order = np.concatenate(rows)
        crops = self._pictures[torch.from_numpy(order).to(self._device)]
        seen = views.cut(views.to_pictures(crops), size, generator, margin=MARGIN)
        if redrawn and self._redrawers is not None:
            seen[1 : 2 * redrawn : 2] = autoencoders.redraw(
                seen[0 : 2 * redrawn : 2], self._redrawers, generator
            )
        mild = torch.from_numpy(order >= self._mild_from).to(self._device)
        for chosen, strength in ((~mild, 1.0), (mild, RENDERED_WEAR)):
            if chosen.any():
                seen[chosen] = views.wear(seen[chosen], generator, strength=strength)
        seen = views.blank(seen, generator)
        labels = torch.arange(len(order), device=self._device) % 2
        return Batch(pictures=seen * 2 - 1, labels=labels.float())


def _rendered_tables(
    rendered: Rendered, kept: Rows, offset: int, clips: Sequence[Clip], weights: dict[str, float]
) -> dict[str, Table]:
    """The tables of what was rendered: forged by hand, and by generators."""
    recordings = {clip.name: (clip.repository, clip.recording) for clip in clips}
    names, labels = rendered.clips[kept], rendered.labels[kept]
    forged, moments = rendered.forged[kept], rendered.moments[kept]
    own = {(n, m): i for i, (n, m) in enumerate(zip(names, moments, strict=True)) if not labels[i]}
    twins = {(recordings[n], m): i for (n, m), i in own.items()}
    reals = sorted(own.values())
    real_weights = np.array([weights[names[i]] for i in reals])
    rng = np.random.default_rng(0)
    tables: dict[str, tuple[list[int], list[int], list[float]]] = {
        "rendered": ([], [], []),
        "generated": ([], [], []),
        "twins": ([], [], []),
    }
    for row in np.flatnonzero(labels == 1):
        name, moment = names[row], moments[row]
        if forged[row]:
            real, table, times = own.get((name, moment)), "rendered", 1
        else:
            real, table, times = twins.get((recordings[name], moment)), "twins", 1
            if real is None:
                table, times = "generated", 8  # no twin: several strangers stand in for it
        for _ in range(times):
            partner = real
            if partner is None:
                partner = reals[rng.choice(len(reals), p=real_weights / real_weights.sum())]
            tables[table][0].append(partner + offset)
            tables[table][1].append(int(row) + offset)
            tables[table][2].append(weights[name] / times)
    return {
        name: Table(real=np.array(r, np.int64), fake=np.array(f, np.int64), weights=np.array(w))
        for name, (r, f, w) in tables.items()
    }
