"""Track links: smoothing, clipping, holding. All in image pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trackcli.builtin.config import ClipConfig, HoldConfig, MotionConfig, SmoothSizeConfig
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context, FrameGeometry, StartContext
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import boxes_from_centers, centers_and_sizes


def with_boxes(selection: Selection, boxes_xyxy: Tensor) -> Selection:
    """The selection with other boxes, which are also where to search next."""
    return replace(selection, boxes_xyxy=boxes_xyxy, search_boxes_xyxy=boxes_xyxy)


def with_last_boxes(selection: Selection, unsure: Tensor, context: Context) -> Selection:
    """The rows ``unsure`` ``(B,)`` keep the last box and are searched around it; the rest is as it was."""
    last_xyxy = frame_geometry(context).previous_boxes_xyxy
    rows = unsure.unsqueeze(-1)
    return replace(
        selection,
        boxes_xyxy=torch.where(rows, last_xyxy, selection.boxes_xyxy),
        search_boxes_xyxy=torch.where(rows, last_xyxy, selection.search_boxes_xyxy),
    )


def frame_geometry(context: Context) -> FrameGeometry:
    """The frame's geometry, which every track link needs.

    Raises:
        ShapeError: while training, where there is no frame.
    """
    if context.geometry is None:
        raise ShapeError("track links need the frame's geometry; they work while tracking only")
    return context.geometry


class SmoothSize(TrackLink):
    """``size = (1 - r) · last + r · new`` with ``r = rate · penalty · score``; the centre follows at once.

    Source: Li et al. 2018 (SiamRPN), section 4.3; the rate's factors are its public code's.
    """

    def __init__(self, config: SmoothSizeConfig) -> None:
        super().__init__()
        self.rate = config.rate

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Blend the selected size with the last one."""
        _, last_sizes = centers_and_sizes(frame_geometry(context).previous_boxes_xyxy)
        centers, sizes = centers_and_sizes(selection.boxes_xyxy)
        rate = (self.rate * selection.penalty * selection.scores).unsqueeze(-1)
        return with_boxes(selection, boxes_from_centers(centers, torch.lerp(last_sizes, sizes, rate))), state


class Clip(TrackLink):
    """Keep the centre in the frame and the sides between ``min_side`` and the frame's."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.min_side = config.min_side

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Clamp centre and size; a box may still reach over the border."""
        frame_wh = frame_geometry(context).frame_sizes_wh
        centers, sizes = centers_and_sizes(selection.boxes_xyxy)
        centers = torch.minimum(centers.clamp(min=0), frame_wh)
        sizes = torch.minimum(sizes.clamp(min=self.min_side), frame_wh.clamp(min=self.min_side))
        return with_boxes(selection, boxes_from_centers(centers, sizes)), state


class Motion(TrackLink):
    """The next search region lies ahead by ``gain · v``; the box itself stays.

    ``v = (1 - rate) · v + rate · (c - c_last) / s``, the mean motion of the centre in sides of the target,
    ``s = sqrt(w · h)``. A window then prefers what moves on as it did before. It comes behind links that change the
    box, which put the search around it; ``hold`` and its like may follow, and search around what they hold.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config

    def start(self, context: StartContext) -> State:
        """No target has moved in its first frame."""
        return {"velocity": torch.zeros_like(context.boxes_xyxy[:, :2])}

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Take the last motion into the mean, and look ahead."""
        config = self.config
        last_centers, _ = centers_and_sizes(frame_geometry(context).previous_boxes_xyxy)
        centers, sizes = centers_and_sizes(selection.boxes_xyxy)
        sides = sizes.prod(dim=-1, keepdim=True).sqrt()
        velocity = torch.lerp(state["velocity"], (centers - last_centers) / sides, config.rate)
        ahead = (config.gain * velocity).clamp(-config.largest, config.largest) * sides
        search_boxes_xyxy = boxes_from_centers(centers + ahead, sizes)
        return replace(selection, search_boxes_xyxy=search_boxes_xyxy), {"velocity": velocity}


class Hold(TrackLink):
    """Keep the last box while the score is under a threshold; the score itself stays low for all to see."""

    def __init__(self, config: HoldConfig) -> None:
        super().__init__()
        self.threshold = config.threshold

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Choose, row by row, between the new box and the last."""
        return with_last_boxes(selection, selection.scores < self.threshold, context), state
