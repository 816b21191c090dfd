"""The loss of the region proposal head."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.config import RpnLossConfig
from trackcli.builtin.labels.anchors import AnchorAssigner
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.predictions import AnchorOutput
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs


class RpnLoss(Loss):
    """Cross-entropy (half positives, half negatives) and smooth L1, on the fused output.

    Source: Li et al. 2018 (SiamRPN), equations 4 and 5; positives and negatives weigh the same, as in SiamRPN++.
    """

    def __init__(self, config: RpnLossConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.assigner = AnchorAssigner(config.positive_iou, config.negative_iou, config.positives, config.anchors)

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Terms ``classification`` and ``box``; the box term is 0 without positives."""
        classification, box = self.terms(outputs.predictions.output, batch)
        return {"classification": classification, "box": self.config.box_weight * box}

    def terms(self, output: AnchorOutput, batch: Batch) -> tuple[Tensor, Tensor]:
        """Unweighted classification and box terms of one output (fused, or of one stage)."""
        labels = self.assigner.assign(
            output.anchors_xyxy.float(), batch.search_boxes_xyxy, batch.positive, batch.sample_ids
        )
        log_probability = output.logits.float().log_softmax(dim=-1)
        classification = (
            masked_mean(-log_probability[..., 1], labels.positive, batch.counting)
            + masked_mean(-log_probability[..., 0], labels.negative, batch.counting)
        ) / 2
        error = F.smooth_l1_loss(output.deltas.float(), labels.deltas, reduction="none").sum(dim=-1)
        return classification, masked_mean(error, labels.positive, batch.counting)
