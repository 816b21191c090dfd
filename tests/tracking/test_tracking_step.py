"""The step is one graph: static shapes, no branch on values."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

import trackcli
from trackcli.composition.model import TrackerModel
from trackcli.geometry.crop import CropMap, crop_windows, square_windows
from trackcli.tracking.step import TargetState, start_targets, track_step

SIZES_WH = torch.tensor([[120.0, 90.0]]).expand(2, 2)
BOXES = torch.tensor([[30.0, 20.0, 60.0, 50.0], [70.0, 40.0, 95.0, 80.0]])


def frame(seed: int) -> Tensor:
    return torch.randint(0, 256, (90, 120, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.fixture(scope="module")
def model() -> TrackerModel:
    return trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "dw-xcorr", "channels": 8},
        head={"name": "rpn", "hidden": 8},
        postprocessor=["scale-penalty", "cosine-window", "select", "smooth-size", "clip", "hold"],
        crop={"template_size": 64, "search_size": 128},
        device="cpu",
    ).model.requires_grad_(False)


@pytest.fixture(scope="module")
def state(model: TrackerModel) -> TargetState:
    crop_map = CropMap(square_windows((BOXES[:, :2] + BOXES[:, 2:]) / 2, torch.full((2,), 60.0)), 64)
    return start_targets(model, partial(crop_windows, [frame(0)], [0, 0]), crop_map, BOXES, SIZES_WH)


class OneStep(nn.Module):
    """Crop, network, decoding, penalties, selection and smoothing of two targets in one frame."""

    def __init__(self, model: TrackerModel, state: TargetState) -> None:
        super().__init__()
        self.model = model
        self.state = state

    def forward(self, frame: Tensor, windows_xyxy: Tensor) -> tuple[Tensor, Tensor]:
        crop_map = CropMap(windows_xyxy, 128)
        crops = crop_windows([frame], [0, 0], windows_xyxy, 128)
        selection, _, _ = track_step(self.model, self.state, crops, crop_map, SIZES_WH)
        return selection.boxes_xyxy, selection.scores


def test_the_whole_step_exports_as_one_graph_that_follows_frame_and_window(
    model: TrackerModel, state: TargetState
) -> None:
    step = OneStep(model, state)
    windows = [square_windows(BOXES[:, :2] + shift, torch.full((2,), 120.0)) for shift in (10.0, 25.0)]
    program = torch.export.export(step, (frame(0), windows[0]))
    for found, expected in zip(program.module()(frame(1), windows[1]), step(frame(1), windows[1]), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_every_state_leaf_has_one_row_per_target(state: TargetState) -> None:
    leaves = [*state.kernel.values(), *state.head_kernel.values(), state.boxes_xyxy, state.search_boxes_xyxy]
    leaves += [state.shape_index, state.frame_index]
    leaves += [leaf for link in state.links.values() for leaf in link.values()]
    assert {leaf.shape[0] for leaf in leaves} == {2}


def test_a_step_counts_frames_and_leaves_the_old_state_as_it_was(model: TrackerModel, state: TargetState) -> None:
    crop_map = CropMap(square_windows(BOXES[:, :2], torch.full((2,), 120.0)), 128)
    crops = crop_windows([frame(1)], [0, 0], crop_map.windows_xyxy, 128)
    selection, following, context = track_step(model, state, crops, crop_map, SIZES_WH)
    assert following.frame_index.tolist() == [1, 1] and state.frame_index.tolist() == [0, 0]
    assert torch.equal(state.boxes_xyxy, BOXES)
    assert torch.equal(following.boxes_xyxy, selection.boxes_xyxy)
    assert context.previous_boxes_xyxy is not None
    torch.testing.assert_close(crop_map.to_image(context.previous_boxes_xyxy), BOXES)


def test_rows_of_a_state_can_be_taken_and_written_back(state: TargetState) -> None:
    state = replace(state, shape_index=torch.tensor([0, 1]), frame_index=torch.tensor([7, 9]))
    swapped = state.write(torch.tensor([1, 0]), state)
    assert torch.equal(swapped.boxes_xyxy, BOXES.flip(0))
    assert torch.equal(swapped.search_boxes_xyxy, BOXES.flip(0))
    assert swapped.shape_index.tolist() == [1, 0] and swapped.frame_index.tolist() == [9, 7]
    again = swapped.take(torch.tensor([1, 0]))
    assert torch.equal(again.boxes_xyxy, BOXES)
    for name, leaf in again.kernel.items():
        assert torch.equal(leaf, state.kernel[name])


def test_normalisation_follows_its_settings(model: TrackerModel) -> None:
    pixels = torch.tensor([255.0, 127.5, 0.0]).reshape(1, 3, 1, 1)
    rgb = model.normalise(pixels).flatten().tolist()
    assert rgb == pytest.approx([(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0 - 0.406) / 0.225], abs=1e-5)


def test_caffe_weights_get_bgr_in_0_to_255() -> None:
    tracker = trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "xcorr", "channels": 8},
        head={"name": "rpn", "hidden": 8},
        normalisation={"channels": "bgr", "scale": 1.0, "mean": [103.939, 116.779, 123.68], "std": [1.0, 1.0, 1.0]},
        device="cpu",
    )
    pixels = torch.tensor([200.0, 100.0, 50.0]).reshape(1, 3, 1, 1)
    found = tracker.model.normalise(pixels).flatten().tolist()
    assert found == pytest.approx([50 - 103.939, 100 - 116.779, 200 - 123.68], abs=1e-4)
