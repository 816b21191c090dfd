"""The loss of the centre head: focal hinge on the map, L1 on the boxes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trackcli.builtin.labels.points import PointAssigner, gaussian_map
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.predictions import PointOutput
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli_ibfp.config import FocalHingeConfig


def focal_hinge(scores: Tensor, labels: Tensor, config: FocalHingeConfig) -> Tensor:
    """``y^γ |s − y|`` where y ≥ τ, ``α max(0, s)`` elsewhere; squared, if the form says so, before the factors.

    Args:
        scores: s, any shape.
        labels: y in 0..1, of the same shape.
        config: α, γ, τ and the form.

    Source: Pi et al. 2021, equation 9.
    """
    is_near = labels >= config.tau
    error = torch.where(is_near, (scores - labels).abs(), scores.clamp(min=0))
    if config.form == "squared":
        error = error.square()
    # Where the label is small its power is not used; 1 there, so that no gradient of 0^γ appears.
    factor = torch.where(is_near, labels.where(is_near, 1).pow(config.gamma), config.alpha)
    return factor * error


class FocalHingeLoss(Loss):
    """Equation 9 against a Gaussian around the centre, and equation 10 over points near it.

    The mean of equation 9 is over all points of all pairs; a pair without the target has label 0 everywhere. Distances
    are compared in strides, so that the weights hold for any stride.

    Source: Pi et al. 2021, sections III.D and IV.A.
    """

    def __init__(self, config: FocalHingeConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.assigner = PointAssigner(ratio=config.positive_ratio, distance=config.positive_distance)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Terms ``center`` and ``box``; ``box`` is 0 without positive points."""
        output: PointOutput = outputs.predictions.output
        return {
            "center": self.config.center_weight * self._center(output, batch),
            "box": self.config.box_weight * self._box(output, batch),
        }

    def _center(self, output: PointOutput, batch: Batch) -> Tensor:
        label = gaussian_map(output.points_xy, batch.search_boxes_xyxy, sigma=self.config.sigma)
        # A missing target's box may be NaN: replaced before any arithmetic that a gradient passes.
        label = label.where(batch.positive.unsqueeze(1), 0)
        loss = focal_hinge(output.logits[..., 0].float(), label, self.config)
        return masked_mean(loss, torch.ones_like(loss, dtype=torch.bool), batch.counting)

    def _box(self, output: PointOutput, batch: Batch) -> Tensor:
        """Equation 10: over N points, the sum of the four sides' errors."""
        labels = self.assigner.assign(output.points_xy, batch.search_boxes_xyxy, batch.positive)
        error = (output.distances.float() - labels.distances).abs().sum(dim=-1) / output.grid.stride
        return masked_mean(error, labels.positive, batch.counting)
