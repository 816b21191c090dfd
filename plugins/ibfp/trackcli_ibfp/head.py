"""The centre head: how near a point is to the target's centre, and how far the box's sides are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackcli.builtin.labels.points import boxes_from_distances
from trackcli.contracts.components import Head
from trackcli.contracts.context import Context
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, PointOutput, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli_ibfp.config import CenterConfig

TYPICAL_DISTANCE = 3.6
"""Strides to a side before training: half of the 57.6 pixels of a target, at stride 8."""

MAX_EXPONENT = 5.0
"""Distances up to e⁵ = 148 strides; beyond, only an overflow."""

MARGIN = 0.02
"""Share of 0..1 at either end into which values outside are squeezed."""


class CenterHead(Head):
    """Two branches of five 3×3 convolutions: a centre map ``(B, 1, H, W)`` and distances l, t, r, b.

    The map is trained towards 0..1 as it is, without a sigmoid. Distances are ``stride · exp(…)``, so positive.

    Source: Pi et al. 2021, section III.D, figure 6.
    """

    def __init__(
        self, config: CenterConfig, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]
    ) -> None:
        super().__init__()
        ((self.level, shape),) = matches.items()
        self.center = _branch(shape.classification, config, outputs=1, bias=0.0)
        self.regression = _branch(shape.regression, config, outputs=4, bias=math.log(TYPICAL_DISTANCE))

    def forward(self, matched: Matched, context: Context) -> Predictions[PointOutput]:
        """The map as logits ``(B, N, 1)`` and distances ``(B, N, 4)`` in search-crop pixels."""
        level = matched.levels[self.level]
        scores = self.center(level.classification).flatten(2).transpose(1, 2)
        raw = self.regression(level.regression).flatten(2).transpose(1, 2)
        # Boxes in float32: bf16 has 8 bits, a box needs more.
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        distances = raw.clamp(max=MAX_EXPONENT).exp() * level.stride
        return Predictions(PointOutput(scores, distances, level.grid.points_xy(distances), level.grid))

    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """Every cell is a candidate; its point is the cell."""
        output: PointOutput = predictions.output
        scores = into_unit_interval(output.logits[..., 0].to(output.distances.dtype))
        return Candidates(
            boxes_xyxy=boxes_from_distances(output.points_xy, output.distances),
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=output.points_xy.expand(scores.shape[0], -1, 2),
            valid=torch.ones_like(scores, dtype=torch.bool),
        )


def into_unit_interval(values: Tensor, margin: float = MARGIN) -> Tensor:
    """Values as they are from ``margin`` to ``1 - margin``; beyond, squeezed into the rest of 0..1.

    Unlike a clamp it keeps the order: where all values lie below 0, the largest still ranks highest.
    """
    low = margin * ((values - margin).clamp(max=0) / margin).exp()
    high = 1 - margin * ((1 - margin - values).clamp(max=0) / margin).exp()
    return torch.where(values < margin, low, torch.where(values > 1 - margin, high, values))


def _branch(inputs: int, config: CenterConfig, *, outputs: int, bias: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(config.depth - 1):
        layers += [
            nn.Conv2d(inputs, config.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.channels),
            nn.ReLU(inplace=True),
        ]
        inputs = config.channels
    last = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]  # created with a bias
    return nn.Sequential(*layers, last)
