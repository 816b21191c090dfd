"""Non-maximum suppression with static shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from trackcli.geometry.boxes import box_iou


def nms(boxes_xyxy: Tensor, scores: Tensor, *, iou_threshold: float, keep: int) -> tuple[Tensor, Tensor]:
    """Greedy suppression that stops at ``keep`` boxes: take the best, drop what overlaps it, repeat.

    A loop over the boxes that stay beats every matrix form on CPU, and its shapes do not depend on the data. Boxes
    with equal scores are taken in the order of their index.

    Args:
        boxes_xyxy: ``(B, N, 4)``.
        scores: ``(B, N)``; ``-inf`` marks boxes that must not be taken.
        iou_threshold: A box is dropped if its IoU with a kept one is *greater* than this.
        keep: How many boxes to return, at most N.

    Returns:
        Indices ``(B, keep)``, best first, and ``(B, keep)`` bool: whether the row is a box (fewer may be left).
    """
    remaining = scores.clone()
    rows = torch.arange(boxes_xyxy.shape[0], device=boxes_xyxy.device)
    indices, valid = [], []
    for _ in range(keep):
        best_score, best = remaining.max(dim=1)
        indices.append(best)
        valid.append(best_score > float("-inf"))
        overlap = box_iou(boxes_xyxy[rows, best].unsqueeze(1), boxes_xyxy)
        remaining = remaining.masked_fill(overlap > iou_threshold, float("-inf"))
        remaining = remaining.scatter(1, best.unsqueeze(1), float("-inf"))
    return torch.stack(indices, dim=1), torch.stack(valid, dim=1)
