"""What the two stages predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trackcli.contracts.predictions import Predictions


@dataclass(frozen=True)
class Regions:
    """R boxes per target that the fine stage judged.

    Attributes:
        boxes_xyxy: ``(B, R, 4)`` B_c: as the coarse stage proposed them, search-crop pixels, without gradient.
        scores: ``(B, R)`` u_c: the coarse stage's confidence, without gradient; 0 for boxes that only training adds.
        valid: ``(B, R)`` bool: the row is a box.
        positive: ``(B, R)`` bool: the box is the target; all false while tracking.
        logits: ``(B, R, 2)`` background and target.
        scaled_deltas: ``(B, R, 4)`` from the box to the target (SiamRPN's parametrisation), times ``delta_scales``.
        delta_scales: ``(4,)``.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    valid: Tensor
    positive: Tensor
    logits: Tensor
    scaled_deltas: Tensor
    delta_scales: Tensor

    @property
    def deltas(self) -> Tensor:
        """``(B, R, 4)`` from the box to the target, in float32 at least."""
        return self.scaled_deltas.to(torch.promote_types(self.scaled_deltas.dtype, torch.float32)) / self.delta_scales


@dataclass(frozen=True)
class SeriesParallelOutput:
    """Kind ``series-parallel``.

    Attributes:
        coarse_head: Name of the coarse head.
        coarse: What it predicts.
        regions: What the fine stage makes of the best of it; None if there is no fine stage.
    """

    coarse_head: str
    coarse: Predictions[Any]
    regions: Regions | None
