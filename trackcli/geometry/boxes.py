"""Boxes: layouts, areas, overlaps. Continuous coordinates; pixel i covers [i, i + 1)."""

from __future__ import annotations

import torch
from torch import Tensor


def xywh_to_xyxy(boxes_xywh: Tensor) -> Tensor:
    """``(…, 4)`` top-left and size → corners, same unit."""
    top_left, size = boxes_xywh[..., :2], boxes_xywh[..., 2:]
    return torch.cat((top_left, top_left + size), dim=-1)


def xyxy_to_xywh(boxes_xyxy: Tensor) -> Tensor:
    """``(…, 4)`` corners → top-left and size, same unit."""
    top_left, bottom_right = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return torch.cat((top_left, bottom_right - top_left), dim=-1)


def centers_and_sizes(boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """``(…, 4)`` corners → centres ``(…, 2)`` as x, y and sizes ``(…, 2)`` as w, h."""
    top_left, bottom_right = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return (top_left + bottom_right) / 2, bottom_right - top_left


def boxes_from_centers(centers_xy: Tensor, sizes_wh: Tensor) -> Tensor:
    """Centres ``(…, 2)`` and sizes ``(…, 2)`` → ``(…, 4)`` corners."""
    return torch.cat((centers_xy - sizes_wh / 2, centers_xy + sizes_wh / 2), dim=-1)


def box_areas(boxes_xyxy: Tensor) -> Tensor:
    """``(…, 4)`` → ``(…,)`` areas; a box with a negative side has area 0."""
    sides = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def clip_boxes(boxes_xyxy: Tensor, size_wh: Tensor) -> Tensor:
    """Cut ``(…, 4)`` boxes to an image of ``(…, 2)`` width and height."""
    limit = torch.cat((size_wh, size_wh), dim=-1).to(boxes_xyxy.dtype)
    return torch.minimum(boxes_xyxy.clamp(min=0), limit)


def box_iou(boxes_a_xyxy: Tensor, boxes_b_xyxy: Tensor) -> Tensor:
    """Intersection over union of boxes paired by broadcasting.

    Args:
        boxes_a_xyxy: ``(…, 4)``.
        boxes_b_xyxy: ``(…, 4)``, broadcast against the first. For all pairs pass ``a[..., :, None, :]`` and
            ``b[..., None, :, :]``.

    Returns:
        ``(…,)`` in 0..1; 0 where both boxes are empty.
    """
    intersection, union = _intersection_and_union(boxes_a_xyxy, boxes_b_xyxy)
    return intersection / union.clamp(min=torch.finfo(union.dtype).tiny)


def generalized_iou(boxes_a_xyxy: Tensor, boxes_b_xyxy: Tensor) -> Tensor:
    """Generalised IoU in -1..1 of boxes paired by broadcasting: IoU minus the share of the hull that neither covers.

    Source: Rezatofighi et al. 2019, algorithm 1.
    """
    tiny = torch.finfo(boxes_a_xyxy.dtype).tiny
    intersection, union = _intersection_and_union(boxes_a_xyxy, boxes_b_xyxy)
    hull_sides = torch.maximum(boxes_a_xyxy[..., 2:], boxes_b_xyxy[..., 2:]) - torch.minimum(
        boxes_a_xyxy[..., :2], boxes_b_xyxy[..., :2]
    )
    hull = (hull_sides[..., 0] * hull_sides[..., 1]).clamp(min=tiny)
    return intersection / union.clamp(min=tiny) - (hull - union) / hull


def _intersection_and_union(boxes_a_xyxy: Tensor, boxes_b_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    top_left = torch.maximum(boxes_a_xyxy[..., :2], boxes_b_xyxy[..., :2])
    bottom_right = torch.minimum(boxes_a_xyxy[..., 2:], boxes_b_xyxy[..., 2:])
    intersection = box_areas(torch.cat((top_left, bottom_right), dim=-1))
    return intersection, box_areas(boxes_a_xyxy) + box_areas(boxes_b_xyxy) - intersection
