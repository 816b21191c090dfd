"""The loss of the point head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.config_point import PointLossConfig
from trackcli.builtin.labels.points import PointAssigner, PointLabels, boxes_from_distances, gaussian_map
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.predictions import PointOutput
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.boxes import centers_and_sizes, generalized_iou

SMALLEST_SIDE = 1.0
"""Pixels; a thinner box would blow its normalised error up."""


class PointLoss(Loss):
    """Focal loss against a Gaussian around the centre; GIoU and L1 over the box's side for points near the centre.

    Source: Law and Deng 2018 (CornerNet), equation 1; Rezatofighi et al. 2019 (GIoU), section 3.
    """

    def __init__(self, config: PointLossConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.assigner = PointAssigner(ratio=config.positive_ratio)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Terms ``classification``, ``giou`` and ``l1``; the last two are 0 without positives."""
        output: PointOutput = outputs.predictions.output
        boxes = batch.search_boxes_xyxy
        labels = self.assigner.assign(output.points_xy, boxes, batch.positive)
        giou, l1 = self._box_terms(output, labels, batch)
        return {
            "classification": self._classification(output, batch),
            "giou": self.config.giou_weight * giou,
            "l1": self.config.l1_weight * l1,
        }

    def _classification(self, output: PointOutput, batch: Batch) -> Tensor:
        """CornerNet's equation 1, over the number of pairs with a target."""
        boxes_xyxy, positive = batch.search_boxes_xyxy, batch.positive
        heat = gaussian_map(output.points_xy, boxes_xyxy, sigma=self.config.sigma).where(positive.unsqueeze(1), 0)
        peak = heat.amax(dim=1, keepdim=True)
        # The cell nearest to the centre is the positive one, however far from the centre it lies.
        is_peak = (heat == peak) & (peak > 0)
        logits = output.logits[..., 0].float()
        share = logits.sigmoid()
        found = -F.logsigmoid(logits) * (1 - share) ** self.config.focal_power
        alarm = -F.logsigmoid(-logits) * share**self.config.focal_power * (1 - heat) ** self.config.penalty_power
        return torch.where(is_peak, found, alarm).sum() / batch.counting.divisor(positive.sum())

    def _box_terms(self, output: PointOutput, labels: PointLabels, batch: Batch) -> tuple[Tensor, Tensor]:
        positive = labels.positive
        truth = batch.search_boxes_xyxy.unsqueeze(1).expand(-1, positive.shape[1], -1)
        predicted = boxes_from_distances(output.points_xy, output.distances)
        # Where nothing is to be learnt the prediction stands in for the truth: a missing one may be NaN.
        truth = torch.where(positive.unsqueeze(-1), truth, predicted.detach())
        giou = 1 - generalized_iou(predicted, truth)
        _, sides_wh = centers_and_sizes(truth)
        sides = torch.cat((sides_wh, sides_wh), dim=-1).clamp(min=SMALLEST_SIDE)
        error = ((output.distances - labels.distances).abs() / sides).mean(dim=-1)
        return masked_mean(giou, positive, batch.counting), masked_mean(error, positive, batch.counting)
