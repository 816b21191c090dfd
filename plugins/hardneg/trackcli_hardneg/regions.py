"""Which regions of the search crop are compared with the exemplar: positive ones, hard negatives and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.builtin.labels.sampling import priorities
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import box_iou, boxes_from_centers, centers_and_sizes
from trackcli.geometry.nms import nms
from trackcli_hardneg.config import EmphasisConfig

_PRIORITY_RANGE = 2_147_483_647
"""What :func:`priorities` stays below."""


@dataclass(frozen=True)
class Regions:
    """R = 2k + 1 regions per pair: k positive ones, k hard negatives, the truth.

    Attributes:
        boxes_xyxy: ``(B, R, 4)`` in search-crop pixels.
        positive: ``(R,)`` bool: y of equation 6.
        valid: ``(B, R)`` bool: the row is a region. Pairs without the target have no positive one, and where few
            candidates miss the truth there are fewer hard negatives.
    """

    boxes_xyxy: Tensor
    positive: Tensor
    valid: Tensor


def choose_regions(candidates: Candidates, batch: Batch, config: EmphasisConfig) -> Regions:
    """Candidates by rank, thinned by NMS, told apart by their IoU with the truth; shifted truths fill the positives up.

    Candidates whose centre lies outside the crop are left out: there is nothing to pool.

    Source: Zhang and Zhang 2020, section 3.3.
    """
    has_target = batch.positive.unsqueeze(1)
    proposals, ranked = _propose(candidates, batch.search_images.shape[-1], config)
    # Any sound box where there is no target: the row is masked, and a NaN must not get near the network.
    truth = batch.search_boxes_xyxy.unsqueeze(1).to(proposals.dtype).where(has_target.unsqueeze(-1), proposals[:, :1])
    overlap = box_iou(proposals, truth)
    # Without the target in view, whatever is found is a mistake.
    misses = ranked & ((overlap < config.negative_iou) | ~has_target)
    hits = ranked & (overlap > config.positive_iou) & has_target
    shifted = shifted_boxes(truth.squeeze(1), batch.sample_ids, config.per_kind, least_iou=config.positive_iou)
    pool = torch.cat((proposals, shifted), dim=1)
    is_positive = torch.cat((hits, has_target.expand(-1, config.per_kind)), dim=1)
    positives, positive_valid = first_rows(pool, is_positive, config.per_kind)
    negatives, negative_valid = first_rows(proposals, misses, config.per_kind)
    labels = [True] * config.per_kind + [False] * config.per_kind + [True]
    return Regions(
        boxes_xyxy=torch.cat((positives, negatives, truth), dim=1),
        positive=torch.tensor(labels, device=pool.device),
        valid=torch.cat((positive_valid, negative_valid, has_target), dim=1),
    )


def _propose(candidates: Candidates, size: int, config: EmphasisConfig) -> tuple[Tensor, Tensor]:
    """The best candidates after NMS: ``(B, P, 4)``, best first, and ``(B, P)`` bool, whether the row is one."""
    boxes = candidates.boxes_xyxy.detach().float()
    centers_xy, sizes_wh = centers_and_sizes(boxes)
    usable = candidates.valid & ((centers_xy > 0) & (centers_xy < size) & (sizes_wh > 0)).all(dim=-1)
    scores = candidates.scores.detach().float().where(usable, -torch.inf)
    keep = min(config.proposals, scores.shape[1])
    chosen, ranked = nms(boxes, scores, iou_threshold=config.nms_iou, keep=keep)
    return boxes.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 4)), ranked


def shifted_boxes(boxes_xyxy: Tensor, sample_ids: Tensor, count: int, *, least_iou: float) -> Tensor:
    """Random shifts of boxes that keep an IoU above ``least_iou`` with the unshifted box.

    A shift that leaves the share q of the area covered has IoU q / (2 − q), so q is drawn above 2T / (1 + T) and split
    at random between the two directions: no draw is thrown away, and none depends on another pair.

    Args:
        boxes_xyxy: ``(B, 4)``.
        sample_ids: ``(B,)`` int64; the shifts are a function of them.
        count: Shifts per box.
        least_iou: T.

    Returns:
        ``(B, count, 4)``.
    """
    draws = (priorities(sample_ids, 4 * count).double() + 0.5) / _PRIORITY_RANGE
    amount, split, *signs = draws.reshape(-1, 4, count).unbind(dim=1)
    least_covered = 2 * least_iou / (1 + least_iou)
    covered = 1 - (1 - least_covered) * amount
    shares = torch.stack((1 - covered**split, 1 - covered ** (1 - split)), dim=-1)
    direction = torch.stack(signs, dim=-1).sub(0.5).sign()
    centers_xy, sizes_wh = centers_and_sizes(boxes_xyxy.unsqueeze(1))
    shifts_xy = (direction * shares).to(boxes_xyxy.dtype) * sizes_wh
    return boxes_from_centers(centers_xy + shifts_xy, sizes_wh.expand_as(shifts_xy))


def first_rows(boxes_xyxy: Tensor, mask: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` boxes of each row whose ``mask`` is true, in their order.

    Args:
        boxes_xyxy: ``(B, P, 4)``.
        mask: ``(B, P)`` bool.
        count: How many.

    Returns:
        ``(B, count, 4)`` and ``(B, count)`` bool; where the mask has fewer true elements the last rows are some other
        box, and not valid.
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    order = places.where(mask, places + mask.shape[1]).argsort(dim=1)
    # Fewer boxes than wanted: repeat the last one, which is then not valid.
    order = order[:, torch.arange(count, device=mask.device).clamp(max=mask.shape[1] - 1)]
    valid = mask.gather(1, order) & (torch.arange(count, device=mask.device) < mask.shape[1])
    return boxes_xyxy.gather(1, order.unsqueeze(-1).expand(-1, -1, 4)), valid
