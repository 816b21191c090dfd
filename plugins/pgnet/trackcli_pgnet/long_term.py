"""Long-term tracking: a lost target is looked for in a larger region, at the same scale, until it is found."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trackcli.builtin.postprocessors.track import with_last_boxes
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State
from trackcli_pgnet.config import LongTermConfig

LOST = "long-term.lost"
"""The selection's flag: 1 while a target is lost."""


class LongTerm(TrackLink):
    """Lost from a score under ``lost_below`` until one above ``found_above``; the search is larger meanwhile.

    A score under ``lost_below`` says nothing about where the target is: the last box is held and searched around. A
    lost target's box that scores between the two thresholds is taken, but searched around widely, until one is sure.

    The state counts lost frames. What the size is, follows from it: 0, then one of ``crop.larger_search_sizes``.

    Source: Li et al. 2019 (SiamRPN++), long-term variant of the public code; PG-Net, section 4.4, names no rule.
    """

    def __init__(self, config: LongTermConfig) -> None:
        super().__init__()
        self.config = config

    def start(self, context: StartContext) -> State:
        """No target is lost in its first frame."""
        boxes = context.boxes_xyxy
        return {"lost_frames": torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)}

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Row by row: hold or take the box, and choose the next search size."""
        unsure = selection.scores < self.config.lost_below
        lost = unsure | ((state["lost_frames"] > 0) & (selection.scores <= self.config.found_above))
        lost_frames = torch.where(lost, state["lost_frames"] + 1, 0)
        followed = replace(
            with_last_boxes(selection, unsure, context),
            shape_index=self._shape_index(lost_frames),
            flags={**selection.flags, LOST: lost},
        )
        return followed, {"lost_frames": lost_frames}

    def _shape_index(self, lost_frames: Tensor) -> Tensor:
        """0 while not lost; then 1, and one more after every ``frames_per_size`` lost frames."""
        steps = (lost_frames + self.config.frames_per_size - 1) // self.config.frames_per_size
        return steps.clamp(max=self.config.sizes)
