"""What a response says: is the target there, is there something like it, and which peak is the target?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.geometry.boxes import centers_and_sizes
from trackcli.geometry.grids import Grid
from trackcli_ibfp.config_online import OnlineUpdateConfig


@dataclass(frozen=True)
class Peaks:
    """The two highest peaks of each target's response, and what they mean.

    Attributes:
        first: ``(B,)`` the largest response.
        second: ``(B,)`` the largest outside the first peak's neighbourhood; 0 where there is none.
        first_xy: ``(B, 2)`` crop pixels.
        lost: ``(B,)`` bool: nothing responds.
        distractor: ``(B,)`` bool: two peaks are alike and position does not tell them apart.
        hard_negative: ``(B,)`` bool: something else responds, but it is known which one is the target.
        prefer_second: ``(B,)`` bool: the first peak is far off, the second, as high, is near: that one is the target.
    """

    first: Tensor
    second: Tensor
    first_xy: Tensor
    lost: Tensor
    distractor: Tensor
    hard_negative: Tensor
    prefer_second: Tensor

    @property
    def trust(self) -> Tensor:
        """``(B,)`` the first peak's share in both, where something else responds; 1 elsewhere."""
        share = self.first / (self.first + self.second).clamp(min=1e-6)
        return torch.where(self.distractor | self.hard_negative, share, 1)


def find_peaks(response: Tensor, grid: Grid, boxes_xyxy: Tensor, search_size: int, config: OnlineUpdateConfig) -> Peaks:
    """Read a response.

    Args:
        response: ``(B, h, w)``, about 1 on the target.
        grid: Where its cells lie in the search crop.
        boxes_xyxy: ``(B, 4)`` the last boxes in crop pixels: the target's size and position.
        search_size: Side of the crop.
        config: Thresholds.

    Source: Danelljan et al. 2019 (ATOM), public code (advanced localisation).
    """
    points_xy = grid.points_xy(response)
    flat = response.flatten(1)
    first, where = flat.max(dim=1)
    first_xy = points_xy[where]
    centers_xy, sizes_wh = centers_and_sizes(boxes_xyxy.to(response.dtype))
    own = near_point(points_xy, first_xy, sizes_wh, config.neighborhood)
    second, other = flat.masked_fill(own, float("-inf")).max(dim=1)
    second_xy = points_xy[other]
    second = second.clamp(min=0)

    far = config.displacement * search_size / 2
    first_far = (first_xy - centers_xy).norm(dim=1) > far
    second_far = (second_xy - centers_xy).norm(dim=1) > far
    found = first >= config.lost_below
    alike = found & (second > config.distractor * first)
    one_is_near = first_far ^ second_far
    present = found & (second > config.hard_negative * first) & (second > config.lost_below)
    return Peaks(
        first=first,
        second=second,
        first_xy=first_xy,
        lost=~found,
        distractor=alike & ~one_is_near,
        hard_negative=(alike & one_is_near) | (present & ~alike),
        prefer_second=alike & first_far & ~second_far,
    )


def near_point(points_xy: Tensor, center_xy: Tensor, sizes_wh: Tensor, sides: float) -> Tensor:
    """Which points lie in a box of ``sides`` times a size around a point.

    Args:
        points_xy: ``(N, 2)`` or ``(B, N, 2)``.
        center_xy: ``(B, 2)``.
        sizes_wh: ``(B, 2)``.
        sides: Side of the box in sizes.

    Returns:
        ``(B, N)`` bool.
    """
    away = (points_xy - center_xy.unsqueeze(1)).abs()
    return (away <= sides / 2 * sizes_wh.unsqueeze(1)).all(dim=-1)
