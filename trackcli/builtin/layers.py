"""Small layers that matchers and heads share."""

from __future__ import annotations

from torch import Tensor, nn

from trackcli.contracts.levels import Level


def conv_bn(inputs: int, outputs: int, kernel: int, *, relu: bool = True) -> nn.Sequential:
    """Unpadded convolution without bias, batch norm and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def first_center_cell(level: Level, center: float, cells: int) -> int:
    """Index of the first of ``cells`` cells per side whose middle lies nearest to ``center`` (crop pixels).

    It follows from the level's stride and offset alone, so that whoever cuts out the cells and whoever places the
    response agree without passing it on.
    """
    return max(0, round((center - level.offset) / level.stride - (cells - 1) / 2))


def center_cells(level: Level, center: float, cells: int) -> Tensor:
    """The ``(B, C, cells, cells)`` part of a level around ``center``; smaller where the map ends."""
    first = first_center_cell(level, center, cells)
    return level.map[..., first : first + cells, first : first + cells]
