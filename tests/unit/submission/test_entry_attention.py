"""WS-DAN's arithmetic against cases worked out by hand."""

import math

import pytest
import torch
from detector import attention


def _map(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows)[None, None]


def test_bilinear_pool_of_one_pixel_each() -> None:
    # Two maps, each looking at one pixel of a 1x2 picture with features (4, 9) and (1, 0).
    features = torch.tensor([[[[4.0, 1.0]], [[9.0, 0.0]]]])
    maps = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    pooled = attention.bilinear_pool(features, maps)
    # means: map 0 -> (2, 4.5), map 1 -> (0.5, 0); roots; length 1 (sum of squares of roots = 7)
    expected = torch.tensor([2.0, 4.5, 0.5, 0.0]).sqrt() / math.sqrt(7.0)
    torch.testing.assert_close(pooled[0], expected, atol=2e-3, rtol=0)
    assert float(pooled.norm()) == pytest.approx(1.0)


def test_bilinear_pool_keeps_the_sign() -> None:
    pooled = attention.bilinear_pool(torch.tensor([[[[-4.0]], [[4.0]]]]), torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(pooled[0], torch.tensor([-1.0, 1.0]) / math.sqrt(2), atol=1e-4, rtol=0)


def test_crop_box_is_the_bounding_box_of_what_is_above_the_threshold() -> None:
    seen = _map(
        [
            [0.0, 0.0, 0.0, 0.0],
            [0.0, 0.5, 1.0, 0.0],
            [0.0, 0.0, 0.6, 0.0],
            [0.0, 0.0, 0.0, 0.4],
        ]
    )
    # above 0.45 of the maximum: rows 1-2, columns 1-2
    boxes = attention.crop_boxes(seen, torch.tensor([0.45]), padding=0.0)
    assert boxes.tolist() == [[0.25, 0.75, 0.25, 0.75]]
    # above 0.3: the corner too
    boxes = attention.crop_boxes(seen, torch.tensor([0.3]), padding=0.0)
    assert boxes.tolist() == [[0.25, 1.0, 0.25, 1.0]]


def test_crop_box_threshold_is_relative_to_each_map() -> None:
    one = _map([[0.0, 0.2], [0.0, 0.0]])
    boxes = attention.crop_boxes(torch.cat([one, one * 50]), torch.tensor([0.5, 0.5]), padding=0.0)
    assert boxes[0].tolist() == boxes[1].tolist() == [0.0, 0.5, 0.5, 1.0]


def test_crop_box_padding_is_clipped_at_the_edge() -> None:
    boxes = attention.crop_boxes(_map([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([0.5]), padding=0.1)
    torch.testing.assert_close(boxes, torch.tensor([[0.0, 0.6, 0.0, 0.6]]))


def test_a_map_that_is_flat_zero_keeps_the_whole_image() -> None:
    boxes = attention.crop_boxes(torch.zeros(1, 1, 3, 3), torch.tensor([0.5]), padding=0.1)
    assert boxes.tolist() == [[0.0, 1.0, 0.0, 1.0]]


def test_cropping_the_whole_image_changes_nothing() -> None:
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    whole = torch.tensor([[0.0, 1.0, 0.0, 1.0]] * 2)
    torch.testing.assert_close(attention.crop(image, whole), image)


def test_a_crop_shows_its_own_quarter_and_not_its_mirror_image() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, :2, 2:] = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # the quarter at the top right
    got = attention.crop(image, torch.tensor([[0.0, 0.5, 0.5, 1.0]]))[0, 0]
    # Enlarged twice, bilinear: pixel centres at 0.25, 0.75, 1.25, 1.75 of the quarter's own pixels.
    corner = got[1:3, 1:3]
    expected = torch.tensor([[1.75, 2.25], [2.75, 3.25]])
    torch.testing.assert_close(corner, expected)


def test_dropping_blanks_exactly_what_is_above_the_threshold() -> None:
    image = torch.full((1, 2, 2, 2), 5.0)
    seen = _map([[1.0, 0.5], [0.2, 0.0]])
    got = attention.drop(image, seen, torch.tensor([0.5]))
    # 0.5 is not above 0.5 x 1
    assert got.tolist() == [[[[0.0, 5.0], [5.0, 5.0]]] * 2]


def test_dropping_nothing_where_the_map_is_flat_zero() -> None:
    image = torch.full((1, 1, 2, 2), 5.0)
    assert torch.equal(attention.drop(image, torch.zeros(1, 1, 2, 2), torch.tensor([0.5])), image)


def test_maps_are_drawn_in_proportion_to_the_root_of_their_mean() -> None:
    # Means 9 and 1: roots 3 and 1, so the first is drawn three times in four.
    maps = torch.stack([torch.full((2, 2), 9.0), torch.ones(2, 2)])[None].repeat(4000, 1, 1, 1)
    drawn = attention.draw_map(maps, torch.Generator().manual_seed(3))
    assert drawn.shape == (4000, 1, 2, 2)
    share = float((drawn[:, 0, 0, 0] == 9).float().mean())
    assert share == pytest.approx(0.75, abs=0.03)  # more than four standard deviations
