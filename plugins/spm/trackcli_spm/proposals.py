"""Which boxes of the coarse stage the fine stage sees: while tracking, and while training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.builtin.labels.sampling import priorities
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import box_iou, boxes_from_centers, centers_and_sizes
from trackcli.geometry.nms import nms
from trackcli_spm.config import SeriesParallelConfig

SURE_OVERLAP = 0.8
"""The public code's threshold for ``last_box = "score"``."""

MOST_RANKED = 1024
"""So many boxes, best first, enter the training's NMS, as is usual for region proposals."""

LARGEST_SHIFT, LARGEST_SCALING = 0.3, 0.3
"""Of true boxes, as a share of their sides, and as a log ratio: about half of the draws overlap by more than half."""

DRAWS = 2
"""Shifted true boxes that are drawn per positive place, since some overlap too little."""

_PRIORITY_RANGE = 2_147_483_647
"""What :func:`priorities` stays below."""


@dataclass(frozen=True)
class Proposals:
    """R boxes per target.

    Attributes:
        boxes_xyxy: ``(B, R, 4)`` in search-crop pixels.
        scores: ``(B, R)``, as in :class:`trackcli_spm.outputs.Regions`, like the next two.
        valid: ``(B, R)`` bool.
        positive: ``(B, R)`` bool.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    valid: Tensor
    positive: Tensor


def propose(candidates: Candidates, previous_xyxy: Tensor | None, config: SeriesParallelConfig) -> Proposals:
    """K boxes while tracking: low scores are dropped, NMS, the best K; one place is kept for the last box.

    The box in that place is set apart first ("other boxes go through the standard proposal processing"), so it
    suppresses none.

    Args:
        candidates: Of the coarse stage.
        previous_xyxy: ``(B, 4)`` the last box in search-crop pixels; None: no place is kept.
        config: K, thresholds.

    Source: Wang et al. 2019, section 4.3.
    """
    chosen, valid = _best_k(candidates, previous_xyxy, config)
    boxes_xyxy = candidates.boxes_xyxy.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 4))
    scores = candidates.scores.gather(1, chosen)
    return Proposals(boxes_xyxy, scores, valid, torch.zeros_like(valid))


def _best_k(
    candidates: Candidates, previous_xyxy: Tensor | None, config: SeriesParallelConfig
) -> tuple[Tensor, Tensor]:
    """Indices ``(B, K)`` and ``(B, K)`` bool."""
    scores = candidates.scores.masked_fill(~candidates.valid, -torch.inf)
    low = scores < config.lowest_share * scores.amax(dim=1, keepdim=True)
    remaining = scores.masked_fill(low, -torch.inf)
    if previous_xyxy is None or config.last_box == "none" or config.proposals == 1:
        return nms(candidates.boxes_xyxy, remaining, iou_threshold=config.nms_iou, keep=config.proposals)
    last = _nearest_to_last(candidates, previous_xyxy, by_score=config.last_box == "score").unsqueeze(1)
    remaining = remaining.scatter(1, last, -torch.inf)
    chosen, valid = nms(candidates.boxes_xyxy, remaining, iou_threshold=config.nms_iou, keep=config.proposals - 1)
    return torch.cat((chosen, last), dim=1), torch.cat((valid, candidates.valid.gather(1, last)), dim=1)


def _nearest_to_last(candidates: Candidates, previous_xyxy: Tensor, *, by_score: bool) -> Tensor:
    """``(B,)`` index of the candidate that stands for the last box."""
    overlap = box_iou(candidates.boxes_xyxy, previous_xyxy.unsqueeze(1))
    if by_score:
        overlap = torch.where(overlap > SURE_OVERLAP, 1 + candidates.scores, overlap)
    return overlap.masked_fill(~candidates.valid, -1).argmax(dim=1)


def choose_for_training(candidates: Candidates, batch: Batch, config: SeriesParallelConfig) -> Proposals:
    """``train_rois`` boxes: half are the target, half are not. A pair without the target has the negative half only.

    The choice among the best coarse boxes is random, as in Faster R-CNN, and follows from the sample ids. Where the
    coarse stage proposes too few positives, shifted true boxes fill the places, so that both halves are full.

    Source: Wang et al. 2019, section 4.2.
    """
    boxes_xyxy, scores, ranked = _ranked(candidates, batch.search_images.shape[-1], config)
    has_target = batch.positive.unsqueeze(1)
    # Any sound box where there is no target: the row is masked, and a NaN must not get near the network.
    truth = batch.search_boxes_xyxy.unsqueeze(1).to(boxes_xyxy.dtype).where(has_target.unsqueeze(-1), boxes_xyxy[:, :1])
    overlap = box_iou(boxes_xyxy, truth)
    hits = ranked & (overlap > config.train_iou) & has_target
    # Without the target in view, whatever is found is a mistake.
    misses = ranked & ((overlap < config.train_iou) | ~has_target)
    positives = config.train_rois // 2
    extra = filling_boxes(truth.squeeze(1), batch.sample_ids, positives, config)
    extra_fits = (box_iou(extra, truth) > config.train_iou) & has_target
    pool = torch.cat((boxes_xyxy, extra), dim=1)
    pool_scores = torch.cat((scores, scores.new_zeros(extra.shape[:2])), dim=1)
    # All proposals come before all that fill up.
    first = torch.cat((torch.ones_like(ranked), torch.zeros_like(extra_fits)), dim=1)
    wanted = torch.cat((hits, extra_fits), dim=1)
    parts = (
        (*_draw(wanted, first, positives, batch.sample_ids), pool, pool_scores),
        (*_draw(misses, ranked, config.train_rois - positives, batch.sample_ids), boxes_xyxy, scores),
    )
    taken = [boxes.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 4)) for chosen, _, boxes, _ in parts]
    valid = [fits for _, fits, _, _ in parts]
    return Proposals(
        boxes_xyxy=torch.cat(taken, dim=1),
        scores=torch.cat([values.gather(1, chosen) for chosen, _, _, values in parts], dim=1),
        valid=torch.cat(valid, dim=1),
        positive=torch.cat((valid[0], torch.zeros_like(valid[1])), dim=1),
    )


def _ranked(candidates: Candidates, size: int, config: SeriesParallelConfig) -> tuple[Tensor, Tensor, Tensor]:
    """The best boxes after NMS: ``(B, P, 4)``, ``(B, P)`` scores, and ``(B, P)`` bool, whether the row is one.

    Boxes with their centre outside the crop are left out: there is nothing to pool.
    """
    centers_xy, sizes_wh = centers_and_sizes(candidates.boxes_xyxy)
    usable = candidates.valid & ((centers_xy > 0) & (centers_xy < size) & (sizes_wh > 0)).all(dim=-1)
    scores = candidates.scores.where(usable, -torch.inf)
    best, order = scores.topk(min(MOST_RANKED, scores.shape[1]), dim=1)
    boxes_xyxy = candidates.boxes_xyxy.gather(1, order.unsqueeze(-1).expand(-1, -1, 4))
    keep = min(config.train_proposals, best.shape[1])
    chosen, ranked = nms(boxes_xyxy, best, iou_threshold=config.train_nms_iou, keep=keep)
    kept_xyxy = boxes_xyxy.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 4))
    return kept_xyxy, best.gather(1, chosen).where(ranked, 0), ranked


def filling_boxes(boxes_xyxy: Tensor, sample_ids: Tensor, places: int, config: SeriesParallelConfig) -> Tensor:
    """Boxes that may fill positive places: the true one, and shifted and scaled ones; some overlap it too little.

    Args:
        boxes_xyxy: ``(B, 4)`` the truth.
        sample_ids: ``(B,)`` int64; the shifts are a function of them.
        places: How many places there are.
        config: Whether and how they are filled.

    Returns:
        ``(B, E, 4)``; the first is the truth. E is 0 if nothing shall be filled.
    """
    truth = boxes_xyxy.unsqueeze(1)
    if config.train_fill == "none":
        return truth[:, :0]
    if config.train_fill == "truth":
        return truth
    count = DRAWS * places
    draws = (priorities(sample_ids, 4 * count).double() + 0.5) / _PRIORITY_RANGE
    moves = draws.mul(2).sub(1).reshape(-1, 4, count).transpose(1, 2).to(boxes_xyxy.dtype)
    centers_xy, sizes_wh = centers_and_sizes(truth)
    shifted = boxes_from_centers(
        centers_xy + LARGEST_SHIFT * moves[..., :2] * sizes_wh, sizes_wh * (LARGEST_SCALING * moves[..., 2:]).exp()
    )
    return torch.cat((truth, shifted), dim=1)


def _draw(mask: Tensor, first: Tensor, most: int, sample_ids: Tensor) -> tuple[Tensor, Tensor]:
    """``most`` of each row's true elements at random, those that are ``first`` before the others.

    Returns:
        Indices ``(B, most)`` and ``(B, most)`` bool: whether the row is one; fewer may be there.
    """
    width = mask.shape[1]
    keys = (priorities(sample_ids, width) + first.to(torch.int64) * _PRIORITY_RANGE).masked_fill(~mask, -1)
    best, chosen = keys.topk(min(most, width), dim=1)
    missing = most - best.shape[1]
    if missing:
        best, chosen = (torch.cat((each, each[:, :1].expand(-1, missing)), dim=1) for each in (best, chosen))
    is_one = (best >= 0) & (torch.arange(most, device=mask.device) < width)
    return chosen, is_one
