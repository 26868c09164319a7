"""Faces made again from few numbers: a linear autoencoder (PCA) of a face's texture.

Textures live in the mean face's frame, so shape is taken from the landmarks and only the appearance
passes the bottleneck, as in active appearance models (Cootes et al., 2001). With few components the face
turns smooth and average, the way an autoencoder of low capacity makes it. A second use drives one person's
texture by another's landmarks (`FaceDriver`): a stand-in for swaps by autoencoders that share an encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sample_videos.making.compose import (
    ColourStatistics,
    colour_statistics,
    outline,
    polygon_mask,
    smooth_over_time,
    smooth_statistics,
)
from sample_videos.making.geometry import Image, face_triangles, mesh_map, remap
from sample_videos.making.layout import Points
from sample_videos.making.mean_face import MEAN_FACE
from sample_videos.making.swap import SwapSettings, expression, lay_over, shared_shape

Coefficients = npt.NDArray[np.float64]
TEXTURE_SIZE = 160
_MARGIN = 4


def canonical_points(size: int = TEXTURE_SIZE) -> Points:
    """The mean face's landmarks in a square texture of `size` pixels."""
    return (MEAN_FACE * (size - 2 * _MARGIN) + _MARGIN).astype(np.float32)


def face_texture(frame: Image, points: Points, size: int = TEXTURE_SIZE) -> Image:
    """The face bent to the mean face, `size` × `size` × 3."""
    mapping = mesh_map(points, canonical_points(size), face_triangles(), height=size, width=size)
    return remap(frame, mapping)


def placed_texture(texture: Image, points: Points, *, height: int, width: int) -> Image:
    """A texture bent from the mean face onto `points`, in a picture of the given size."""
    source = canonical_points(texture.shape[0])
    return remap(texture, mesh_map(source, points, face_triangles(), height=height, width=width))


@dataclass(frozen=True, kw_only=True)
class FaceSpace:
    """A person's textures as a mean and orthonormal components (rows), strongest first."""

    mean: npt.NDArray[np.float64]
    components: npt.NDArray[np.float64]
    size: int

    def encode(self, texture: Image) -> Coefficients:
        """The coefficients of a texture."""
        return np.asarray(self.components @ (texture.ravel().astype(np.float64) - self.mean))

    def decode(self, coefficients: Coefficients) -> Image:
        """The texture that coefficients stand for."""
        flat = self.mean + coefficients @ self.components
        return np.clip(np.round(flat), 0, 255).astype(np.uint8).reshape(self.size, self.size, 3)


def fit_face_space(textures: Sequence[Image], *, components: int) -> FaceSpace:
    """PCA of textures, computed through the small Gram matrix.

    Raises:
        ValueError: fewer textures than components + 1.
    """
    if len(textures) <= components:
        raise ValueError(f"{components} components need more than {len(textures)} textures")
    data = np.stack([texture.ravel() for texture in textures]).astype(np.float64)
    mean = data.mean(axis=0)
    data -= mean
    values, vectors = np.linalg.eigh(data @ data.T)
    order = np.argsort(values)[::-1][:components]
    basis = (vectors[:, order].T @ data) / np.sqrt(np.maximum(values[order], 1e-9))[:, None]
    return FaceSpace(mean=mean, components=basis, size=textures[0].shape[0])


@dataclass(frozen=True, kw_only=True)
class FaceDriver:
    """Predicts one person's texture coefficients from anybody's landmarks, by ridge regression."""

    weights: npt.NDArray[np.float64]
    coefficient_mean: Coefficients
    coefficient_deviation: Coefficients
    expression_deviation: float

    def drive(self, track: Sequence[Points]) -> list[Coefficients]:
        """Coefficients for each frame of a clip; the clip's own mean expression counts as the neutral one.

        They stay within two deviations of what was learnt: beyond, linear textures crumple.
        """
        moves = np.stack([expression(points) for points in track])
        moves = moves - moves.mean(axis=0)
        strength = float(np.sqrt((moves**2).mean())) / self.expression_deviation
        if strength > 1.5:  # a livelier face than any the texture was learnt from
            moves *= 1.5 / strength
        reach = 2 * self.coefficient_deviation
        return list(self.coefficient_mean + np.clip(moves @ self.weights, -reach, reach))


def fit_driver(
    track: Sequence[Points], coefficients: Sequence[Coefficients], *, ridge: float = 0.1
) -> FaceDriver:
    """Learns expression → coefficients on the frames of one person.

    `ridge` is relative to the mean variance of the expression features times the number of frames.
    """
    moves = np.stack([expression(points) for points in track])
    moves = moves - moves.mean(axis=0)
    goals = np.stack(coefficients)
    mean = goals.mean(axis=0)
    gram = moves.T @ moves
    penalty = ridge * np.trace(gram) / len(gram)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), moves.T @ (goals - mean))
    deviation = float(np.sqrt((moves**2).mean()))
    return FaceDriver(
        weights=weights,
        coefficient_mean=mean,
        coefficient_deviation=goals.std(axis=0),
        expression_deviation=deviation,
    )


def resynthesise(frame: Image, points: Points, space: FaceSpace, settings: SwapSettings) -> Image:
    """One frame whose face went through the bottleneck."""
    texture = space.decode(space.encode(face_texture(frame, points, space.size)))
    face = placed_texture(texture, points, height=frame.shape[0], width=frame.shape[1])
    return lay_over(frame, points, face, settings)


def paint_clip(
    frames: Sequence[Image],
    track: Sequence[Points],
    coefficients: Sequence[Coefficients],
    space: FaceSpace,
    settings: SwapSettings,
    *,
    donor_shape: Points | None = None,
) -> list[Image]:
    """A clip with faces decoded from `coefficients`, which are smoothed over time, as are the colours.

    Args:
        frames: H × W × 3 BGR each.
        track: landmarks of each frame.
        coefficients: one vector per frame.
        space: what decodes them.
        settings: how the face is laid over; `shape` counts only with `donor_shape`.
        donor_shape: landmarks of the person in `space`, towards which the shape moves.
    """
    faces: list[Image] = []
    statistics: list[tuple[ColourStatistics, ColourStatistics]] = []
    for frame, points, numbers in zip(
        frames, track, smooth_over_time(np.stack(coefficients), 1.0), strict=True
    ):
        height, width = frame.shape[:2]
        goal = points if donor_shape is None else shared_shape(points, donor_shape, settings.shape)
        face = placed_texture(space.decode(numbers), goal, height=height, width=width)
        mask = polygon_mask(
            outline(points, forehead=settings.forehead), height=height, width=width, feather=0
        )
        faces.append(face)
        statistics.append((colour_statistics(face, mask), colour_statistics(frame, mask)))
    sources = smooth_statistics([pair[0] for pair in statistics], 8.0)
    targets = smooth_statistics([pair[1] for pair in statistics], 8.0)
    return [
        lay_over(frame, points, face, settings, colours=(source, target))
        for frame, points, face, source, target in zip(frames, track, faces, sources, targets, strict=True)
    ]


def resynthesise_clip(
    frames: Sequence[Image], track: Sequence[Points], space: FaceSpace, settings: SwapSettings
) -> list[Image]:
    """A clip whose face went through the bottleneck frame by frame, coefficients smoothed over time."""
    coefficients = [
        space.encode(face_texture(frame, points, space.size))
        for frame, points in zip(frames, track, strict=True)
    ]
    return paint_clip(frames, track, coefficients, space, settings)
