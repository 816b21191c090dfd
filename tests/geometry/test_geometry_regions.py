"""NMS and RoI Align against plain loops, borders included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackcli.geometry.boxes import box_iou
from trackcli.geometry.grids import Grid
from trackcli.geometry.nms import nms
from trackcli.geometry.roi_align import roi_align


def slow_nms(boxes: Tensor, scores: list[float], threshold: float, keep: int) -> list[int]:
    """Greedy suppression of one target's boxes, as every textbook has it."""
    order = sorted((i for i in range(len(scores)) if scores[i] > -math.inf), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    for i in order:
        if all(box_iou(boxes[i], boxes[k]).item() <= threshold for k in kept):
            kept.append(i)
    return kept[:keep]


def crowded_boxes(batch: int, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    top_left = torch.rand(batch, count, 2, generator=generator) * 20
    return torch.cat((top_left, top_left + 5 + torch.rand(batch, count, 2, generator=generator) * 15), -1)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.95])
def test_nms_equals_the_greedy_loop(threshold: float) -> None:
    boxes = crowded_boxes(3, 30, seed=4)
    # Few distinct scores, so that ties are common; every seventh box must not be taken.
    scores = torch.randint(0, 6, (3, 30), generator=torch.Generator().manual_seed(5)).float()
    scores[:, ::7] = -math.inf
    indices, valid = nms(boxes, scores, iou_threshold=threshold, keep=12)
    assert indices.shape == valid.shape == (3, 12)
    for row in range(3):
        expected = slow_nms(boxes[row], scores[row].tolist(), threshold, 12)
        assert indices[row][valid[row]].tolist() == expected


def test_nms_marks_the_rows_for_which_no_box_is_left() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 9.0], [50.0, 50.0, 60.0, 60.0]]])
    indices, valid = nms(boxes, torch.tensor([[0.5, 0.9, 0.1]]), iou_threshold=0.5, keep=3)
    assert valid.tolist() == [[True, True, False]]
    assert indices[0, :2].tolist() == [1, 2]


def test_nms_of_forbidden_boxes_only_keeps_none() -> None:
    _, valid = nms(crowded_boxes(2, 4, seed=1), torch.full((2, 4), -math.inf), iou_threshold=0.5, keep=2)
    assert not valid.any()


def test_nms_keeps_a_box_whose_overlap_is_exactly_the_threshold() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]]])  # IoU 1/2
    _, valid = nms(boxes, torch.tensor([[0.9, 0.8]]), iou_threshold=0.5, keep=2)
    assert valid.all()


def test_nms_takes_a_box_without_area_once() -> None:
    boxes = torch.zeros(1, 2, 4)
    indices, valid = nms(boxes, torch.tensor([[0.9, 0.8]]), iou_threshold=0.5, keep=2)
    assert indices.tolist() == [[0, 1]] and valid.all()


def slow_sample(feature: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Bilinear at cell position x, y; up to one cell outside the border's value, further out 0."""
    height, width = feature.shape[1:]
    if not (-1 <= x <= width and -1 <= y <= height):
        return np.zeros(len(feature))
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = math.floor(x), math.floor(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    u, v = x - left, y - top
    upper = feature[:, top, left] * (1 - u) + feature[:, top, right] * u
    lower = feature[:, bottom, left] * (1 - u) + feature[:, bottom, right] * u
    return upper * (1 - v) + lower * v


def slow_roi_align(
    feature: NDArray[np.float64], box: list[float], grid: Grid, output_size: int, samples: int
) -> NDArray[np.float64]:
    """One box, one bin after the other: the mean of its samples."""
    x0, y0, x1, y1 = box
    result = np.zeros((len(feature), output_size, output_size))
    count = output_size * samples
    for row in range(count):
        for column in range(count):
            x = (x0 + (column + 0.5) * (x1 - x0) / count - grid.offset) / grid.stride
            y = (y0 + (row + 0.5) * (y1 - y0) / count - grid.offset) / grid.stride
            result[:, row // samples, column // samples] += slow_sample(feature, x, y) / samples**2
    return result


REGIONS = {
    "inside": [12.0, 9.0, 40.0, 33.0],
    "over the top left corner": [-20.0, -12.0, 24.0, 20.0],
    "over the bottom right corner": [40.0, 30.0, 95.0, 80.0],
    "larger than the map": [-60.0, -50.0, 130.0, 120.0],
    "far outside": [400.0, 400.0, 440.0, 440.0],
    "smaller than a cell": [20.1, 20.3, 22.0, 21.4],
    "without area": [20.0, 20.0, 20.0, 20.0],
}


@pytest.mark.parametrize("offset", [0.5, 4.0, 7.5])
@pytest.mark.parametrize("stride", [8, 16])
def test_roi_align_equals_the_slow_reference(stride: float, offset: float) -> None:
    maps = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([list(REGIONS.values()), list(REGIONS.values())[::-1]]) * (stride / 8)
    grid = Grid(6, 8, stride, offset)
    pooled = roi_align(maps, boxes, grid=grid, output_size=3, samples_per_bin=2)
    assert pooled.shape == (2, len(REGIONS), 3, 3, 3)
    for row in range(2):
        for region in range(len(REGIONS)):
            expected = slow_roi_align(maps[row].double().numpy(), boxes[row, region].tolist(), grid, 3, 2)
            np.testing.assert_allclose(pooled[row, region].numpy(), expected, atol=2e-5)


def test_a_sample_on_a_cells_centre_is_the_cell() -> None:
    maps = torch.arange(20.0).reshape(1, 1, 4, 5)
    box_around_cell_2_3 = torch.tensor([[[3 * 8 + 0.5 - 1, 2 * 8 + 0.5 - 1, 3 * 8 + 0.5 + 1, 2 * 8 + 0.5 + 1]]])
    pooled = roi_align(maps, box_around_cell_2_3, grid=Grid(4, 5, 8, 0.5), output_size=1, samples_per_bin=1)
    assert pooled.item() == pytest.approx(maps[0, 0, 2, 3].item(), abs=1e-5)


@pytest.mark.parametrize(("cells_outside", "expected"), [(0.0, 7.0), (0.9, 7.0), (1.1, 0.0)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_samples_up_to_one_cell_outside_take_the_border_and_further_ones_are_zero(
    side: str, cells_outside: float, expected: float
) -> None:
    position = -cells_outside if side == "left" else 4 + cells_outside
    center = 0.5 + 8 * position
    box = torch.tensor([[[center - 0.01, 16.0, center + 0.01, 17.0]]])
    pooled = roi_align(torch.full((1, 1, 4, 5), 7.0), box, grid=Grid(4, 5, 8, 0.5), output_size=1, samples_per_bin=1)
    assert pooled.item() == pytest.approx(expected)


def test_maps_in_bfloat16_are_sampled_at_exact_positions() -> None:
    stripes = (torch.arange(31.0) % 2).expand(1, 1, 31, 31)
    boxes = torch.tensor([[[150.0, 150.0, 170.0, 170.0], [228.0, 100.0, 236.0, 116.0]]])
    grid = Grid(31, 31, 8, 0.5)
    exact = roi_align(stripes, boxes, grid=grid, output_size=2)
    rounded = roi_align(stripes.bfloat16(), boxes, grid=grid, output_size=2)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded, exact.bfloat16())


class NmsModule(torch.nn.Module):
    def forward(self, boxes_xyxy: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        return nms(boxes_xyxy, scores, iou_threshold=0.5, keep=4)


class RoiModule(torch.nn.Module):
    def forward(self, maps: Tensor, boxes_xyxy: Tensor) -> Tensor:
        return roi_align(maps, boxes_xyxy, grid=Grid(6, 8, 8, 0.5), output_size=2)


def test_nms_exports_as_one_graph_that_follows_the_boxes() -> None:
    scores = torch.rand(2, 8, generator=torch.Generator().manual_seed(3))
    program = torch.export.export(NmsModule(), (torch.zeros(2, 8, 4), scores))
    boxes = crowded_boxes(2, 8, seed=9)
    for got, expected in zip(program.module()(boxes, scores), NmsModule()(boxes, scores), strict=True):
        assert torch.equal(got, expected)


def test_roi_align_exports_as_one_graph_that_follows_the_boxes() -> None:
    maps = torch.rand(1, 2, 6, 8, generator=torch.Generator().manual_seed(3))
    program = torch.export.export(RoiModule(), (maps, torch.zeros(1, 3, 4)))
    boxes = torch.tensor([list(REGIONS.values())[:3]])
    torch.testing.assert_close(program.module()(maps, boxes), RoiModule()(maps, boxes))
