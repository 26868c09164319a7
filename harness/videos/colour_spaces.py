"""What the numbers of a picture mean (matrix, primaries, transfer, range), and how they are brought to SDR.

A standard picture keeps its own numbers: BT.601 stays BT.601, BT.709 stays BT.709, tagged as what it is.
Everything else (BT.2020, RGB, PQ, HLG, wide primaries) becomes BT.709. Numbers are those of ITU-T H.273,
which libav uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

UNSPECIFIED = 2
RGB, BT709, BT601_625, BT601_525, BT2020 = 0, 1, 5, 6, 9
PQ, HLG, SRGB = 16, 18, 13
LIMITED, FULL = 1, 2  # AVColorRange

# As the filter `scale` calls them. What is not here swscale cannot read.
MATRICES = {BT709: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", BT2020: "bt2020"}
OTHER_MATRICES = {
    8: "YCgCo",
    10: "BT.2020 constant luminance",
    11: "Y'D'zD'x",
    12: "chromaticity-derived",
    13: "chromaticity-derived constant luminance",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
} | {
    13: "chromaticity-derived constant luminance",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
# One tone curve under several names: the same numbers show the same picture.
SAME_AS_BT709 = {1, 6, 11, 12, 14, 15}
OTHER_SDR_TRANSFERS = {4: "gamma 2.2", 5: "gamma 2.8", 7: "SMPTE 240M", SRGB: "sRGB"}
UNKNOWN_TRANSFERS = {8: "linear light", 9: "logarithmic", 10: "logarithmic", 17: "SMPTE ST 428-1"}
NEAR_PRIMARIES = {1, 5, 6, 7}  # of the standards themselves: kept and tagged
WIDE_PRIMARIES = {4, 8, 9, 11, 12, 22}  # converted to BT.709; see `tone`


@dataclass(frozen=True, kw_only=True)
class Colour:
    """What a picture's numbers mean. `matrix` is 0 for RGB."""

    matrix: int
    primaries: int
    transfer: int
    full_range: bool = False
    grey_bits: int = 0  # of a picture without colour samples in limited range; 0: it is none

    @property
    def tags(self) -> tuple[int, int, int]:
        """Matrix, primaries and transfer."""
        return self.matrix, self.primaries, self.transfer


SDR = Colour(matrix=BT709, primaries=1, transfer=1)


@lru_cache(maxsize=64)  # asked of every picture, and nearly always the same
def read_colour(
    *, matrix: int, primaries: int, transfer: int, color_range: int, pixel_format: str, is_rgb: bool
) -> Colour:
    """Read the tags of a picture; fill in what they leave open as the decoders in use do.

    Raises:
        ValueError: A matrix, a transfer or primaries that cannot be converted; says which.
    """
    if pixel_format.startswith("xyz"):
        raise ValueError("its samples are CIE XYZ, which cannot be converted")
    if matrix in OTHER_MATRICES:
        raise ValueError(f"its colours are coded as {OTHER_MATRICES[matrix]}, which cannot be converted")
    if transfer in UNKNOWN_TRANSFERS:
        raise ValueError(f"its tone curve is {UNKNOWN_TRANSFERS[transfer]}, which cannot be converted")
    if is_rgb:
        known = RGB
    elif matrix in MATRICES:
        known = matrix
    else:
        # An HDR picture or one with wide primaries is BT.2020 even if the matrix is left out; any other
        # is read as BT.601 by the decoders in use.
        known = BT2020 if transfer in {PQ, HLG} or primaries == BT2020 else UNSPECIFIED
    if primaries not in NEAR_PRIMARIES | WIDE_PRIMARIES:
        if primaries == 10:
            raise ValueError("its primaries are CIE XYZ, which cannot be converted")
        # FCC's matrix was made for the primaries of 1953, but whoever writes it means those in use.
        primaries = {RGB: 1, BT709: 1, 4: 6, BT601_525: 6, 7: 6, BT2020: BT2020}.get(known, 5)
    if transfer in SAME_AS_BT709 or transfer not in {*OTHER_SDR_TRANSFERS, PQ, HLG}:
        transfer = 6 if known in {BT601_625, BT601_525, UNSPECIFIED} else 1
    # Grey without a tag is full range, as ffmpeg writes and reads it.
    grey = pixel_format.startswith(("gray", "ya8", "ya16", "mono"))
    full = is_rgb or color_range == FULL or pixel_format.startswith("yuvj") or (grey and not color_range)
    return Colour(
        matrix=BT601_625 if known == UNSPECIFIED and primaries != 6 else 6 if known == UNSPECIFIED else known,
        primaries=primaries,
        transfer=transfer,
        full_range=full,
        grey_bits=0 if full else _grey_bits(pixel_format),
    )


def _grey_bits(pixel_format: str) -> int:
    """Return the depth in the name of a grey format, 0 for any other: "gray" has 8, "gray10le" 10."""
    found = re.fullmatch(r"gray(\d*)(le|be)?", pixel_format)
    return int(found[1] or 8) if found else 0


def written(source: Colour) -> Colour:
    """Return how a prepared file of this source is tagged and coded: limited range, BT.601 or BT.709."""
    if needs_tone_map(source):
        return SDR
    primaries = 6 if source.primaries == 7 else source.primaries
    matrix = source.matrix if source.matrix in {BT709, BT601_625, BT601_525} else BT709
    transfer = source.transfer
    if transfer in SAME_AS_BT709:
        transfer = 1 if matrix == BT709 else 6
    return Colour(matrix=matrix, primaries=primaries, transfer=transfer)


def needs_tone_map(source: Colour) -> bool:
    """Whether more than the matrix and the range are to change: HDR, or primaries wider than a screen's."""
    return source.transfer in {PQ, HLG} or source.primaries in WIDE_PRIMARIES


EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
TONE_MAP = "tone map"  # among filters: where `tone.ToneMap` comes in, on 12-bit RGB


def conversion(source: Colour, target: Colour, bits: int = 8) -> tuple[str, ...]:
    """Return the filters that turn a picture of so many bits into 8-bit 4:2:0 as `target` says.

    Both sides are named in each.
    """
    read = "" if source.matrix == RGB else f"in_color_matrix={MATRICES[source.matrix]}:"
    levels = f"in_range={'full' if source.full_range else 'limited'}"
    # swscale takes grey for full range whatever it is told: full to full leaves the numbers as they are.
    depth = "" if source.grey_bits == 8 else str(source.grey_bits)
    grey = (f"scale=in_range=full:out_range=full:{EXACT}", f"format=yuv420p{depth}")
    before = grey if source.grey_bits else ()
    end = f"out_color_matrix={MATRICES[target.matrix]}:out_range=limited:{EXACT}"
    matrix = MATRICES.get(source.matrix)
    if source.full_range and matrix == MATRICES[target.matrix] and not before and not needs_tone_map(source):
        if bits > 8:
            return (_limited(bits), f"scale={read}in_range=limited:{end}", "format=yuv420p")
        # libav has names for such formats that swscale takes for full range whatever it is told.
        full = f"scale={read}in_range=full:out_color_matrix={matrix}:out_range=full:{EXACT}"
        return (full, "format=yuv420p", _limited(bits))
    if not needs_tone_map(source):
        return (*before, f"scale={read}{levels}:{end}", "format=yuv420p")
    return (
        *before,
        f"scale={read}{levels}:out_range=full:{EXACT}",
        "format=gbrp12",
        TONE_MAP,
        f"scale=in_range=full:{end}",
        "format=yuv420p",
    )


def _limited(bits: int) -> str:
    """Return the filter from full range to limited at the same depth (ITU-R BT.2100-2, table 9), rounded.

    swscale makes colour up to 0.7 of 8-bit levels too high on this way.
    """
    most, middle, unit = 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 8)
    luma = f"{16 * unit}+val*{219 * unit}/{most}+0.5"
    colour = f"{middle}+(val-{middle})*{224 * unit}/{most}+0.5"
    return f"lutyuv=y={luma}:u={colour}:v={colour}"
