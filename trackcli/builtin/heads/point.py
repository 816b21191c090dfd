"""The point head: a centre heat map and the distances to the box's sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from trackcli.builtin.config_point import PointConfig
from trackcli.builtin.labels.points import boxes_from_distances
from trackcli.contracts.components import Head
from trackcli.contracts.context import Context
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, PointOutput, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape

RARE = 0.01
"""Score of every cell before training: nearly all are background (Lin et al. 2017, section 3.3)."""

MAX_EXPONENT = 5.0
"""Distances up to e⁵ = 148 strides; beyond, only an overflow."""

TYPICAL_DISTANCE = 4.0
"""Strides to a side before training."""


class PointHead(Head):
    """Two towers of 3×3 convolutions on one response; distances are ``stride · exp(…)``, so always positive.

    Source: Zhou et al. 2019 (Objects as Points), section 3; Tian et al. 2019 (FCOS), section 3.1.
    """

    def __init__(
        self, config: PointConfig, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]
    ) -> None:
        super().__init__()
        ((self.level, shape),) = matches.items()
        self.classification = _tower(shape.classification, config, outputs=1, bias=-math.log(1 / RARE - 1))
        self.regression = _tower(shape.regression, config, outputs=4, bias=math.log(TYPICAL_DISTANCE))

    def forward(self, matched: Matched, context: Context) -> Predictions[PointOutput]:
        """Logits ``(B, N, 1)`` and distances ``(B, N, 4)`` in search-crop pixels."""
        level = matched.levels[self.level]
        logits = self.classification(level.classification).flatten(2).transpose(1, 2)
        raw = self.regression(level.regression).flatten(2).transpose(1, 2)
        # Boxes in float32: bf16 has 8 bits, a box needs more.
        distances = raw.float().clamp(max=MAX_EXPONENT).exp() * level.stride
        return Predictions(PointOutput(logits, distances, level.grid.points_xy(distances), level.grid))

    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """Every cell is a candidate; its point is the cell."""
        output: PointOutput = predictions.output
        scores = output.logits[..., 0].float().sigmoid()
        return Candidates(
            boxes_xyxy=boxes_from_distances(output.points_xy, output.distances),
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=output.points_xy.expand(scores.shape[0], -1, 2),
            valid=torch.ones_like(scores, dtype=torch.bool),
        )


def _tower(inputs: int, config: PointConfig, *, outputs: int, bias: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(config.depth):
        layers += [
            nn.Conv2d(inputs, config.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.channels),
            nn.ReLU(inplace=True),
        ]
        inputs = config.channels
    last = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]  # created with a bias
    return nn.Sequential(*layers, last)
