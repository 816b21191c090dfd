"""Selection: one candidate per target, in image pixels."""

from __future__ import annotations

import torch

from trackcli.builtin.config import SelectConfig
from trackcli.contracts.components import Select, row_index
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.errors import ShapeError


class SelectBest(Select):
    """Take the valid candidate that ranks highest."""

    def __init__(self, config: SelectConfig) -> None:
        super().__init__()

    def forward(self, candidates: Candidates, context: Context) -> Selection:
        """Search next around the selected box, at the first of the search sizes."""
        if context.geometry is None:
            raise ShapeError("select needs the frame's geometry; it works while tracking only")
        best = candidates.ranking.masked_fill(~candidates.valid, float("-inf")).argmax(dim=1)
        rows = row_index(best)
        boxes_xyxy = context.geometry.crop_map.to_image(candidates.boxes_xyxy[rows, best])
        return Selection(
            boxes_xyxy=boxes_xyxy,
            scores=candidates.scores[rows, best],
            penalty=candidates.penalty[rows, best],
            search_boxes_xyxy=boxes_xyxy,
            shape_index=torch.zeros_like(best),
        )
