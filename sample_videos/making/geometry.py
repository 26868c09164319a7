"""Moving pixels with landmarks: triangle meshes and the maps they make."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from sample_videos.making.layout import Points
from sample_videos.making.mean_face import MEAN_FACE

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
Triangles = npt.NDArray[np.int32]


def with_rim(points: Points, reach: float = 1.5) -> Points:
    """The landmarks and 16 further points on an ellipse around them, `reach` times as far out.

    The rim is where a deformation has died away.
    """
    centre = points.mean(axis=0)
    half = (points.max(axis=0) - points.min(axis=0)) / 2 * reach
    angle = np.arange(16) * (2 * np.pi / 16)
    rim = centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) * half
    return np.vstack([points, rim]).astype(np.float32)


def delaunay(points: Points) -> Triangles:
    """Delaunay triangles of `points` as indices (T × 3), in an order that does not vary between runs."""
    low = points.min(axis=0) - 10
    size = points.max(axis=0) - low + 20
    subdivision = cv2.Subdiv2D((0, 0, int(size[0]) + 1, int(size[1]) + 1))
    shifted = (points - low).astype(np.float32)
    for x, y in shifted:
        subdivision.insert((float(x), float(y)))
    found = set()
    for triangle in np.asarray(subdivision.getTriangleList()).reshape(-1, 3, 2):
        distance = np.linalg.norm(triangle[:, None] - shifted[None], axis=2)
        if (distance.min(axis=1) < 0.5).all():  # else a corner is one of the helper points outside
            found.add(tuple(sorted(distance.argmin(axis=1).tolist())))
    return np.array(sorted(found), dtype=np.int32)


@lru_cache(maxsize=1)
def face_triangles() -> Triangles:
    """The triangles of the mean face, the same for every face so that a mesh never flips between frames."""
    return delaunay(MEAN_FACE * 500)


@lru_cache(maxsize=1)
def rimmed_triangles() -> Triangles:
    """As `face_triangles`, with the 16 rim points of `with_rim`."""
    return delaunay(with_rim(MEAN_FACE * 500))


def identity_map(height: int, width: int) -> Map:
    """The map (H × W × 2) that leaves every pixel where it is."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=2)


def mesh_map(
    source: Points, target: Points, triangles: Triangles, *, height: int, width: int, smooth: float = 0.0
) -> Map:
    """For each pixel of a target picture, where in the source picture it comes from (H × W × 2).

    Affine within each triangle of the target mesh, identity outside the mesh. `smooth` (pixels) blurs the
    displacement, to round the creases between triangles.
    """
    labels = np.full((height, width), -1, dtype=np.int32)
    matrices = np.zeros((len(triangles), 2, 3), dtype=np.float32)
    for index, triangle in enumerate(triangles):
        corners = target[triangle]
        area = np.cross(np.append(corners[1] - corners[0], 0), np.append(corners[2] - corners[0], 0))[2]
        if abs(area) < 1e-3:
            continue
        matrices[index] = cv2.getAffineTransform(corners, source[triangle])
        cv2.fillConvexPoly(labels, np.round(corners * 16).astype(np.int32), index, shift=4)
    mapping = identity_map(height, width)
    ys, xs = np.nonzero(labels >= 0)
    chosen = matrices[labels[ys, xs]]
    pixels = np.stack([xs, ys, np.ones_like(xs)], axis=1).astype(np.float32)
    mapping[ys, xs] = np.einsum("nij,nj->ni", chosen, pixels)
    if smooth > 0:
        shift = mapping - identity_map(height, width)
        mapping = identity_map(height, width) + cv2.GaussianBlur(shift, (0, 0), smooth)
    return mapping


def remap(image: Image, mapping: Map) -> Image:
    """`image` read at the places that `mapping` names, by bicubic interpolation, borders repeated."""
    return cv2.remap(  # type: ignore[return-value]  # OpenCV's stubs drop the dtype
        image, mapping[..., 0], mapping[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
