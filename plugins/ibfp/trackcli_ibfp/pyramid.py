"""The matcher: from the deepest level to the shallowest, each guided by the template's response in the one before."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.layers import center_cells, conv_bn, first_center_cell
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Matcher
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import Kernel
from trackcli_ibfp.channel_selection import ChannelSelection
from trackcli_ibfp.config import IbuPyramidConfig
from trackcli_ibfp.upsampling import InstanceUpsampling, PlainFusion, same_size_correlation


class Correlation(nn.Module):
    """Depth-wise correlation with a template that the search region re-weights; a module, so that hooks see R.

    Args:
        compressed: Width of the compressed space; 0: no channel selection.
    """

    def __init__(self, channels: int, compressed: int, *, mean: bool) -> None:
        super().__init__()
        self.select = ChannelSelection(channels, compressed) if compressed else None
        self.mean = mean

    def embed(self, template: Tensor) -> Kernel:
        """``template (B, C, k, k)`` and, with selection, ``compressed (B, d, k, k)``."""
        kernel: Kernel = {"template": template}
        if self.select is not None:
            kernel["compressed"] = self.select.compress(template)
        return kernel

    def forward(self, kernel: Kernel, search: Tensor) -> Tensor:
        """R ``(B, C, H, W)``: equations 6 to 8, then 3."""
        template = kernel["template"]
        if self.select is not None:
            template = self.select(template, kernel["compressed"], search)
        return same_size_correlation(search, template, mean=self.mean)


class IbuPyramid(Matcher):
    """Instance-based feature pyramid: correlate, upsample, fuse with the next level, and correlate once more.

    With three levels at strides 32, 16 and 8: three correlations, each behind a channel selection, and two IBU modules
    between them.

    Source: Pi et al. 2021, section III, figure 2.
    """

    def __init__(self, config: IbuPyramidConfig, levels: Mapping[str, LevelShape], crop: CropConfig) -> None:
        super().__init__()
        self.config = config
        self.template_center = crop.template_size / 2
        widths, self.cells = config.widths(levels), config.cells(levels)
        self.names = tuple(widths)
        mean = config.similarity == "mean"
        self.adjust = nn.ModuleDict(
            {name: conv_bn(levels[name].channels, widths[name], 1, relu=False) for name in self.names}
            if config.channels
            else {}
        )
        correlated = self.names if config.fusion == "ibu" else self.names[:1]
        self.correlations = nn.ModuleDict(
            {
                name: Correlation(widths[name], _compressed(widths[name], config), mean=mean)
                for name in reversed(correlated)
            }
        )
        steps = zip(self.names[1:], self.names, strict=False) if config.fusion == "ibu" else ()
        self.upsampling = nn.ModuleDict(
            {deep: InstanceUpsampling(widths[deep], widths[shallow]) for deep, shallow in reversed(list(steps))}
        )
        is_plain = config.fusion == "plain" and len(self.names) > 1
        self.plain = PlainFusion(tuple(widths.values())) if is_plain else None

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """Kernels by ``level.template`` and ``level.compressed``; the adjusted levels, if they are adjusted."""
        adjusted = self._adjust(template.features)
        levels = self._fused(adjusted)
        kernel: Kernel = {}
        for name in self.correlations:
            parts = self._correlation(name).embed(self._center(levels[name], self.cells[name]))
            kernel.update({f"{name}.{part}": tensor for part, tensor in parts.items()})
        return kernel, adjusted if self.config.channels else {}

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """One response, at the shallowest level's stride."""
        adjusted = self._adjust(search.features)
        levels = self._fused(adjusted)
        upsampled: Tensor | None = None
        for name in self.correlations:
            found = levels[name].map if upsampled is None else upsampled
            response: Tensor = self._correlation(name)(_part(kernel, name), found)
            if name in self.upsampling:
                shallower = self.names[self.names.index(name) - 1]
                upsampled = self.upsampling[name](response, found, levels[shallower].map)
        level = levels[self.names[0]]
        matched = MatchedLevel(response, response, level.stride, self._offset(level))
        return Matched({self.names[0]: matched}, template={}, search=adjusted if self.config.channels else {})

    def _offset(self, level: Level) -> float:
        """The kernel's middle cell lies on the cell that responds; the target's centre lies beside that middle."""
        cells = self.cells[self.names[0]]
        middle = first_center_cell(level, self.template_center, cells) + (cells - 1) / 2
        return level.offset + self.template_center - (level.offset + middle * level.stride)

    def _adjust(self, features: Features) -> Features:
        if not self.config.channels:
            return {name: features[name] for name in self.names}
        return {
            name: Level(self.adjust[name](features[name].map), features[name].stride, features[name].offset)
            for name in self.names
        }

    def _fused(self, levels: Features) -> Features:
        if self.plain is None:
            return levels
        name = self.names[0]
        fused = self.plain([levels[each].map for each in self.names])
        return {name: Level(fused, levels[name].stride, levels[name].offset)}

    def _center(self, level: Level, cells: int) -> Tensor:
        """``(B, C, cells, cells)``; beyond the map's end 0, so that the side stays odd."""
        found = center_cells(level, self.template_center, cells)
        return F.pad(found, (0, cells - found.shape[-1], 0, cells - found.shape[-2]))

    def _correlation(self, name: str) -> Correlation:
        module = self.correlations[name]
        assert isinstance(module, Correlation)
        return module


def _part(kernel: Kernel, name: str) -> Kernel:
    return {key.removeprefix(f"{name}."): tensor for key, tensor in kernel.items() if key.startswith(f"{name}.")}


def _compressed(channels: int, config: IbuPyramidConfig) -> int:
    return max(1, round(config.ratio * channels)) if config.selection else 0
