"""Compiled loops: loaded on use, without a cache if there is no place for one, and exact."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numba.core.caching import CacheImpl

from harness.videos.perturb.drawing.blending import cut_out, laid_on, mixed
from harness.videos.perturb.drawing.compiled import BYTES, Bytes, U, compiled, flat
from harness.videos.perturb.drawing.planes import scalar

pytestmark = pytest.mark.slow  # starts processes and compiles


def test_the_catalogue_is_there_without_numba() -> None:
    program = (
        "import sys; from harness.videos.perturb.registry import catalogue; assert catalogue();"
        "assert not {'numba', 'llvmlite'} & set(sys.modules), 'a listing of the kinds loads numba'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_where_no_cache_can_be_written_it_is_compiled_for_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])

    @compiled(BYTES)
    def turn_round(samples: Bytes) -> None:
        for x in range(U(samples.size)):
            samples[x] = 255 - samples[x]

    samples = np.arange(5, dtype=np.uint8)
    turn_round(samples)
    assert samples.tolist() == [255, 254, 253, 252, 251]


def test_of_two_processes_one_compiles_and_the_other_takes_what_it_made(tmp_path: Path) -> None:
    program = (
        "import numpy as np; from harness.videos.perturb.drawing import compiled as place\n"
        "compile_it = place._compile\n"
        "def told(*given):\n"
        "    made = compile_it(*given); print(sum(made.stats.cache_misses.values())); return made\n"
        "place._compile = told\n"
        "from harness.videos.perturb.drawing.blending import mixed\n"
        "plane = np.full((4, 4), 8, np.uint8); mixed(plane, plane, plane, 77); assert (plane == 8).all()\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    assert sorted(process.communicate(timeout=120)[0] for process in both) == [b"0\n", b"1\n"]


def test_a_plane_whose_samples_do_not_follow_each_other_is_refused() -> None:
    plane = np.zeros((8, 16), np.uint8)
    with pytest.raises(ValueError, match="follow each other"):
        flat(plane[:, ::2])
    for wrong in (plane[:, ::2], plane[:, ::-1], np.broadcast_to(plane[:1], plane.shape).copy(order="F")):
        with pytest.raises(ValueError, match="follow each other"):
            mixed(wrong, wrong, wrong, 77)
    assert flat(plane[2:, 3:9])[0].size == 5 * 16 + 6


def test_shares_of_255_are_rounded_as_opencv_rounds_them_for_every_pair() -> None:
    one, other = (np.ascontiguousarray(each.astype(np.uint8)) for each in np.mgrid[:256, :256])
    room = np.full((258, 300), 7, np.uint8)
    plane = room[1:-1, 20:276]
    plane[:] = one
    laid_on(plane, other, np.full_like(one, 30))
    assert np.array_equal(plane, cv2.add(cv2.multiply(one, other, scale=1 / 255), scalar(30.0)))
    plane[:] = one
    cut_out(plane, ~one, other)
    rest = cv2.multiply(one, ~other, scale=1 / 255)
    assert np.array_equal(plane, cv2.add(rest, cv2.multiply(~one, other, scale=1 / 255)))
    room[1:-1, 20:276] = 7
    assert (room == 7).all(), "something beside the plane was written to"
