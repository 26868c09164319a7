"""The 79 face landmarks that everything here speaks: the usual 68 points, and 11 along the forehead.

Points 0-67 follow the common 68-point scheme (jaw, brows, nose, eyes, mouth, left to right in the picture);
points 68-78 run over the forehead from the left temple to the right one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
"""79 × 2, x then y, in pixels of the frame they belong to."""

JAW = np.arange(0, 17)
LEFT_BROW = np.arange(17, 22)
RIGHT_BROW = np.arange(22, 27)
NOSE = np.arange(27, 36)
LEFT_EYE = np.arange(36, 42)
RIGHT_EYE = np.arange(42, 48)
OUTER_LIPS = np.arange(48, 60)
INNER_LIPS = np.arange(60, 68)
MOUTH = np.arange(48, 68)
FOREHEAD = np.arange(68, 79)
POINT_COUNT = 79

FACE_MESH_INDEX = np.array(
    [
        *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
        *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
        *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
        *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
        *(21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251),  # forehead
    ]
)
"""Which vertex of MediaPipe's face mesh each landmark is."""


def five_points(points: Points) -> Points:
    """The two eye centres, the nose tip and the mouth corners (5 × 2): the points YuNet also gives."""
    return np.stack(
        [points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0), points[30], points[48], points[54]]
    ).astype(np.float32)


def interocular(points: Points) -> float:
    """Distance between the eye centres in pixels, the unit in which offsets in a face are measured."""
    return float(np.linalg.norm(points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)))


def similarity(source: Points, target: Points) -> npt.NDArray[np.float64]:
    """The rotation, scale and shift (2 × 3) that take `source` nearest to `target` in least squares.

    Umeyama's closed form in two dimensions, without reflection.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a = (source - source_mean).astype(np.float64)
    b = (target - target_mean).astype(np.float64)
    norm = float((a**2).sum())
    cosine = float((a * b).sum()) / norm
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def transform(matrix: npt.NDArray[np.float64], points: Points) -> Points:
    """`points` moved by a 2 × 3 affine matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def from_five(five: Points, mean_face: Points) -> Points:
    """Dense landmarks guessed from five: the mean face laid onto them by a similarity.

    Good enough to place masks and warps on a face seen from the front; expression and turned heads are lost.
    `five` is ordered as in `five_points`, left and right as seen in the picture.
    """
    return transform(similarity(five_points(mean_face), five), mean_face)
