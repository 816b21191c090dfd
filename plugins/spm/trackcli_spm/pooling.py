"""RoI Align of several levels, joined, followed by a convolution: in the order that costs less."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.contracts.levels import Level
from trackcli.geometry.roi_align import roi_align


def pool(levels: Sequence[Level], boxes_xyxy: Tensor, *, size: int) -> Tensor:
    """RoI Align of every level, side by side: ``(B, R, 4)`` crop pixels → ``(B, R, C, size, size)``.

    Source: Wang et al. 2019 (SPM-Tracker), section 4.1.
    """
    return torch.cat([roi_align(level.map, boxes_xyxy, grid=level.grid, output_size=size) for level in levels], dim=2)


def pool_convolved(levels: Sequence[Level], boxes_xyxy: Tensor, weight: Tensor, *, size: int) -> Tensor:
    """A convolution, without bias and padded to keep its size, of every pooled region.

    RoI Align is linear, and so is a 1×1 convolution: with many regions it is cheaper to convolve the maps and to pool
    the few channels that come out. The result is the same to float rounding.

    Args:
        levels: C channels in sum.
        boxes_xyxy: ``(B, R, 4)`` in crop pixels.
        weight: ``(O, C, k, k)``, k odd.
        size: Cells per side of a region.

    Returns:
        ``(B, R, O, size, size)``.
    """
    kernel = weight.shape[-1]
    cells = levels[0].map.shape[-1] * levels[0].map.shape[-2]
    if kernel == 1 and boxes_xyxy.shape[1] * size**2 > cells:
        return _convolved_first(levels, boxes_xyxy, weight, size)
    pooled = pool(levels, boxes_xyxy, size=size)
    found = F.conv2d(pooled.flatten(0, 1), weight, padding=kernel // 2)
    return found.reshape(*pooled.shape[:2], *found.shape[1:])


def _convolved_first(levels: Sequence[Level], boxes_xyxy: Tensor, weight: Tensor, size: int) -> Tensor:
    parts = torch.split(weight, [level.map.shape[1] for level in levels], dim=1)
    sums: list[Level] = []
    for level, part in zip(levels, parts, strict=True):
        found = Level(F.conv2d(level.map, part), level.stride, level.offset)
        if sums and sums[-1].grid == found.grid:  # of one grid: added up before they are pooled
            found = Level(sums.pop().map + found.map, level.stride, level.offset)
        sums.append(found)
    pooled = [roi_align(level.map, boxes_xyxy, grid=level.grid, output_size=size) for level in sums]
    return torch.stack(pooled).sum(dim=0) if len(pooled) > 1 else pooled[0]
