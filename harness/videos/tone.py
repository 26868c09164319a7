"""From HDR and wide primaries to BT.709, pixel by pixel.

PQ (SMPTE ST 2084) is mapped by the EETF of Report ITU-R BT.2390-10, 5.4.1, from 1,000 cd/m² to the 203 cd/m²
of diffuse white (Report ITU-R BT.2408), applied to the largest of R, G and B so that hues stay. HLG (Rec.
ITU-R BT.2100) is shown on a display of 1,000 cd/m² with its system gamma of 1.2 and then mapped likewise.
Standard dynamic range is linear by BT.1886's exponent of 2.4. What is outside BT.709's triangle is clipped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from harness.videos.colour_spaces import HLG, PQ

Values = NDArray[np.float64]

SOURCE_PEAK, TARGET_PEAK = 1000.0, 203.0  # cd/m²
DISPLAY_GAMMA = 2.4  # Rec. ITU-R BT.1886
HLG_GAMMA = 1.2  # of the system, for a display of 1,000 cd/m²
LUMINANCE = (0.2627, 0.678, 0.0593)  # of BT.2020's red, green and blue
CODE_MAX = 4095  # of the pictures that are mapped: 12 bits
STEPS = 65535  # of the tables that are looked up by a root, which is fine where the eye is
ROWS = 32  # mapped at once: they stay in the processor's cache

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


def hlg_to_scene(coded: Values) -> Values:
    """0..1 to the scene's light, 0..1 (Rec. ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene: Values = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    return scene


def hlg_to_light(coded: Values) -> Values:
    """(..., 3) of 0..1 to cd/m² on a display of 1,000 cd/m² (Rec. ITU-R BT.2100, table 5)."""
    scene = hlg_to_scene(coded)
    luminance = scene @ np.array(LUMINANCE)
    light: Values = SOURCE_PEAK * np.power(np.maximum(luminance, 1e-12), HLG_GAMMA - 1)[..., None] * scene
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


class ToneMap:
    """`to_bt709` for whole pictures of 12-bit RGB, in place.

    A table of colours (`lut3d`) was off by tens of levels where a channel runs into black at the rim of
    BT.709, because the display's curve is infinitely steep there, and took as long. Here only functions of
    one number are looked up: what a code is in light, by how much a brightness is rolled off, and the
    display's curve, by the square root. Sums, products and roots are exact by IEEE 754: the same on every
    machine.
    """

    def __init__(self, primaries: int, transfer: int) -> None:
        self._transfer = transfer
        codes = np.linspace(0, 1, CODE_MAX + 1)
        roots = np.linspace(0, 1, STEPS + 1) ** 2
        if transfer == PQ:
            light = pq_to_light(codes)
            self._light = _single(light / TARGET_PEAK)
            self._gain = _single(rolled_off(light) / np.maximum(light, 1e-6))
        elif transfer == HLG:
            self._light = _single(hlg_to_scene(codes))
            self._gain = _single(rolled_off(roots * SOURCE_PEAK) / np.maximum(roots * SOURCE_PEAK, 1e-6))
            self._system = _single(SOURCE_PEAK * np.maximum(roots, 1e-12) ** (HLG_GAMMA - 1))
        else:
            self._light = _single(codes**DISPLAY_GAMMA)
        self._matrix = _single(primaries_matrix(primaries))
        self._shown = np.rint(roots ** (1 / DISPLAY_GAMMA) * CODE_MAX).astype(np.uint16)

    def apply(self, frame: av.VideoFrame) -> None:
        """Map one gbrp12 picture."""
        frame.make_writable()
        green, blue, red = (_words(plane)[: frame.height, : frame.width] for plane in frame.planes)
        for top in range(0, frame.height, ROWS):
            self._map([plane[top : top + ROWS] for plane in (red, green, blue)])

    def _map(self, coded: list[NDArray[np.uint16]]) -> None:
        """Map rows of red, green and blue."""
        light = [self._light[np.minimum(plane, CODE_MAX)] for plane in coded]
        if self._transfer == PQ:
            gain = self._gain[np.minimum(np.maximum(np.maximum(*coded[:2]), coded[2]), CODE_MAX)]
        elif self._transfer == HLG:
            system = self._system[_root_steps(_mixed(light, _single(np.array(LUMINANCE))))]
            brightest = np.maximum(np.maximum(*light[:2]), light[2]) * system
            gain = self._gain[_root_steps(brightest / np.float32(SOURCE_PEAK))] * system
            gain /= np.float32(TARGET_PEAK)
        else:
            gain = _single(np.ones(1))
        for plane, row in zip(coded, self._matrix, strict=True):
            plane[:] = self._shown[_root_steps(_mixed(light, row) * gain)]


def _single(values: Values) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _words(plane: Any) -> NDArray[np.uint16]:
    """Return a plane of 16-bit samples; it offers Python's buffer protocol, which its stubs do not say."""
    words: NDArray[np.uint16] = np.frombuffer(plane, np.uint16).reshape(-1, plane.line_size // 2)
    return words


def _mixed(light: list[NDArray[np.float32]], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = light[0] * weights[0]
    mixed += light[1] * weights[1]
    mixed += light[2] * weights[2]
    return mixed


def _root_steps(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Where in a table of `STEPS` steps the square root of values in 0..1 lies; others are clipped."""
    root = np.sqrt(np.clip(values, 0, 1))
    root *= np.float32(STEPS)
    root += np.float32(0.5)
    return root.astype(np.uint16)


@cache
def tone_map(primaries: int, transfer: int) -> ToneMap:
    """Return the map of these primaries and this transfer; made once."""
    return ToneMap(primaries, transfer)
