"""The loss of both stages: generalised training in the coarse one, discrimination in the fine one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.labels.anchors import AnchorAssigner, AnchorLabels, encode_deltas
from trackcli.config.component import LossConfig
from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.predictions import AnchorOutput
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import FitError
from trackcli.host.registry import installed
from trackcli.host.specs import LossSpec
from trackcli_spm.config import SeriesParallelLossConfig, default_coarse_loss
from trackcli_spm.outputs import Regions, SeriesParallelOutput


class SeriesParallelLoss(Loss):
    """``λ₁ L_cm_cls + λ₂ L_cm_b + λ₃ L_fm_cls + λ₄ L_fm_b`` (equation 1).

    Generalised training: in the coarse stage every object of the template's category is positive, whatever pair it
    comes from; in the fine stage the target alone is. Classification is cross-entropy, half of it over positives and
    half over negatives; boxes have smooth L1 over positives.

    A coarse head without anchors has its own loss, for one box per pair; generalised training then makes a pair
    positive whose search region is centred on another object of the category, while objects beside the centred one
    are not positive.

    Source: Wang et al. 2019 (SPM-Tracker), sections 3.2 and 4.2.
    """

    def __init__(self, config: SeriesParallelLossConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.adjusted = dict(adjusted)
        self.assigner = AnchorAssigner(config.positive_iou, config.negative_iou, config.positives, config.anchors)
        self.coarse: Loss | None = None
        self.coarse_weight = 1.0
        if config.coarse is not None:
            inner = config.coarse.config()
            factory = installed().find(LossSpec, config.coarse.name).load_factory()
            self.coarse = _usable(factory(inner, adjusted), config.coarse.name)
            self.coarse_weight = inner.weight
        self._defaults: dict[str, tuple[Loss, float]] = {}

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Terms ``coarse_classification``, ``coarse_box``, ``fine_classification``, ``fine_box``.

        A coarse head with a loss of its own has that one's terms after ``coarse_``, with its weight, not λ₁ and λ₂.
        """
        output: SeriesParallelOutput = outputs.predictions.output
        terms = self._coarse_terms(output, outputs, batch)
        if output.regions is not None:
            classification, box = fine_terms(output.regions, batch)
            terms["fine_classification"] = self.config.fine_score_weight * classification
            terms["fine_box"] = self.config.fine_box_weight * box
        return terms

    def _coarse_terms(self, output: SeriesParallelOutput, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        anchors = output.coarse.output
        if self.coarse is None and isinstance(anchors, AnchorOutput):
            classification, box = self._anchor_terms(anchors, batch)
            return {
                "coarse_classification": self.config.coarse_score_weight * classification,
                "coarse_box": self.config.coarse_box_weight * box,
            }
        loss, weight = (self.coarse, self.coarse_weight) if self.coarse else self._default_loss(output.coarse_head)
        seen = generalised_pairs(batch) if self.config.generalised else batch
        found = loss(replace(outputs, predictions=output.coarse), seen)
        return {f"coarse_{name}": weight * value for name, value in found.items()}

    def _anchor_terms(self, output: AnchorOutput, batch: Batch) -> tuple[Tensor, Tensor]:
        labels = self.labels(output.anchors_xyxy.float(), batch)
        log_probability = output.logits.float().log_softmax(dim=-1)
        error = F.smooth_l1_loss(output.deltas.float(), labels.deltas, reduction="none").sum(dim=-1)
        return (
            _balanced(log_probability, labels.positive, labels.negative, batch),
            masked_mean(error, labels.positive, batch.counting),
        )

    def labels(self, anchors_xyxy: Tensor, batch: Batch) -> AnchorLabels:
        """What anchors ``(N, 4)`` should say: in generalised training yes to every object of the category."""
        if self.config.generalised:
            wanted = batch.valid & batch.same_category
            return self.assigner.assign_to_any(anchors_xyxy, batch.objects_xyxy.float(), wanted, batch.sample_ids)
        return self.assigner.assign(anchors_xyxy, batch.search_boxes_xyxy.float(), batch.positive, batch.sample_ids)

    def _default_loss(self, head: str) -> tuple[Loss, float]:
        """The default loss of a coarse head and its weight, made when first needed: only then is the head known."""
        if head not in self._defaults:
            name = default_coarse_loss(head)
            spec = installed().find(LossSpec, name)
            inner = cast(LossConfig, spec.load_config_class()())
            loss = _usable(spec.load_factory()(inner, self.adjusted), name)
            if next(loss.parameters(), None) is not None:
                raise FitError(
                    f"loss {name!r} has parameters of its own, which must be there from the start; name it with "
                    f"--set loss.series-parallel.coarse={name}"
                )
            self._defaults[head] = loss, inner.weight
        return self._defaults[head]


def fine_terms(regions: Regions, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy over the chosen boxes and smooth L1 over those that are the target: L_fm_cls and L_fm_b."""
    log_probability = regions.logits.float().log_softmax(dim=-1)
    classification = _balanced(log_probability, regions.positive, regions.valid & ~regions.positive, batch)
    truth = batch.search_boxes_xyxy.float().unsqueeze(1)
    # Zero where nothing is to be learnt: even a missing truth's NaN must not reach the loss.
    wanted = encode_deltas(regions.boxes_xyxy, truth).where(regions.positive.unsqueeze(-1), 0)
    error = F.smooth_l1_loss(regions.scaled_deltas.float(), wanted * regions.delta_scales, reduction="none")
    return classification, masked_mean(error.sum(dim=-1), regions.positive, batch.counting)


def generalised_pairs(batch: Batch) -> Batch:
    """The batch with every pair positive whose search region is centred on an object of the template's category."""
    wanted = batch.valid[:, 0] & batch.same_category[:, 0]
    boxes_xyxy = batch.objects_xyxy[:, 0].where(wanted.unsqueeze(1), batch.search_boxes_xyxy)
    return replace(batch, positive=batch.positive | wanted, search_boxes_xyxy=boxes_xyxy)


def _balanced(log_probability: Tensor, positive: Tensor, negative: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy, half of it over positives and half over negatives, as in SiamRPN++."""
    return (
        masked_mean(-log_probability[..., 1], positive, batch.counting)
        + masked_mean(-log_probability[..., 0], negative, batch.counting)
    ) / 2


def _usable(loss: Loss, name: str) -> Loss:
    if loss.needs_candidates:
        raise FitError(
            f"loss {name!r} needs decoded candidates, which the coarse stage does not hand on; expected one that reads "
            "the head's output, e.g. rpn"
        )
    return loss
