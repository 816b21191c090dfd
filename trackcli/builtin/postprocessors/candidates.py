"""Candidate links: penalties and windows on the ranking."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from trackcli.builtin.config import CosineWindowConfig, ScalePenaltyConfig
from trackcli.contracts.components import CandidateLink
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.state import State
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import centers_and_sizes


class ScalePenalty(CandidateLink):
    """``exp(-k · (max(r/r', r'/r) · max(s/s', s'/s) - 1))`` on the ranking.

    r is a box's aspect ratio, s the side of its context square; primes mark the last box.

    The printed form is ``exp(-k · max(r/r', r'/r) · max(s/s', s'/s))``: the same ratios between candidates, but all
    rank lower against a window that is mixed in later, and sizes follow more slowly.

    Source: Li et al. 2018 (SiamRPN), equation 13, in the form of its public code (sign, and 1 for no change); printed:
    Zhang and Zhang 2020 (hard negative emphasis), equations 10 and 11, with the sign.
    """

    def __init__(self, config: ScalePenaltyConfig) -> None:
        super().__init__()
        self.k = config.k
        self.unchanged = 1.0 if config.form == "usual" else 0.0

    def step(self, candidates: Candidates, state: State, context: Context) -> tuple[Candidates, State]:
        """Multiply ranking and ``penalty``; confidence stays."""
        if context.previous_boxes_xyxy is None:
            raise ShapeError("scale-penalty needs the last boxes; it works while tracking only")
        ratio, side = _shape(candidates.boxes_xyxy)
        last_ratio, last_side = _shape(context.previous_boxes_xyxy.unsqueeze(1))
        change = _change(ratio, last_ratio) * _change(side, last_side)
        penalty = (-self.k * (change - self.unchanged)).exp()
        return replace(candidates, ranking=candidates.ranking * penalty, penalty=candidates.penalty * penalty), state


def _shape(boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    _, sizes = centers_and_sizes(boxes_xyxy)
    width, height = sizes.clamp(min=1e-3).unbind(dim=-1)
    margin = (width + height) / 2
    return width / height, ((width + margin) * (height + margin)).sqrt()


def _change(now: Tensor, before: Tensor) -> Tensor:
    return torch.maximum(now / before, before / now)


class CosineWindow(CandidateLink):
    """Mix a cosine window over the search region into the ranking.

    The window is a function of the candidate's point, 1 in the middle and 0 towards the border, so any head can use it.

    Source: Bertinetto et al. 2016, section 3.3.
    """

    def __init__(self, config: CosineWindowConfig) -> None:
        super().__init__()
        self.influence = config.influence
        self.span = config.span
        self.largest_search = config.largest_search

    def step(self, candidates: Candidates, state: State, context: Context) -> tuple[Candidates, State]:
        """``ranking · (1 - influence) + window · influence``."""
        size = context.search.images.shape[-1]
        if self.largest_search and size > self.largest_search:
            return candidates, state
        from_center = (candidates.points_xy / size - 0.5) / self.span
        window = hann(from_center + 0.5).prod(dim=-1)
        ranking = candidates.ranking * (1 - self.influence) + window * self.influence
        return replace(candidates, ranking=ranking), state


def hann(position: Tensor) -> Tensor:
    """``sin²(π p)`` for positions in 0..1 (0 outside): 1 in the middle, 0 at both ends."""
    return (math.pi * position.clamp(0, 1)).sin().square()
