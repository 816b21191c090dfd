"""Anchors: making them, their box parametrisation, and which of them are positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.builtin.labels.sampling import keep_some
from trackcli.errors import ConfigError
from trackcli.geometry.boxes import box_iou, boxes_from_centers, centers_and_sizes
from trackcli.geometry.grids import Grid

MAX_LOG_RATIO = 4.0
"""Deltas are clamped to e^±4 anchor sizes before the exponential, so that no candidate overflows."""


def make_anchors(grid: Grid, ratios: Sequence[float], scale: float, *, like: Tensor) -> Tensor:
    """``(A · H · W, 4)`` anchors in crop pixels, anchor by anchor, row by row.

    All anchors have the area ``(scale · stride)²``; ``ratios`` are height over width. Sizes are exact; public codebases
    round them, each differently.
    """
    points_xy = grid.points_xy(like)
    side = scale * grid.stride
    sizes_wh = torch.tensor(
        [(side / ratio**0.5, side * ratio**0.5) for ratio in ratios], device=like.device, dtype=points_xy.dtype
    )
    count = len(ratios)
    return boxes_from_centers(
        points_xy.expand(count, -1, 2), sizes_wh.unsqueeze(1).expand(-1, len(points_xy), 2)
    ).reshape(-1, 4)


def encode_deltas(anchors_xyxy: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """Boxes relative to anchors: centre shift over anchor size, log size ratio.

    Args:
        anchors_xyxy: ``(N, 4)`` or ``(B, N, 4)``.
        boxes_xyxy: Broadcastable to the anchors.

    Returns:
        dx, dy, dw, dh.

    Source: Li et al. 2018 (SiamRPN), equation 3.
    """
    anchor_centers, anchor_sizes = centers_and_sizes(anchors_xyxy)
    centers, sizes = centers_and_sizes(boxes_xyxy)
    shift = (centers - anchor_centers) / anchor_sizes
    ratio = (sizes.clamp(min=1e-3) / anchor_sizes).log()
    return torch.cat((shift, ratio), dim=-1)


def decode_deltas(anchors_xyxy: Tensor, deltas: Tensor) -> Tensor:
    """The inverse of :func:`encode_deltas`; log ratios are clamped to ±``MAX_LOG_RATIO``.

    Source: Li et al. 2018 (SiamRPN), equation 12.
    """
    anchor_centers, anchor_sizes = centers_and_sizes(anchors_xyxy)
    centers = anchor_centers + deltas[..., :2] * anchor_sizes
    sizes = anchor_sizes * deltas[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    return boxes_from_centers(centers, sizes)


@dataclass(frozen=True)
class AnchorLabels:
    """What anchors should say.

    Attributes:
        positive: ``(B, N)`` bool, sampled positives.
        negative: ``(B, N)`` bool, sampled negatives; all others are ignored.
        deltas: ``(B, N, 4)`` targets of the positives; 0 in pairs without the target.
    """

    positive: Tensor
    negative: Tensor
    deltas: Tensor


@dataclass(frozen=True)
class AnchorAssigner:
    """Positive above one IoU, negative below another, the rest ignored; a limited sample of each.

    Attributes:
        positive_iou: Positive from this IoU on.
        negative_iou: Negative below this IoU.
        positives: Most positives per pair.
        total: Most anchors per pair; a negative pair contributes as many negatives as a positive one.

    Raises:
        ConfigError: if there would be no negatives.

    Source: Li et al. 2018 (SiamRPN), section 3.3; the sample sizes are SiamRPN++'s.
    """

    positive_iou: float = 0.6
    negative_iou: float = 0.3
    positives: int = 16
    total: int = 64

    def __post_init__(self) -> None:
        if self.positives >= self.total:
            raise ConfigError(
                f"positives = {self.positives} of anchors = {self.total} leave no room for negatives; "
                "expected fewer positives"
            )

    def assign(self, anchors_xyxy: Tensor, boxes_xyxy: Tensor, positive: Tensor, sample_ids: Tensor) -> AnchorLabels:
        """Label anchors for a batch.

        Args:
            anchors_xyxy: ``(N, 4)``.
            boxes_xyxy: ``(B, 4)`` truth, same unit.
            positive: ``(B,)`` bool; pairs without the target have negatives only.
            sample_ids: ``(B,)`` int64; the random sample depends on these alone.
        """
        return self.assign_to_any(anchors_xyxy, boxes_xyxy.unsqueeze(1), positive.unsqueeze(1), sample_ids)

    def assign_to_any(
        self, anchors_xyxy: Tensor, objects_xyxy: Tensor, wanted: Tensor, sample_ids: Tensor
    ) -> AnchorLabels:
        """Label anchors where several objects count: any that overlaps makes positive, all must be far for negative.

        The deltas are those to the object that an anchor overlaps most. Wanting every object of the target's category
        is generalised training.

        Args:
            anchors_xyxy: ``(N, 4)``.
            objects_xyxy: ``(B, M, 4)``, same unit; boxes that are not wanted may be anything.
            wanted: ``(B, M)`` bool; a pair without any has negatives only.
            sample_ids: ``(B,)`` int64; the random sample depends on these alone.

        Source: Wang et al. 2019 (SPM-Tracker), section 3.2.
        """
        overlap = box_iou(anchors_xyxy, objects_xyxy.unsqueeze(2)).where(wanted.unsqueeze(2), -1)
        most, which = overlap.max(dim=1)
        nearest_xyxy = objects_xyxy.gather(1, which.unsqueeze(-1).expand(-1, -1, 4))
        any_wanted = wanted.any(dim=1)[:, None, None]
        return AnchorLabels(
            positive=keep_some(most >= self.positive_iou, self.positives, sample_ids),
            negative=keep_some(most < self.negative_iou, self.total - self.positives, sample_ids),
            # Zero instead of what a missing target's box would give: even a NaN there must not reach a loss.
            deltas=encode_deltas(anchors_xyxy, nearest_xyxy).where(any_wanted, 0),
        )
