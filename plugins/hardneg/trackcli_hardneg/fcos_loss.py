"""The loss of the anchor-free head: focal loss, centre-ness, IoU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.labels.points import PointAssigner, PointLabels, boxes_from_distances
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.predictions import PointOutput
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.boxes import box_iou, generalized_iou
from trackcli_hardneg.config import FcosLossConfig

SMALLEST_IOU = 1e-6
"""−ln of it is 13.8: a box beside the truth is very wrong, not infinitely so."""


class FcosLoss(Loss):
    """``λ₁ L_sco + λ₂ L_cen + λ₃ L_reg`` (equation 8 without the contrastive term) on the fused output.

    A point is positive if it lies in the truth; points on its border do not. A pair without the target has negative
    points only.

    Source: Zhang and Zhang 2020, sections 3.2 and 3.4.
    """

    def __init__(self, config: FcosLossConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.assigner = PointAssigner(ratio=config.positive_ratio)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Terms ``score``, ``centerness`` and ``box``; one whose weight is 0 is not there."""
        config, output = self.config, outputs.predictions.output
        labels = self.assigner.assign(output.points_xy, batch.search_boxes_xyxy, batch.positive)
        terms: dict[str, Tensor] = {}
        if config.score_weight:
            terms["score"] = config.score_weight * self._score(output, labels, batch)
        if config.centerness_weight and output.centerness is not None:
            terms["centerness"] = config.centerness_weight * self._centerness(output.centerness, labels, batch)
        if config.box_weight:
            terms["box"] = config.box_weight * self._box(output, labels, batch)
        return terms

    def _score(self, output: PointOutput, labels: PointLabels, batch: Batch) -> Tensor:
        """Summed over all points, over the number of positive ones, as in Lin et al. 2017, section 4.1."""
        loss = focal_loss(output.logits.float(), labels.positive, self.config.focal_gamma, self.config.focal_alpha)
        return loss.sum() / batch.counting.divisor(labels.positive.sum())

    def _centerness(self, logits: Tensor, labels: PointLabels, batch: Batch) -> Tensor:
        target = labels.centerness.where(labels.positive, 0)
        loss = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        everywhere = torch.ones_like(labels.positive)
        return masked_mean(
            loss, everywhere if self.config.centerness_over == "all" else labels.positive, batch.counting
        )

    def _box(self, output: PointOutput, labels: PointLabels, batch: Batch) -> Tensor:
        predicted = boxes_from_distances(output.points_xy, output.distances)
        # Where nothing is to be learnt the prediction stands in for the truth: a missing one may be NaN.
        truth = batch.search_boxes_xyxy.unsqueeze(1).where(labels.positive.unsqueeze(-1), predicted.detach())
        loss = iou_loss(predicted, truth) if self.config.box == "iou" else 1 - generalized_iou(predicted, truth)
        return masked_mean(loss, labels.positive, batch.counting)


def focal_loss(logits: Tensor, positive: Tensor, gamma: float, alpha: float) -> Tensor:
    """``−α_t (1 − p_t)^γ ln p_t`` with p the softmax over background and target.

    Args:
        logits: ``(…, 2)`` background and target.
        positive: ``(…,)`` bool.
        gamma: How little sure points count.
        alpha: Weight of positive points; ``1 − alpha`` of the others.

    Returns:
        ``(…,)``.

    Source: Lin et al. 2017, equation 5, on a softmax's two probabilities instead of a sigmoid's.
    """
    log_background, log_target = logits.log_softmax(dim=-1).unbind(dim=-1)
    log_right = torch.where(positive, log_target, log_background)
    # The other one's probability, rather than 1 − exp(log_right): no cancellation where a point is sure.
    wrong = torch.where(positive, log_background, log_target).exp().clamp(min=torch.finfo(logits.dtype).tiny)
    weight = torch.where(positive, alpha, 1 - alpha).to(logits.dtype)
    return -weight * wrong**gamma * log_right


def iou_loss(boxes_a_xyxy: Tensor, boxes_b_xyxy: Tensor) -> Tensor:
    """``−ln(|P ∩ G| / |P ∪ G|)`` of boxes paired by broadcasting: ``(…, 4)`` → ``(…,)``.

    Source: Zhang and Zhang 2020, equation 7; Yu et al. 2016 (UnitBox), section 2.
    """
    return -box_iou(boxes_a_xyxy, boxes_b_xyxy).clamp(min=SMALLEST_IOU).log()
