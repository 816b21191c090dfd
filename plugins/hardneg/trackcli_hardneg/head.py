"""The anchor-free head: score, centre-ness and distances per cell, added over levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.labels.points import boxes_from_distances
from trackcli.contracts.components import Head
from trackcli.contracts.context import Context
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import Candidates, PointOutput, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli_hardneg.config import FcosConfig

RARE = 0.01
"""Score of every cell before training: nearly all are background (Lin et al. 2017, section 3.3)."""

TYPICAL_DISTANCE = 4.0
"""Strides from a point to a side before training."""

MAX_EXPONENT = 5.0
"""Distances up to e⁵ = 148 strides; beyond, only an overflow."""


class FcosLevel(nn.Module):
    """ψ of one level (equation 1): four 3×3 convolutions per branch, then 1×1 outputs.

    Score and centre-ness share the classification branch (figure 3).
    """

    def __init__(self, shape: MatchShape, config: FcosConfig) -> None:
        super().__init__()
        self.classification = _tower(shape.classification, config)
        self.regression = _tower(shape.regression, config)
        self.score = _output(shape.classification, config, (0.0, -math.log(1 / RARE - 1)))
        self.centerness = _output(shape.classification, config, (0.0,)) if config.centerness else None
        self.distances = _output(shape.regression, config, (_raw_of(TYPICAL_DISTANCE, config),) * 4)

    def forward(self, level: MatchedLevel) -> tuple[Tensor, Tensor | None, Tensor]:
        """s ``(B, N, 2)``, c ``(B, N)`` logits or None, and r ``(B, N, 4)`` before it is made positive."""
        features = self.classification(level.classification)
        score = _per_point(self.score(features))
        centerness = None if self.centerness is None else _per_point(self.centerness(features)).squeeze(-1)
        return score, centerness, _per_point(self.distances(self.regression(level.regression)))


class FcosHead(Head):
    """One :class:`FcosLevel` per response; their outputs are added with learnt weights.

    Equation 9: ``S = Σ w_i^s s_i``, ``C = Σ w_i^c c_i``, ``R = Σ w_i^r r_i``, each set of weights a softmax over learnt
    values, so that the sum stays in the range of its parts. A cell stands for the point that the matcher's ``offset``
    says, which corrects equation 2: with 25 cells of stride 8 in a crop of 255, cell x lies at 31.5 + 8x.

    Source: Zhang and Zhang 2020, section 3.2; section 3.5, equation 9.
    """

    def __init__(self, config: FcosConfig, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.levels = nn.ModuleDict({name: FcosLevel(shape, config) for name, shape in matches.items()})
        self.score_weights = nn.Parameter(torch.zeros(len(matches)))
        self.centerness_weights = nn.Parameter(torch.zeros(len(matches))) if config.centerness else None
        self.distance_weights = nn.Parameter(torch.zeros(len(matches)))

    def forward(self, matched: Matched, context: Context) -> Predictions[PointOutput]:
        """The fused output, and one stage per level."""
        found = {name: head(matched.levels[name]) for name, head in self.levels.items()}
        scores, centers, raws = zip(*found.values(), strict=True)
        level = matched.levels[next(iter(found))]
        stages = {
            name: self._output(level, score, centerness, positive_distances(raw, level.stride, self.config))
            for name, (score, centerness, raw) in found.items()
        }
        if self.config.fuse == "raw":
            summed = weighted_sum([_precise(raw) for raw in raws], self.distance_weights)
            distances = positive_distances(summed, level.stride, self.config)
        else:
            distances = weighted_sum([stage.distances for stage in stages.values()], self.distance_weights)
        centerness = None if self.centerness_weights is None else weighted_sum(list(centers), self.centerness_weights)
        fused = self._output(level, weighted_sum(list(scores), self.score_weights), centerness, distances)
        return Predictions(fused, stages)

    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """Every cell is a candidate, scored ``softmax(S) · C``; its point is the cell."""
        output: PointOutput = predictions.output
        scores = _precise(output.logits).softmax(dim=-1)[..., 1]
        if output.centerness is not None:
            scores = scores * _precise(output.centerness).sigmoid()
        return Candidates(
            boxes_xyxy=boxes_from_distances(output.points_xy, output.distances),
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=output.points_xy.expand(scores.shape[0], -1, 2),
            valid=torch.ones_like(scores, dtype=torch.bool),
        )

    def _output(self, level: MatchedLevel, score: Tensor, centerness: Tensor | None, distances: Tensor) -> PointOutput:
        return PointOutput(score, distances, level.grid.points_xy(distances), level.grid, centerness)


def positive_distances(raw: Tensor, stride: float, config: FcosConfig) -> Tensor:
    """``exp`` or ``softplus`` of what the network gave, times the stride: search-crop pixels, in float32 at least."""
    raw = _precise(raw)
    strides = raw.clamp(max=MAX_EXPONENT).exp() if config.distances == "exp" else F.softplus(raw)
    return strides * stride


def weighted_sum(tensors: list[Tensor], weights: Tensor) -> Tensor:
    """``Σ w_i t_i`` with w the softmax of ``weights`` (equation 9)."""
    shares = weights.softmax(dim=0)
    return torch.stack([share * tensor for share, tensor in zip(shares, tensors, strict=True)]).sum(dim=0)


def _precise(tensor: Tensor) -> Tensor:
    """At least float32: a bfloat16 has 8 bits, a box needs more."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _raw_of(strides: float, config: FcosConfig) -> float:
    return math.log(strides) if config.distances == "exp" else math.log(math.expm1(strides))


def _tower(inputs: int, config: FcosConfig) -> nn.Sequential:
    """Padded, so that the map keeps its size: S and R are w × h as the correlation is."""
    layers: list[nn.Module] = []
    for index in range(config.depth):
        width = inputs if index == 0 else config.channels
        layers += [
            nn.Conv2d(width, config.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _output(inputs: int, config: FcosConfig, biases: tuple[float, ...]) -> nn.Conv2d:
    last = nn.Conv2d(config.channels if config.depth else inputs, len(biases), 1)
    nn.init.normal_(last.weight, std=0.01)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(biases))  # type: ignore[union-attr]  # created with a bias
    return last


def _per_point(maps: Tensor) -> Tensor:
    """``(B, K, H, W)`` → ``(B, H · W, K)``, row by row."""
    return maps.flatten(2).transpose(1, 2)
