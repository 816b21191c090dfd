"""The head of two stages: any head proposes, the fine stage judges again, both results are fused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trackcli.builtin.labels.anchors import decode_deltas
from trackcli.contracts.components import Head
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch, Level
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.contracts.state import HeadKernel
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import centers_and_sizes
from trackcli.host.registry import installed
from trackcli.host.specs import HeadSpec
from trackcli_spm.config import SeriesParallelConfig
from trackcli_spm.fine import FineStage, make_fine_stage
from trackcli_spm.outputs import Regions, SeriesParallelOutput
from trackcli_spm.proposals import Proposals, choose_for_training, propose

_FINE, _COARSE = "fine.", "coarse."


class SeriesParallelHead(Head):
    """Coarse matching → K boxes → fine matching → fusion.

    In series: the fine stage sees boxes of the coarse one. In parallel: scores and boxes of both make the result.

    Source: Wang et al. 2019 (SPM-Tracker), sections 3.1 to 3.3 and 4.
    """

    def __init__(
        self, config: SeriesParallelConfig, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]
    ) -> None:
        super().__init__()
        self.config = config
        self.coarse_name = config.coarse.name
        factory = installed().find(HeadSpec, self.coarse_name).load_factory()
        self.coarse: Head = factory(config.coarse.config(), matches, levels)
        self.pooled = config.chosen(levels)
        self.fine: FineStage | None = None
        if config.structure != "coarse":
            self.fine = make_fine_stage(sum(levels[name].channels for name in self.pooled), config)
        self.register_buffer("delta_scales", torch.tensor(config.delta_scales), persistent=False)

    delta_scales: Tensor

    def embed(self, template: Branch) -> HeadKernel | None:
        """The fine stage's part of the template, and the coarse head's, if it has one."""
        kernel = {f"{_COARSE}{name}": leaf for name, leaf in (self.coarse.embed(template) or {}).items()}
        if self.fine is not None:
            if template.boxes_xyxy is None:
                raise ShapeError("series-parallel pools the target and needs its box in the template; it has none")
            kept = self.fine.embed(self._levels(template), template.boxes_xyxy)
            kernel |= {f"{_FINE}{name}": leaf for name, leaf in kept.items()}
        return kernel or None

    def forward(self, matched: Matched, context: Context) -> Predictions[SeriesParallelOutput]:
        """Both stages' predictions; while training the fine stage sees boxes that are chosen by the truth."""
        coarse = self.coarse(matched, self.coarse_context(context))
        regions = None if self.fine is None else self._regions(coarse, context)
        return Predictions(SeriesParallelOutput(self.coarse_name, coarse, regions))

    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """The judged boxes, refined and scored by equation 2; the coarse candidates where there is no fine stage."""
        output: SeriesParallelOutput = predictions.output
        regions = output.regions
        if regions is None:
            return self.coarse.decode(output.coarse, self.coarse_context(context))
        fine_scores = _precise(regions.logits).softmax(dim=-1)[..., 1]
        fine_xyxy = decode_deltas(regions.boxes_xyxy, regions.deltas)
        if self.config.structure == "series":
            scores, boxes_xyxy = fine_scores, fine_xyxy
        else:
            scores, boxes_xyxy = fuse(
                regions.scores,
                fine_scores,
                regions.boxes_xyxy,
                fine_xyxy,
                score_weight=self.config.score_weight,
                box_weight=self.config.box_weight,
            )
        points_xy, _ = centers_and_sizes(boxes_xyxy)
        return Candidates(
            boxes_xyxy=boxes_xyxy,
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=points_xy,
            valid=regions.valid,
        )

    def _levels(self, branch: Branch) -> list[Level]:
        return [branch.features[name] for name in self.pooled]

    def _proposals(self, coarse: Predictions[Any], context: Context) -> Proposals:
        """Without gradient: where the boxes are is not learnt through what is pooled there."""
        with torch.no_grad():
            candidates = self.coarse.decode(coarse, self.coarse_context(context))
            candidates = replace(candidates, boxes_xyxy=candidates.boxes_xyxy.float(), scores=candidates.scores.float())
            if context.targets is not None:
                return choose_for_training(candidates, context.targets, self.config)
            return propose(candidates, context.previous_boxes_xyxy, self.config)

    def _regions(self, coarse: Predictions[Any], context: Context) -> Regions:
        proposals = self._proposals(coarse, context)
        logits, scaled = self._fine(proposals.boxes_xyxy, context)
        return Regions(
            boxes_xyxy=proposals.boxes_xyxy,
            scores=proposals.scores,
            valid=proposals.valid,
            positive=proposals.positive,
            logits=logits,
            scaled_deltas=scaled,
            delta_scales=self.delta_scales,
        )

    def judge(self, boxes_xyxy: Tensor, context: Context) -> Tensor:
        """The fine stage's logits ``(B, R, 2)`` of any boxes ``(B, R, 4)`` in search-crop pixels."""
        return _precise(self._fine(boxes_xyxy, context)[0])

    def _fine(self, boxes_xyxy: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        assert self.fine is not None
        logits, scaled = self.fine(_with_prefix(context.head_kernel, _FINE), self._levels(context.search), boxes_xyxy)
        return logits, scaled

    def coarse_context(self, context: Context) -> Context:
        """What the coarse head is given: its own part of the head kernel."""
        return replace(context, head_kernel=_with_prefix(context.head_kernel, _COARSE) or None)


def fuse(
    coarse_scores: Tensor,
    fine_scores: Tensor,
    coarse_xyxy: Tensor,
    fine_xyxy: Tensor,
    *,
    score_weight: float,
    box_weight: float,
) -> tuple[Tensor, Tensor]:
    """``u = (1 − W_cls) u_c + W_cls u_f``; ``B = (u_c B_c + W_box u_f B_f) / (W_box u_f + u_c)``.

    Args:
        coarse_scores: ``(B, R)`` u_c.
        fine_scores: ``(B, R)`` u_f.
        coarse_xyxy: ``(B, R, 4)`` B_c.
        fine_xyxy: ``(B, R, 4)`` B_f.
        score_weight: W_cls.
        box_weight: W_box.

    Returns:
        u ``(B, R)`` and B ``(B, R, 4)``.

    Source: Wang et al. 2019 (SPM-Tracker), equation 2.
    """
    scores = (1 - score_weight) * coarse_scores + score_weight * fine_scores
    weighted = box_weight * fine_scores
    share = weighted / (weighted + coarse_scores).clamp(min=torch.finfo(weighted.dtype).tiny)
    return scores, torch.lerp(coarse_xyxy, fine_xyxy, share.unsqueeze(-1))


def _with_prefix(kernel: HeadKernel | None, prefix: str) -> HeadKernel:
    """The leaves under a prefix, without it."""
    return {name.removeprefix(prefix): leaf for name, leaf in (kernel or {}).items() if name.startswith(prefix)}


def _precise(tensor: Tensor) -> Tensor:
    """At least float32: a bfloat16 has 8 bits, a box needs more."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
