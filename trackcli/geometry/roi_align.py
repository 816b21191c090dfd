"""RoI Align with static shapes, on top of ``grid_sample``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.geometry.grids import Grid


def roi_align(maps: Tensor, boxes_xyxy: Tensor, *, grid: Grid, output_size: int, samples_per_bin: int = 2) -> Tensor:
    """Pool a fixed-size feature for every box.

    Each output bin averages ``samples_per_bin²`` bilinear samples. Samples up to one cell outside the map take the
    border's value, samples further out give 0, as the common implementations do ("aligned" form).

    Args:
        maps: ``(B, C, H, W)`` features of the crop.
        boxes_xyxy: ``(B, R, 4)`` in crop pixels.
        grid: Where the cells of ``maps`` lie in the crop.
        output_size: Bins per side.
        samples_per_bin: Samples per side of a bin.

    Returns:
        ``(B, R, C, output_size, output_size)``.

    Source: He et al. 2017, section 3 (RoI Align).
    """
    batch, channels, height, width = maps.shape
    regions = boxes_xyxy.shape[1]
    x = _sample_positions(boxes_xyxy[..., 0], boxes_xyxy[..., 2], grid, output_size * samples_per_bin)
    y = _sample_positions(boxes_xyxy[..., 1], boxes_xyxy[..., 3], grid, output_size * samples_per_bin)
    near = _within_one_cell(y, height).unsqueeze(-1) & _within_one_cell(x, width).unsqueeze(-2)
    count = output_size * samples_per_bin
    # grid_sample without align_corners: -1 and 1 are the outer edges of the first and last cell.
    x_unit = (2 * x + 1) / width - 1
    y_unit = (2 * y + 1) / height - 1
    where = torch.stack(
        (
            x_unit.unsqueeze(-2).expand(batch, regions, count, count),
            y_unit.unsqueeze(-1).expand(batch, regions, count, count),
        ),
        dim=-1,
    ).reshape(batch, regions * count, count, 2)
    # In float32 whatever the maps are: eight bits of a bfloat16 do not tell neighbouring positions apart.
    samples = F.grid_sample(maps.float(), where.float(), padding_mode="border", align_corners=False)
    samples = samples.reshape(batch, channels, regions, count, count) * near.unsqueeze(1)
    bins = samples.reshape(batch, channels, regions, output_size, samples_per_bin, output_size, samples_per_bin)
    return bins.mean(dim=(4, 6)).transpose(1, 2).to(maps.dtype)


def _sample_positions(start: Tensor, stop: Tensor, grid: Grid, count: int) -> Tensor:
    """``(B, R, count)`` sample positions in cell indices (the centre of cell j is j)."""
    steps = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    positions = start.unsqueeze(-1) + steps * (stop - start).unsqueeze(-1)
    return (positions - grid.offset) / grid.stride


def _within_one_cell(positions: Tensor, length: int) -> Tensor:
    return (positions >= -1) & (positions <= length)
