"""From HDR and wide primaries to BT.709, as one table of colours that a filter looks up.

PQ (SMPTE ST 2084) is mapped by the EETF of Report ITU-R BT.2390-10, 5.4.1, from 1,000 cd/m² to the 203 cd/m²
of diffuse white (Report ITU-R BT.2408), applied to the largest of R, G and B so that hues stay. HLG (Rec.
ITU-R BT.2100) is shown on a display of 1,000 cd/m² with its system gamma of 1.2 and then mapped likewise.
Standard dynamic range is linear by BT.1886's exponent of 2.4. What is outside BT.709's triangle is clipped.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.videos.colour_spaces import HLG, PQ

Values = NDArray[np.float64]

SOURCE_PEAK, TARGET_PEAK = 1000.0, 203.0  # cd/m²
DISPLAY_GAMMA = 2.4  # Rec. ITU-R BT.1886
NODES = 65  # of each side of the table

# Chromaticities x, y of red, green, blue and white (ITU-T H.273, table 2).
D65, C, DCI = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351)
PRIMARIES = {
    1: ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06), D65),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046), D65),
    11: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), DCI),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65),
    22: ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077), D65),
}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def pq_to_light(coded: Values) -> Values:
    """0..1 to cd/m², 0..10,000 (SMPTE ST 2084, 5.1)."""
    root = np.power(np.clip(coded, 0, 1), 32 / 2523)
    light: Values = 10_000 * np.power(
        np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root), 8192 / 1305
    )
    return light


def light_to_pq(light: Values) -> Values:
    """cd/m² to 0..1, the inverse (SMPTE ST 2084, 5.2)."""
    power = np.power(np.maximum(light, 0) / 10_000, 1305 / 8192)
    coded: Values = np.power((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)
    return coded


def hlg_to_light(coded: Values) -> Values:
    """(..., 3) of 0..1 to cd/m² on a display of 1,000 cd/m² (Rec. ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.678, 0.0593])
    light: Values = SOURCE_PEAK * np.power(np.maximum(luminance, 1e-12), 0.2)[..., None] * scene
    return light


def rolled_off(light: Values) -> Values:
    """Apply the EETF of BT.2390: below about 90 cd/m² nothing changes, 1,000 becomes 203."""
    peak = float(light_to_pq(np.array(SOURCE_PEAK)))
    largest = float(light_to_pq(np.array(TARGET_PEAK))) / peak
    knee = 1.5 * largest - 0.5
    level = np.clip(light_to_pq(light) / peak, 0, 1)
    t = np.clip((level - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * largest
    )
    return pq_to_light(np.where(level < knee, level, spline) * peak)


def to_bt709(coded: Values, *, primaries: int, transfer: int) -> Values:
    """(..., 3) RGB of 0..1 as coded, to BT.709's, clipped."""
    if transfer in {PQ, HLG}:
        light = pq_to_light(coded) if transfer == PQ else hlg_to_light(coded)
        brightest = np.maximum(light.max(-1, keepdims=True), 1e-6)
        linear = light * (rolled_off(brightest) / brightest) / TARGET_PEAK
    else:
        linear = np.power(coded, DISPLAY_GAMMA)
    shown: Values = np.power(np.clip(linear @ primaries_matrix(primaries).T, 0, 1), 1 / DISPLAY_GAMMA)
    return shown


def primaries_matrix(primaries: int) -> Values:
    """Linear RGB of these primaries to linear RGB of BT.709, whites adapted by Bradford's matrix."""
    result: Values = np.linalg.inv(_to_xyz(1)) @ _adapted(PRIMARIES[primaries][3]) @ _to_xyz(primaries)
    return result


def _to_xyz(primaries: int) -> Values:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in PRIMARIES[primaries]]).T
    colours, white = columns[:, :3], columns[:, 3]
    scaled: Values = colours * np.linalg.solve(colours, white)
    return scaled


def _adapted(white: tuple[float, float]) -> Values:
    cones = [BRADFORD @ np.array([x / y, 1, (1 - x - y) / y]) for x, y in (white, D65)]
    result: Values = np.linalg.inv(BRADFORD) @ np.diag(cones[1] / cones[0]) @ BRADFORD
    return result


@cache
def table(primaries: int, transfer: int) -> str:
    """Write the conversion as the text of a .cube file."""
    axis = np.linspace(0, 1, NODES)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")  # red is the fastest
    nodes = np.stack([red, green, blue], -1).reshape(-1, 3)
    shown = to_bt709(nodes, primaries=primaries, transfer=transfer)
    rows = [f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in shown.tolist()]
    return f"LUT_3D_SIZE {NODES}\n" + "\n".join(rows) + "\n"


@contextmanager
def table_file(primaries: int, transfer: int) -> Iterator[str]:
    """Write the table to a file for as long as a filter reads it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.cube"
        path.write_text(table(primaries, transfer), "ascii")
        yield str(path)
