"""Crops against a slow reference that computes every pixel on its own, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from trackcli.errors import ShapeError
from trackcli.geometry.crop import CropMap, crop_windows, fill_color, square_windows

Window = tuple[float, float, float, float]


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def slow_pixel(frame: NDArray[np.float64], x: float, y: float, fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colour at a continuous position: bilinear between pixel centres, the border's colour up to the edge."""
    height, width = frame.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        return fill
    column, row = min(max(x - 0.5, 0), width - 1), min(max(y - 0.5, 0), height - 1)
    left, top = math.floor(column), math.floor(row)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    u, v = column - left, row - top
    upper = frame[top, left] * (1 - u) + frame[top, right] * u
    lower = frame[bottom, left] * (1 - u) + frame[bottom, right] * u
    return upper * (1 - v) + lower * v


def slow_crop(frame: Tensor, window: Window, size: int) -> NDArray[np.float64]:
    """``(3, size, size)`` by definition."""
    pixels = frame.numpy().astype(np.float64)
    fill = pixels[::8, ::8].mean(axis=(0, 1))
    x0, y0, x1, y1 = window
    crop = np.empty((3, size, size))
    for row in range(size):
        for column in range(size):
            x = x0 + (column + 0.5) * (x1 - x0) / size
            y = y0 + (row + 0.5) * (y1 - y0) / size
            crop[:, row, column] = slow_pixel(pixels, x, y, fill)
    return crop


WINDOWS = {
    "inside": (10.3, 8.1, 30.3, 28.1),
    "over the left border": (-9.7, 5.2, 14.3, 29.2),
    "over the top border": (11.0, -12.4, 35.0, 11.6),
    "over the right border": (40.6, 4.0, 64.6, 28.0),
    "over the bottom border": (3.3, 30.2, 27.3, 54.2),
    "over a corner": (-6.5, -4.5, 10.5, 12.5),
    "far outside": (500.0, -900.0, 540.0, -860.0),
    "tiny, enlarged": (20.2, 20.7, 22.2, 22.7),
    "larger than the frame, shrunk": (-60.0, -70.0, 140.0, 130.0),
    "exactly the border": (0.0, 0.0, 16.0, 16.0),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_crop_equals_the_slow_reference(window: Window) -> None:
    frame = noise(40, 56)
    crop = crop_windows([frame], [0], torch.tensor([window], dtype=torch.float32), 16)
    assert crop.shape == (1, 3, 16, 16)
    np.testing.assert_allclose(crop[0].numpy(), slow_crop(frame, window, 16), atol=0.02)


def test_targets_in_frames_of_different_sizes_are_cut_in_one_call() -> None:
    frames = [noise(40, 56, seed=1), noise(24, 33, seed=2)]
    windows = [(3.0, 3.0, 19.0, 19.0), (-4.0, 2.0, 20.0, 26.0), (10.0, 20.0, 40.0, 50.0)]
    owners = [1, 0, 1]
    crops = crop_windows(frames, owners, torch.tensor(windows), 12)
    for crop, owner, window in zip(crops, owners, windows, strict=True):
        np.testing.assert_allclose(crop.numpy(), slow_crop(frames[owner], window, 12), atol=0.02)


def test_a_window_of_the_crops_size_on_whole_pixels_copies_them() -> None:
    frame = noise(30, 30)
    crop = crop_windows([frame], [0], torch.tensor([[5.0, 7.0, 21.0, 23.0]]), 16)
    assert torch.equal(crop[0], frame[7:23, 5:21].permute(2, 0, 1).float())


def test_pixels_outside_the_frame_take_its_mean_colour() -> None:
    frame = torch.zeros(16, 16, 3, dtype=torch.uint8)
    frame[..., 0], frame[..., 1], frame[..., 2] = 10, 20, 30
    assert fill_color(frame).tolist() == [10.0, 20.0, 30.0]
    crop = crop_windows([frame], [0], torch.tensor([[100.0, 100.0, 108.0, 108.0]]), 8)
    assert crop[0, :, 3, 3].tolist() == [10.0, 20.0, 30.0]


def test_a_frame_of_one_pixel_can_be_cropped() -> None:
    frame = torch.full((1, 1, 3), 77, dtype=torch.uint8)
    assert torch.equal(
        crop_windows([frame], [0], torch.tensor([[-3.0, -3.0, 4.0, 4.0]]), 8), torch.full((1, 3, 8, 8), 77.0)
    )


def test_one_window_per_target_is_expected() -> None:
    with pytest.raises(ShapeError, match=r"^windows_xyxy has shape \(2, 4\); expected \(1, 4\)$"):
        crop_windows([noise(8, 8)], [0], torch.zeros(2, 4), 8)


def test_square_windows_lie_around_their_centres() -> None:
    windows = square_windows(torch.tensor([[10.0, 20.0], [0.0, 0.0]]), torch.tensor([6.0, 4.0]))
    assert windows.tolist() == [[7.0, 17.0, 13.0, 23.0], [-2.0, -2.0, 2.0, 2.0]]


def test_a_crop_map_scales_and_shifts_each_row_by_its_own_window() -> None:
    crop_map = CropMap(torch.tensor([[100.0, 200.0, 300.0, 400.0], [-10.0, -20.0, 40.0, 30.0]]), size=100)
    assert crop_map.scales.tolist() == [2.0, 0.5]
    in_crop = torch.tensor([[10.0, 20.0, 30.0, 40.0]]).expand(2, 4)
    in_image = [[120.0, 240.0, 160.0, 280.0], [-5.0, -10.0, 5.0, 0.0]]
    assert crop_map.to_image(in_crop).tolist() == in_image
    assert crop_map.to_crop(torch.tensor(in_image)).tolist() == in_crop.tolist()
    assert crop_map.to_image(in_crop[:, None].expand(2, 5, 4))[:, 3].tolist() == in_image


coordinates = st.floats(-200, 4000, width=32)


@given(
    center=st.tuples(coordinates, coordinates),
    side=st.floats(4, 3000, width=32),
    size=st.integers(16, 511),
    box=st.tuples(coordinates, coordinates, coordinates, coordinates),
)
@settings(max_examples=80, deadline=None)
def test_a_box_survives_the_way_into_the_crop_and_back(
    center: tuple[float, float], side: float, size: int, box: Window
) -> None:
    # Boxes that a tracker handles lie about as far from the window as the window is large.
    x, y = center
    near = [x + side * math.remainder(box[0], 1.5), y + side * math.remainder(box[1], 1.5)]
    boxes_xyxy = torch.tensor([[*near, near[0] + side / 3, near[1] + side / 5]])
    crop_map = CropMap(square_windows(torch.tensor([center]), torch.tensor([side])), size)
    assert (crop_map.to_image(crop_map.to_crop(boxes_xyxy)) - boxes_xyxy).abs().max() < 1e-3 * max(1, side / size)


class CropModule(torch.nn.Module):
    def forward(self, frame: Tensor, windows_xyxy: Tensor) -> Tensor:
        return crop_windows([frame], [0, 0], windows_xyxy, 12)


def test_cropping_exports_as_one_graph_that_follows_the_windows() -> None:
    frame = noise(32, 32)
    program = torch.export.export(CropModule(), (frame, torch.zeros(2, 4) + torch.tensor([0.0, 0.0, 8.0, 8.0])))
    windows = torch.tensor([[-4.0, 3.0, 12.0, 19.0], [20.0, 20.0, 44.0, 44.0]])
    torch.testing.assert_close(program.module()(frame, windows), crop_windows([frame], [0, 0], windows, 12))
