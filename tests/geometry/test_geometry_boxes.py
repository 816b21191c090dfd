"""Boxes: layouts and overlaps, against plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trackcli.geometry.boxes import (
    box_areas,
    box_iou,
    boxes_from_centers,
    centers_and_sizes,
    clip_boxes,
    generalized_iou,
    xywh_to_xyxy,
    xyxy_to_xywh,
)
from trackcli.geometry.crop import context_sides
from trackcli.geometry.grids import Grid

Box = tuple[float, float, float, float]

positions = st.floats(-2000, 2000, width=32)
sides = st.floats(0.125, 2000, width=32)
boxes_xywh = st.tuples(positions, positions, sides, sides)


def plain_iou(a: Box, b: Box) -> tuple[float, float]:
    """IoU and generalised IoU, written out."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    intersection = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return intersection / union, intersection / union - (hull - union) / hull


def random_boxes(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    top_left = torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 50
    return torch.cat(
        (top_left, top_left + 1 + torch.rand(*shape, 2, generator=generator, dtype=torch.float64) * 40), -1
    )


def test_xywh_becomes_corners() -> None:
    assert xywh_to_xyxy(torch.tensor([10.0, 20.0, 5.0, 7.5])).tolist() == [10.0, 20.0, 15.0, 27.5]


def test_corners_become_centre_and_size() -> None:
    centers_xy, sizes_wh = centers_and_sizes(torch.tensor([[10.0, 20.0, 14.0, 28.0]]))
    assert centers_xy.tolist() == [[12.0, 24.0]]
    assert sizes_wh.tolist() == [[4.0, 8.0]]


@given(boxes_xywh)
@settings(max_examples=50, deadline=None)
def test_layouts_survive_the_way_there_and_back(box: Box) -> None:
    box_xywh = torch.tensor([box], dtype=torch.float64)
    box_xyxy = xywh_to_xyxy(box_xywh)
    torch.testing.assert_close(xyxy_to_xywh(box_xyxy), box_xywh, rtol=0, atol=1e-9)
    torch.testing.assert_close(boxes_from_centers(*centers_and_sizes(box_xyxy)), box_xyxy, rtol=0, atol=1e-9)


def test_a_box_with_a_negative_side_has_no_area() -> None:
    boxes = torch.tensor([[0.0, 0.0, 2.0, 3.0], [5.0, 0.0, 2.0, 3.0], [5.0, 5.0, 2.0, 3.0]])
    assert box_areas(boxes).tolist() == [6.0, 0.0, 0.0]


def test_clipping_cuts_to_each_rows_own_frame() -> None:
    boxes = torch.tensor([[-5.0, -5.0, 200.0, 90.0], [10.0, 20.0, 30.0, 40.0]])
    sizes_wh = torch.tensor([[100.0, 80.0], [25.0, 100.0]])
    assert clip_boxes(boxes, sizes_wh).tolist() == [[0.0, 0.0, 100.0, 80.0], [10.0, 20.0, 25.0, 40.0]]


def test_overlaps_equal_plain_loops_for_all_pairs() -> None:
    first, second = random_boxes(2, 9, seed=1), random_boxes(2, 7, seed=2)
    iou = box_iou(first[:, :, None], second[:, None])
    giou = generalized_iou(first[:, :, None], second[:, None])
    assert iou.shape == giou.shape == (2, 9, 7)
    for batch in range(2):
        for i in range(9):
            for j in range(7):
                expected = plain_iou(tuple(first[batch, i].tolist()), tuple(second[batch, j].tolist()))
                assert (iou[batch, i, j].item(), giou[batch, i, j].item()) == pytest.approx(expected, abs=1e-12)


def test_overlap_of_hand_computed_boxes() -> None:
    a, b = torch.tensor([0.0, 0.0, 4.0, 4.0]), torch.tensor([2.0, 2.0, 6.0, 6.0])
    assert box_iou(a, b).item() == pytest.approx(4 / 28)
    assert generalized_iou(a, b).item() == pytest.approx(4 / 28 - 8 / 36)


def test_boxes_that_touch_do_not_overlap() -> None:
    a, b = torch.tensor([0.0, 0.0, 4.0, 4.0]), torch.tensor([4.0, 0.0, 8.0, 4.0])
    assert box_iou(a, b).item() == 0
    assert generalized_iou(a, b).item() == 0  # the hull holds nothing but the two


def test_empty_boxes_overlap_by_zero_and_not_by_nan() -> None:
    empty = torch.tensor([3.0, 3.0, 3.0, 3.0])
    assert box_iou(empty, empty).item() == 0
    assert math.isfinite(generalized_iou(empty, empty).item())


@given(boxes_xywh, boxes_xywh)
@settings(max_examples=50, deadline=None)
def test_overlaps_are_symmetric_and_within_their_ranges(a: Box, b: Box) -> None:
    first, second = (xywh_to_xyxy(torch.tensor(box, dtype=torch.float64)) for box in (a, b))
    assert box_iou(first, second).item() == box_iou(second, first).item()
    assert 0 <= box_iou(first, second).item() <= 1 + 1e-9
    assert -1 <= generalized_iou(first, second).item() <= box_iou(first, second).item() + 1e-9


def test_a_grid_lists_its_cells_row_by_row_as_x_y() -> None:
    points = Grid(height=2, width=3, stride=8, offset=0.5).points_xy(torch.zeros(1))
    assert points.tolist() == [[0.5, 0.5], [8.5, 0.5], [16.5, 0.5], [0.5, 8.5], [8.5, 8.5], [16.5, 8.5]]


def test_a_grid_takes_the_dtype_it_is_asked_for() -> None:
    assert Grid(1, 1, 8, 0.5).points_xy(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


def test_context_sides_are_siamfcs() -> None:
    # p = 0.5 · (30 + 10) = 20; sqrt((30 + 20) · (10 + 20)) = sqrt(1500)
    assert context_sides(torch.tensor([30.0, 10.0]), 0.5).item() == pytest.approx(math.sqrt(1500))


def test_context_sides_without_context_are_the_root_of_the_area() -> None:
    assert context_sides(torch.tensor([[9.0, 4.0], [16.0, 1.0]]), 0.0).tolist() == [6.0, 4.0]
