"""Small layers that matchers and heads share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Level
from trackcli.contracts.shapes import LevelShape
from trackcli.errors import FitError

FITTING_CELLS = 3
"""The 3×3 convolution that fits template and search region to their task is unpadded."""


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


def cells_along(size: int, level: LevelShape) -> int:
    """Cells along a crop's side: as many as have their centre as far from its end as the first has from its start."""
    return int((size - 2 * level.offset) // level.stride) + 1


def check_sliding(levels: Mapping[str, LevelShape], crop: CropConfig, template_cells: int, margin: int = 0) -> None:
    """Make sure that the template's cells can slide over the search region's.

    Args:
        levels: Those that are matched.
        crop: Sizes of both crops.
        template_cells: Side of the template's part that slides; the whole template if it has fewer cells.
        margin: Cells along the search region's border that are left out.

    Raises:
        FitError: naming the level and the numbers of cells.
    """
    for name, level in levels.items():
        template = max(0, min(cells_along(crop.template_size, level), template_cells))
        search = max(0, cells_along(crop.search_size, level) - 2 * margin)
        if template < FITTING_CELLS:
            raise FitError(
                f"crop.template_size {crop.template_size} gives {template}x{template} cells of {name!r} (stride "
                f"{level.stride}); expected at least {FITTING_CELLS}x{FITTING_CELLS}: enlarge it"
            )
        if search < template:
            left_out = f" without matcher.search_margin {margin}" if margin else ""
            raise FitError(
                f"crop.search_size {crop.search_size} gives {search}x{search} cells of {name!r} (stride "
                f"{level.stride}){left_out}, fewer than the {template}x{template} of the template; "
                "enlarge it, or take fewer matcher.template_cells"
            )
