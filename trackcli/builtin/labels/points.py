"""Points: which cells of a map lie in the target, how far its sides are, how near its centre is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.geometry.boxes import centers_and_sizes


@dataclass(frozen=True)
class PointLabels:
    """What points should say.

    Attributes:
        positive: ``(B, N)`` bool.
        distances: ``(B, N, 4)`` l, t, r, b to the box's sides in crop pixels; negative outside, 0 in pairs
            without the target.
        centerness: ``(B, N)`` in 0..1, 0 outside the box.
    """

    positive: Tensor
    distances: Tensor
    centerness: Tensor


def side_distances(points_xy: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """Distances l, t, r, b from points to the sides of boxes, positive inside.

    Args:
        points_xy: ``(N, 2)``.
        boxes_xyxy: ``(B, 4)``.

    Returns:
        ``(B, N, 4)``.

    Source: Zhang and Zhang 2020 (hard negative emphasis), equation 3, with the misprinted r and b corrected to
    ``x1 - X`` and ``y1 - Y``.
    """
    boxes = boxes_xyxy.unsqueeze(1)
    return torch.cat((points_xy - boxes[..., :2], boxes[..., 2:] - points_xy), dim=-1)


def boxes_from_distances(points_xy: Tensor, distances: Tensor) -> Tensor:
    """The inverse: ``(N, 2)`` points and ``(B, N, 4)`` distances → ``(B, N, 4)`` corners."""
    return torch.cat((points_xy - distances[..., :2], points_xy + distances[..., 2:]), dim=-1)


def centerness(distances: Tensor) -> Tensor:
    """``sqrt(min(l,r)/max(l,r) · min(t,b)/max(t,b))`` inside the box, 0 outside. ``(…, 4)`` → ``(…,)``.

    Source: Tian et al. 2019 (FCOS), equation 3; Zhang and Zhang 2020, equations 4 and 5.
    """
    left, top, right, bottom = distances.unbind(dim=-1)
    inside = distances.amin(dim=-1) > 0
    tiny = torch.finfo(distances.dtype).tiny
    horizontal = torch.minimum(left, right) / torch.maximum(left, right).clamp(min=tiny)
    vertical = torch.minimum(top, bottom) / torch.maximum(top, bottom).clamp(min=tiny)
    return torch.where(inside, horizontal * vertical, 0).clamp(min=0).sqrt()


def gaussian_map(points_xy: Tensor, boxes_xyxy: Tensor, *, sigma: float) -> Tensor:
    """``(B, N)`` Gaussian around each box's centre; ``sigma`` is a share of the box's width and height.

    Source: Zhou et al. 2019 (Objects as Points), section 3, with the aspect ratio kept.
    """
    centers_xy, sizes_wh = centers_and_sizes(boxes_xyxy)
    scaled = (points_xy - centers_xy.unsqueeze(1)) / (sigma * sizes_wh.clamp(min=1e-3)).unsqueeze(1)
    return (-0.5 * scaled.square().sum(dim=-1)).exp()


@dataclass(frozen=True)
class PointAssigner:
    """Points in the box's middle are positive.

    Attributes:
        ratio: Share of the width and height on either side of the centre that counts: 0.5 is the whole box, 0.25 the
            middle half (IBFP, table II).
        distance: If given, the largest distance from the centre in pixels along x and y, instead of ``ratio``.
    """

    ratio: float = 0.5
    distance: float | None = None

    def assign(self, points_xy: Tensor, boxes_xyxy: Tensor, positive: Tensor) -> PointLabels:
        """Label ``(N, 2)`` points for ``(B, 4)`` boxes; rows that are not ``positive`` have no positive point."""
        centers_xy, sizes_wh = centers_and_sizes(boxes_xyxy)
        reach = sizes_wh * self.ratio if self.distance is None else torch.full_like(sizes_wh, self.distance)
        near = ((points_xy - centers_xy.unsqueeze(1)).abs() < reach.unsqueeze(1)).all(dim=-1)
        distances = side_distances(points_xy, boxes_xyxy)
        inside = (distances > 0).all(dim=-1)
        is_pair = positive.unsqueeze(1)
        # Zero instead of what a missing target's box would give: even a NaN there must not reach a loss.
        return PointLabels(
            positive=near & inside & is_pair,
            distances=distances.where(is_pair.unsqueeze(-1), 0),
            centerness=centerness(distances).where(is_pair, 0),
        )
