"""A patch is most alike where it was cut out, and the correlation is the one of the books."""

from __future__ import annotations

import numpy as np
import pytest

from harness.videos.perturb.drawing.likeness import likeness


@pytest.mark.parametrize("patch_size", [(32, 32), (3, 17), (1, 2)])
def test_correlations_are_those_of_the_formula(patch_size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 256, (50, 60), np.uint8)
    around, patch = whole[2:44, 3:45], whole[9 : 9 + patch_size[0], 12 : 12 + patch_size[1]]
    found = likeness(around, patch)
    assert found.shape == (42 - patch_size[0] + 1, 42 - patch_size[1] + 1)
    for down in range(0, found.shape[0], 3):
        for across in range(0, found.shape[1], 3):
            part = around[down : down + patch_size[0], across : across + patch_size[1]]
            if part.std() > 0:
                assert found[down, across] == pytest.approx(np.corrcoef(part.ravel(), patch.ravel())[0, 1])
    assert found[7, 9] == pytest.approx(1)


def test_what_is_flat_is_like_nothing() -> None:
    flat, ramp = np.full((20, 20), 255, np.uint8), np.arange(400, dtype=np.uint16).reshape(20, 20)
    assert not likeness(flat, (ramp[:8, :8] % 251).astype(np.uint8)).any()
    assert not likeness((ramp % 251).astype(np.uint8), flat[:8, :8]).any()
