"""Landmarks of every frame of a clip, by MediaPipe's face mesh, smoothed over time.

MediaPipe is needed only to find landmarks; everything else here takes them as arrays.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from sample_videos.making.compose import smooth_over_time
from sample_videos.making.geometry import Image
from sample_videos.making.layout import FACE_MESH_INDEX, POINT_COUNT

Track = npt.NDArray[np.float32]
"""Frames × 79 × 2."""


class FaceNotFoundError(LookupError):
    """A clip in which too many frames show no face."""


def find_landmarks(frames: Iterable[Image]) -> Track:
    """The 79 landmarks of the one face in each frame; NaN where none is found."""
    mediapipe = importlib.import_module("mediapipe")  # large, untyped, and needed by nothing else here

    found = []
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=False, max_num_faces=1, refine_landmarks=True
    ) as mesh:
        for frame in frames:
            height, width = frame.shape[:2]
            faces = mesh.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_face_landmarks
            if not faces:
                found.append(np.full((POINT_COUNT, 2), np.nan, dtype=np.float32))
                continue
            vertices = faces[0].landmark
            found.append(
                np.array(
                    [(vertices[i].x * width, vertices[i].y * height) for i in FACE_MESH_INDEX], np.float32
                )
            )
    return np.stack(found)


def smooth_track(track: Track, *, sigma: float = 1.2, longest_gap: int = 5) -> Track:
    """A track without gaps and without jitter.

    Gaps of up to `longest_gap` frames are bridged linearly, then all points are smoothed with a Gaussian of
    `sigma` frames.

    Raises:
        FaceNotFoundError: a longer gap, naming its first frame.
    """
    missing = np.asarray(np.isnan(track).any(axis=(1, 2)), dtype=np.bool_)
    run = 0
    for index, absent in enumerate(missing):
        run = run + 1 if absent else 0
        if run > longest_gap or missing.all():
            raise FaceNotFoundError(f"no face from frame {index - run + 1} on, {run} frames long")
    known = np.flatnonzero(~missing)
    flat = track.reshape(len(track), -1)
    filled = np.stack(
        [np.interp(np.arange(len(track)), known, flat[known, column]) for column in range(flat.shape[1])],
        axis=1,
    )
    return smooth_over_time(filled, sigma).reshape(track.shape).astype(np.float32)
