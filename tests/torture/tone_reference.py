"""The tone map once more, from the standards' text: what the harness's table is compared with."""

from __future__ import annotations

import math

# Rec. ITU-R BT.2087, table 4: linear BT.2020 to linear BT.709.
TO_709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))


def pq(light: float) -> float:
    """cd/m² to 0..1 (SMPTE ST 2084)."""
    power = (max(light, 0) / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def inverse_pq(value: float) -> float:
    """0..1 to cd/m²."""
    root = value ** (1 / 78.84375)
    return float(10_000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125))


def eetf(light: float) -> float:
    """BT.2390-10, 5.4.1, from 1,000 to 203 cd/m²."""
    level, largest = min(1.0, pq(light) / pq(1000)), pq(203) / pq(1000)
    knee = 1.5 * largest - 0.5
    if level >= knee:
        t = (level - knee) / (1 - knee)
        level = (
            (2 * t**3 - 3 * t**2 + 1) * knee
            + (t**3 - 2 * t**2 + t) * (1 - knee)
            + (-2 * t**3 + 3 * t**2) * largest
        )
    return inverse_pq(level * pq(1000))


def inverse_hlg(value: float) -> float:
    """0..1 to the scene's light, 0..1 (Rec. ITU-R BT.2100, table 5)."""
    if value <= 0.5:
        return value * value / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


def as_bt709(rgb: tuple[float, float, float], transfer: str) -> tuple[float, float, float]:
    """A colour of BT.2020 in 0..255, coded by "pq", "hlg" or "sdr", as BT.709 shows it."""
    values = [max(0.0, value) / 255 for value in rgb]
    if transfer == "pq":
        light = [inverse_pq(value) for value in values]
    elif transfer == "hlg":
        scene = [inverse_hlg(value) for value in values]
        luminance = 0.2627 * scene[0] + 0.678 * scene[1] + 0.0593 * scene[2]
        light = [1000 * luminance**0.2 * value for value in scene]
    if transfer in {"pq", "hlg"}:
        peak = max(*light, 1e-6)
        linear = [value * eetf(peak) / peak / 203 for value in light]
    else:
        linear = [value**2.4 for value in values]
    mixed = [sum(row[i] * linear[i] for i in range(3)) for row in TO_709]
    red, green, blue = (255 * min(1.0, max(0.0, value)) ** (1 / 2.4) for value in mixed)
    return red, green, blue
