"""Whoever imports this is ready to draw: numba takes a second and a half to load, and to make its first loop.

Workers that render are forked from a process that has imported it: see `LocalEngine`.
"""

from __future__ import annotations

import numpy as np

from harness.videos.perturb.drawing.blending import mixed

_TWO = np.zeros((2, 2), np.uint8)
mixed(_TWO, _TWO, _TWO, 0)
