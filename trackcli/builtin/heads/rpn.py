"""Region proposal head: scores and box deltas for anchors, fused over levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackcli.builtin.config import RpnConfig
from trackcli.builtin.labels.anchors import decode_deltas, make_anchors
from trackcli.builtin.layers import conv_bn
from trackcli.contracts.components import Head
from trackcli.contracts.context import Context
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import AnchorOutput, Candidates, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.geometry.boxes import centers_and_sizes


class RpnLevel(nn.Module):
    """The head of one level: a hidden 1×1 convolution, unless its width is 0, and one 1×1 output for each task."""

    def __init__(self, shape: MatchShape, config: RpnConfig) -> None:
        super().__init__()
        widths = config.widths()
        self.classification = _task(shape.classification, config.hidden, widths.classification)
        self.regression = _task(shape.regression, config.hidden, widths.regression)

    def forward(self, level: MatchedLevel) -> tuple[Tensor, Tensor]:
        """Logits ``(B, N, 2)`` and deltas ``(B, N, 4)``."""
        return (
            _per_anchor(self.classification(level.classification), 2),
            _per_anchor(self.regression(level.regression), 4),
        )


class RpnHead(Head):
    """Anchors of one scale and several ratios on every cell; levels are added with learnt weights.

    Source: Li et al. 2018 (SiamRPN), section 3.2; Li et al. 2019 (SiamRPN++), equations 3 and 4: the logits and the
    deltas of the levels are summed with weights α and β (softmax over learnt parameters, so that they stay comparable).
    """

    def __init__(self, config: RpnConfig, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.levels = nn.ModuleDict({name: RpnLevel(shape, config) for name, shape in matches.items()})
        self.classification_weights = nn.Parameter(torch.zeros(len(matches)))
        self.regression_weights = nn.Parameter(torch.zeros(len(matches)))

    def forward(self, matched: Matched, context: Context) -> Predictions[AnchorOutput]:
        """Fused output and one stage per level."""
        stages: dict[str, AnchorOutput] = {}
        for name, head in self.levels.items():
            level = matched.levels[name]
            logits, deltas = head(level)
            anchors = make_anchors(level.grid, self.config.ratios, self.config.scale, like=deltas)
            stages[name] = AnchorOutput(logits, deltas, anchors, level.grid)
        first = next(iter(stages.values()))
        fused = AnchorOutput(
            _weighted_sum([stage.logits for stage in stages.values()], self.classification_weights),
            _weighted_sum([stage.deltas for stage in stages.values()], self.regression_weights),
            first.anchors_xyxy,
            first.grid,
        )
        return Predictions(fused, stages)

    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """Every anchor is a candidate; its point is the anchor's centre."""
        output: AnchorOutput = predictions.output
        # Scores and boxes in float32: bf16 has 8 bits, a box needs more.
        scores = output.logits.float().softmax(dim=-1)[..., 1]
        boxes_xyxy = decode_deltas(output.anchors_xyxy.float(), output.deltas.float())
        points_xy, _ = centers_and_sizes(output.anchors_xyxy.float())
        return Candidates(
            boxes_xyxy=boxes_xyxy,
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=points_xy.expand(scores.shape[0], -1, 2),
            valid=torch.ones_like(scores, dtype=torch.bool),
        )


def _task(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    if hidden == 0:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1))
    return nn.Sequential(conv_bn(inputs, hidden, 1), nn.Conv2d(hidden, outputs, 1))


def _per_anchor(maps: Tensor, values: int) -> Tensor:
    """``(B, values · A, H, W)`` → ``(B, A · H · W, values)``: anchor by anchor, row by row."""
    batch, _, height, width = maps.shape
    return maps.reshape(batch, -1, values, height, width).permute(0, 1, 3, 4, 2).flatten(1, 3)


def _weighted_sum(tensors: list[Tensor], weights: Tensor) -> Tensor:
    shares = weights.softmax(dim=0)
    return torch.stack([share * tensor for share, tensor in zip(shares, tensors, strict=True)]).sum(dim=0)
