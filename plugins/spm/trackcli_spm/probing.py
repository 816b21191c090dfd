"""Looking into both stages: what a tracker that started on one frame sees in another, around a given box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackcli.contracts.context import Context, FrameGeometry
from trackcli.contracts.predictions import Candidates
from trackcli.errors import UsageError
from trackcli.geometry.boxes import box_iou, centers_and_sizes
from trackcli.geometry.crop import CropMap, context_sides, crop_windows, square_windows
from trackcli.tracking.step import TargetState, start_targets
from trackcli.tracking.tracker import Tracker
from trackcli_spm.head import SeriesParallelHead

FITTING_OVERLAP = 0.5
"""IoU from which on a box is one of an object."""

Image = NDArray[np.uint8]


def head_of(tracker: Tracker) -> SeriesParallelHead:
    """The tracker's head of two stages.

    Raises:
        UsageError: if it has another one.
    """
    head = tracker.session.model.head
    if not isinstance(head, SeriesParallelHead):
        raise UsageError(
            f"{tracker.name} has another head; expected a tracker with head series-parallel, e.g. of preset spm-tracker"
        )
    return head


@dataclass(frozen=True)
class Sight:
    """What the coarse stage sees in one frame.

    Attributes:
        candidates: All its boxes.
        previous_xyxy: ``(1, 4)`` the box that was searched around, in search-crop pixels.
        crop_map: Search pixels ↔ image pixels.
    """

    candidates: Candidates
    previous_xyxy: Tensor
    crop_map: CropMap


@torch.inference_mode()
def start(tracker: Tracker, frame: Image, box_xyxy: Tensor) -> TargetState:
    """Embed one target: ``(H, W, 3)`` uint8 RGB, ``(1, 4)`` image pixels."""
    window = _window(tracker, box_xyxy, tracker.plan.recipe.crop.template_size)
    crop = partial(crop_windows, [torch.from_numpy(frame).to(tracker.device)], [0])
    return start_targets(tracker.session.model, crop, window, box_xyxy, _size(frame))


@torch.inference_mode()
def look(tracker: Tracker, state: TargetState, frame: Image, around_xyxy: Tensor) -> Sight:
    """Search one frame around a box, ``(1, 4)`` image pixels, with the coarse stage."""
    model, head = tracker.session.model, head_of(tracker)
    crop_map = _window(tracker, around_xyxy, tracker.plan.recipe.crop.search_size)
    crops = crop_windows([torch.from_numpy(frame).to(tracker.device)], [0], crop_map.windows_xyxy, crop_map.size)
    context = Context(
        search=model.branch(crops),
        head_kernel=state.head_kernel or None,
        previous_boxes_xyxy=crop_map.to_crop(around_xyxy),
        geometry=FrameGeometry(crop_map, _size(frame), around_xyxy),
        frame_index=state.frame_index + 1,
    )
    predictions = head.coarse(model.matcher(state.kernel, context.search), head.coarse_context(context))
    candidates = head.coarse.decode(predictions, head.coarse_context(context))
    return Sight(replace(candidates, boxes_xyxy=candidates.boxes_xyxy.float()), crop_map.to_crop(around_xyxy), crop_map)


def best_for(candidates: Candidates, objects_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """For each object the coarse box that scores highest among those that fit it, or else the nearest one.

    Args:
        candidates: N boxes for each of B targets.
        objects_xyxy: ``(B, M, 4)`` search-crop pixels.

    Returns:
        Boxes ``(B, M, 4)`` and their coarse scores ``(B, M)``.
    """
    overlap = box_iou(candidates.boxes_xyxy.unsqueeze(1), objects_xyxy.unsqueeze(2))
    rank = torch.where(overlap > FITTING_OVERLAP, 1 + candidates.scores.unsqueeze(1), overlap)
    best = rank.masked_fill(~candidates.valid.unsqueeze(1), -1).argmax(dim=2)
    return (
        candidates.boxes_xyxy.gather(1, best.unsqueeze(-1).expand(-1, -1, 4)),
        candidates.scores.gather(1, best),
    )


def _window(tracker: Tracker, box_xyxy: Tensor, size: int) -> CropMap:
    crop = tracker.plan.recipe.crop
    centers_xy, sizes_wh = centers_and_sizes(box_xyxy)
    sides = context_sides(sizes_wh, crop.context) * (size / crop.pixels_of_context)
    return CropMap(square_windows(centers_xy, sides), size)


def _size(frame: Image) -> Tensor:
    return torch.tensor([[float(frame.shape[1]), float(frame.shape[0])]])
