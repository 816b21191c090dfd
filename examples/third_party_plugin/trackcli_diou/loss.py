"""The Distance-IoU loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trackcli.builtin.labels.anchors import decode_deltas
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.boxes import box_iou, centers_and_sizes
from trackcli_diou.config import DiouConfig


class DiouLoss(Loss):
    """``1 - IoU + d² / c²``, averaged over the positive anchors of all pairs; 0 where there are none.

    Source: Zheng et al. 2020, equations 5 to 7.
    """

    def __init__(self, config: DiouConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.positive_iou = config.positive_iou

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The term ``box``."""
        output = outputs.predictions.output
        anchors_xyxy = output.anchors_xyxy.float()
        has_target = batch.positive[:, None, None]
        # Without a target the box means nothing, even NaN: any sound box in its place, since its row is masked anyway.
        truth_xyxy = batch.search_boxes_xyxy.float().unsqueeze(1).where(has_target, anchors_xyxy[:1])
        positive = (box_iou(anchors_xyxy, truth_xyxy) >= self.positive_iou) & has_target.squeeze(-1)
        boxes_xyxy = decode_deltas(anchors_xyxy, output.deltas.float())
        loss = diou_loss(boxes_xyxy, truth_xyxy.expand_as(boxes_xyxy))
        return {"box": masked_mean(loss, positive, batch.counting)}


def diou_loss(boxes_xyxy: Tensor, truth_xyxy: Tensor) -> Tensor:
    """``(…, 4)`` boxes and truth in one unit → ``(…,)`` in 0..2.

    d is the distance of the centres, c the diagonal of the smallest box around both.
    """
    (centers, _), (true_centers, _) = centers_and_sizes(boxes_xyxy), centers_and_sizes(truth_xyxy)
    distance = (centers - true_centers).square().sum(dim=-1)
    hull = torch.maximum(boxes_xyxy[..., 2:], truth_xyxy[..., 2:]) - torch.minimum(
        boxes_xyxy[..., :2], truth_xyxy[..., :2]
    )
    diagonal = hull.square().sum(dim=-1).clamp(min=torch.finfo(hull.dtype).tiny)
    return 1 - box_iou(boxes_xyxy, truth_xyxy) + distance / diagonal
