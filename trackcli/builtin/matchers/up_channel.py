"""Up-channel cross-correlation: a convolution makes one kernel per output of the head out of the template."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.config import UpChannelConfig
from trackcli.builtin.layers import center_cells, check_sliding, first_center_cell
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Matcher
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import Kernel

TASKS = ("classification", "regression")


def up_channel_correlation(search: Tensor, kernels: Tensor) -> Tensor:
    """Correlate the search region with every kernel of its own target.

    Args:
        search: ``(B, C, H, W)``.
        kernels: ``(B, K · C, h, w)``: kernel after kernel.

    Returns:
        ``(B, K, H - h + 1, W - w + 1)``.

    Source: Li et al. 2018 (SiamRPN), equation 2.
    """
    batch, channels = search.shape[:2]
    flat = search.reshape(1, batch * channels, *search.shape[-2:])
    weight = kernels.reshape(-1, channels, *kernels.shape[-2:])
    response = F.conv2d(flat, weight, groups=batch)
    return response.reshape(batch, -1, *response.shape[-2:])


class UpChannelTask(nn.Module):
    """The 3×3 convolutions of one task: the template's, which raises the channels, and the search region's."""

    def __init__(self, inputs: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.template = nn.Conv2d(inputs, outputs * channels, 3)
        self.search = nn.Conv2d(inputs, channels, 3)


class UpChannelCorrelation(Matcher):
    """Crop the template's centre, raise its channels (3×3), fit the search region (3×3), correlate, scale.

    Source: Li et al. 2018 (SiamRPN), section 3.2.
    """

    def __init__(self, config: UpChannelConfig, levels: Mapping[str, LevelShape], crop: CropConfig) -> None:
        super().__init__()
        self.config = config
        self.template_center = crop.template_size / 2
        matches = config.matches(levels)
        chosen = {name: levels[name] for name in matches}
        check_sliding(chosen, crop, config.template_cells, config.search_margin)
        self.levels = nn.ModuleDict(
            {
                name: nn.ModuleDict(
                    {
                        "classification": UpChannelTask(levels[name].channels, config.channels, shape.classification),
                        "regression": UpChannelTask(levels[name].channels, config.channels, shape.regression),
                    }
                )
                for name, shape in matches.items()
            }
        )

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """Kernels by ``level.task``: ``(B, K · C, k, k)``. There are no adjusted features."""
        kernel: Kernel = {}
        for name in self.levels:
            center = center_cells(template.features[name], self.template_center, self.config.template_cells)
            for task in TASKS:
                kernel[f"{name}.{task}"] = self._task(name, task).template(center)
        return kernel, {}

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """One response per level and task, with as many channels as there are kernels."""
        matched = {name: self._match(kernel, name, search.features[name]) for name in self.levels}
        return Matched(matched, template={}, search={})

    def _match(self, kernel: Kernel, name: str, level: Level) -> MatchedLevel:
        margin = self.config.search_margin
        searched = level.map[..., margin : level.map.shape[-2] - margin, margin : level.map.shape[-1] - margin]
        classification, regression = (
            self.config.scale
            * up_channel_correlation(self._task(name, task).search(searched), kernel[f"{name}.{task}"])
            for task in TASKS
        )
        # Response cell j pairs the kernel's first cell with the j-th cell that is searched; the target's centre is that
        # much further.
        first = first_center_cell(level, self.template_center, self.config.template_cells)
        offset = self.template_center + level.stride * (margin - first)
        return MatchedLevel(classification, regression, level.stride, offset)

    def _task(self, name: str, task: str) -> UpChannelTask:
        found = self.levels.get_submodule(f"{name}.{task}")
        assert isinstance(found, UpChannelTask)
        return found
