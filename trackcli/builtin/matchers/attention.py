"""Template attention: the search region reads from the template, cell by cell, what it sees and where that lies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.config_point import TemplateAttentionConfig
from trackcli.builtin.layers import cells_along, center_cells, conv_bn, first_center_cell
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Matcher
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import Kernel
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import centers_and_sizes
from trackcli.geometry.grids import Grid

PLACE_CHANNELS = 3
"""Share of the cell inside the box, and its x and y from the box's centre in half sides."""


class TemplateAttention(Matcher):
    """Cosine attention from search cells to template cells, whose values say also where in the box they lie.

    Background cells of the template are asked too: what reads from them is known not to be the target.

    Source: Oh et al. 2019 (STM), equation 1; Liao et al. 2020 (PG-Net), equation 2 (similarity maps).
    """

    def __init__(self, config: TemplateAttentionConfig, levels: Mapping[str, LevelShape], crop: CropConfig) -> None:
        super().__init__()
        self.config = config
        self.names = config.chosen(levels)
        self.template_center = crop.template_size / 2
        channels = config.channels
        self.adjust = conv_bn(sum(levels[name].channels for name in self.names), channels, 1, relu=False)
        self.log_sharpness = nn.Parameter(torch.tensor(config.sharpness).log())
        probes = min(config.probe_cells, cells_along(crop.template_size, levels[self.names[0]])) ** 2
        self.reduce = conv_bn(2 * channels + PLACE_CHANNELS + probes, channels, 1)

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """``keys (B, C, K)``, ``values (B, C + 3, K)`` and ``probes (B, C, P)``; the adjusted level.

        Raises:
            ShapeError: if the branch does not say where the target is.
        """
        if template.boxes_xyxy is None:
            raise ShapeError("template-attention needs the target's box in the template; the branch has none")
        level = self._adjust(template.features)
        cells = center_cells(level, self.template_center, self.config.template_cells)
        first = first_center_cell(level, self.template_center, self.config.template_cells)
        grid = Grid(cells.shape[-2], cells.shape[-1], level.stride, level.offset + first * level.stride)
        places = places_in_box(grid, template.boxes_xyxy.to(cells.dtype))
        probes = center_cells(level, self.template_center, self.config.probe_cells)
        kernel: Kernel = {
            "keys": F.normalize(cells.flatten(2), dim=1),
            "values": torch.cat((cells.flatten(2), places), dim=1),
            "probes": F.normalize(probes.flatten(2), dim=1),
        }
        return kernel, {self.names[-1]: level}

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """One response on the search level's own grid: nothing slides."""
        level = self._adjust(search.features)
        queries = F.normalize(level.map.flatten(2), dim=1)
        similarity = queries.transpose(1, 2) @ kernel["keys"]
        attention = (similarity.float() * self.log_sharpness.exp()).softmax(dim=-1).to(queries.dtype)
        read = kernel["values"].to(queries.dtype) @ attention.transpose(1, 2)
        probed = kernel["probes"].transpose(1, 2) @ queries
        joined = torch.cat((level.map, _as_map(read, level), _as_map(probed, level)), dim=1)
        response = self.reduce(joined)
        matched = MatchedLevel(response, response, level.stride, level.offset)
        return Matched({self.names[-1]: matched}, template={}, search={self.names[-1]: level})

    def _adjust(self, features: Features) -> Level:
        levels = [features[name] for name in self.names]
        joined = self.adjust(torch.cat([level.map for level in levels], dim=1))
        return Level(joined, levels[-1].stride, levels[-1].offset)


def places_in_box(grid: Grid, boxes_xyxy: Tensor) -> Tensor:
    """Where cells lie in each box.

    Args:
        grid: The K cells.
        boxes_xyxy: ``(B, 4)`` in the grid's pixels.

    Returns:
        ``(B, 3, K)``: the share of the cell inside the box, and x and y from the box's centre in units of half its
        sides (-1 … 1 inside), times that share.
    """
    points_xy = grid.points_xy(boxes_xyxy).unsqueeze(0)
    corners = boxes_xyxy.unsqueeze(1)
    half = grid.stride / 2
    covered = torch.minimum(points_xy + half, corners[..., 2:]) - torch.maximum(points_xy - half, corners[..., :2])
    inside = (covered.clamp(min=0) / grid.stride).prod(dim=-1, keepdim=True)
    centers_xy, sizes_wh = centers_and_sizes(corners)
    offsets = ((points_xy - centers_xy) / (sizes_wh / 2).clamp(min=1e-3)).clamp(-1, 1)
    return torch.cat((inside, offsets * inside), dim=-1).transpose(1, 2)


def _as_map(flat: Tensor, level: Level) -> Tensor:
    return flat.reshape(*flat.shape[:2], *level.map.shape[-2:])
