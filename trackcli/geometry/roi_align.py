"""RoI Align with static shapes, as two matrix products per region."""

from __future__ import annotations

import torch
from torch import Tensor

from trackcli.geometry.grids import Grid


def roi_align(maps: Tensor, boxes_xyxy: Tensor, *, grid: Grid, output_size: int, samples_per_bin: int = 2) -> Tensor:
    """Pool a fixed-size feature for every box.

    Each output bin averages ``samples_per_bin²`` bilinear samples. Samples up to one cell outside the map take the
    border's value, samples further out give 0, as the common implementations do ("aligned" form).

    The regions are upright, so bilinear sampling is separable: one weight matrix over rows, one over columns, in
    a third of the time that ``grid_sample`` takes, forward and backward.

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
    regions, count = boxes_xyxy.shape[1], output_size * samples_per_bin
    # Positions in float32 whatever the maps are: eight bits of a bfloat16 do not tell neighbouring ones apart.
    boxes = boxes_xyxy.to(torch.promote_types(boxes_xyxy.dtype, torch.float32))
    x = _sample_positions(boxes[..., 0], boxes[..., 2], grid, count)
    y = _sample_positions(boxes[..., 1], boxes[..., 3], grid, count)
    precise = maps.to(torch.promote_types(maps.dtype, torch.float32))
    of_rows = _bin_weights(y, height, output_size).flatten(1, 2).to(precise.dtype)
    of_columns = _bin_weights(x, width, output_size).to(precise.dtype)
    # (B, R · bins, H) by (B, H, C · W), then (B, R, bins · C, W) by (B, R, W, bins).
    rows = of_rows @ precise.transpose(1, 2).reshape(batch, height, channels * width)
    bins = rows.reshape(batch, regions, output_size * channels, width) @ of_columns.transpose(2, 3)
    return bins.reshape(batch, regions, output_size, channels, output_size).transpose(2, 3).to(maps.dtype)


def _bin_weights(positions: Tensor, length: int, bins: int) -> Tensor:
    """``(B, R, samples)`` positions → ``(B, R, bins, length)``: what each cell of a line adds to each bin."""
    cells = torch.arange(length, device=positions.device, dtype=positions.dtype)
    from_cell = (positions.clamp(0, length - 1).unsqueeze(-1) - cells).abs()
    weights = (1 - from_cell).clamp(min=0) * _within_one_cell(positions, length).unsqueeze(-1)
    return weights.reshape(*positions.shape[:2], bins, -1, length).mean(dim=3)


def _sample_positions(start: Tensor, stop: Tensor, grid: Grid, count: int) -> Tensor:
    """``(B, R, count)`` sample positions in cell indices (the centre of cell j is j)."""
    steps = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    positions = start.unsqueeze(-1) + steps * (stop - start).unsqueeze(-1)
    return (positions - grid.offset) / grid.stride


def _within_one_cell(positions: Tensor, length: int) -> Tensor:
    return (positions >= -1) & (positions <= length)
