"""Cross-correlation matchers: the template's centre slides over the search region, level by level."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.config import CorrelationConfig
from trackcli.builtin.depthwise import correlate_per_channel
from trackcli.builtin.layers import center_cells, check_sliding, conv_bn, first_center_cell
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Matcher
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import Kernel


def depthwise_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlate channel by channel, each target with its own kernel.

    Args:
        search: ``(B, C, H, W)``.
        kernel: ``(B, C, h, w)``.

    Returns:
        ``(B, C, H - h + 1, W - w + 1)``.

    Source: Li et al. 2019 (SiamRPN++), section 3.4.
    """
    return correlate_per_channel(search, kernel)


def cross_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlate over all channels at once.

    Args:
        search: ``(B, C, H, W)``.
        kernel: ``(B, C, h, w)``.

    Returns:
        ``(B, 1, H - h + 1, W - w + 1)``.

    Source: Bertinetto et al. 2016, equation 1.
    """
    batch, channels = kernel.shape[:2]
    response = F.conv2d(search.reshape(1, batch * channels, *search.shape[-2:]), kernel, groups=batch)
    return response.reshape(batch, 1, *response.shape[-2:])


class CorrelationBranch(nn.Module):
    """3×3 convolutions that fit the adjusted features to one task, for template and search region."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.template = conv_bn(channels, channels, 3)
        self.search = conv_bn(channels, channels, 3)


class CorrelationMatcher(Matcher):
    """Adjust (1×1), crop the template's centre, fit to each task (3×3), correlate.

    Source: Li et al. 2019 (SiamRPN++), sections 3.2 to 3.4.
    """

    def __init__(self, config: CorrelationConfig, levels: Mapping[str, LevelShape], crop: CropConfig) -> None:
        super().__init__()
        self.config = config
        self.template_center = crop.template_size / 2
        self.names = tuple(config.matches(levels))
        check_sliding({name: levels[name] for name in self.names}, crop, config.template_cells)
        self.tasks = ("shared",) if config.shared else ("classification", "regression")
        self.adjust = nn.ModuleDict(
            {name: conv_bn(levels[name].channels, config.channels, 1, relu=False) for name in self.names}
        )
        self.branches = nn.ModuleDict(
            {
                name: nn.ModuleDict({task: CorrelationBranch(config.channels) for task in self.tasks})
                for name in self.names
            }
        )

    def correlate(self, search: Tensor, kernel: Tensor) -> Tensor:
        """The correlation that gives the matcher its name."""
        raise TypeError(f"{type(self).__name__} must define correlate()")

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """Kernels by ``level.task``: ``(B, C, k, k)``; adjusted levels."""
        kernel: Kernel = {}
        adjusted = self._adjust(template.features)
        for name, level in adjusted.items():
            center = center_cells(level, self.template_center, self.config.template_cells)
            for task in self.tasks:
                kernel[f"{name}.{task}"] = self._branch(name, task).template(center)
        return kernel, adjusted

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """One response per level and task."""
        adjusted = self._adjust(search.features)
        matched = {name: self._match(kernel, name, level) for name, level in adjusted.items()}
        return Matched(matched, template={}, search=adjusted)

    def _match(self, kernel: Kernel, name: str, level: Level) -> MatchedLevel:
        responses = [
            self.correlate(self._branch(name, task).search(level.map), kernel[f"{name}.{task}"]) for task in self.tasks
        ]
        # Response cell j pairs the kernel's first cell with search cell j; the target's centre is that much further.
        first = first_center_cell(level, self.template_center, self.config.template_cells)
        offset = self.template_center - level.stride * first
        return MatchedLevel(responses[0], responses[-1], level.stride, offset)

    def _adjust(self, features: Features) -> Features:
        return {
            name: Level(self.adjust[name](features[name].map), features[name].stride, features[name].offset)
            for name in self.names
        }

    def _branch(self, name: str, task: str) -> CorrelationBranch:
        branch = self.branches.get_submodule(f"{name}.{task}")
        assert isinstance(branch, CorrelationBranch)
        return branch


class DepthwiseCorrelation(CorrelationMatcher):
    """Every channel of the template correlates with its own channel of the search region."""

    def correlate(self, search: Tensor, kernel: Tensor) -> Tensor:
        """``(B, C, H', W')``."""
        return depthwise_correlation(search, kernel)


class CrossCorrelation(CorrelationMatcher):
    """The whole template is one kernel; the response is scaled by its number of weights, so that it starts near 1."""

    def correlate(self, search: Tensor, kernel: Tensor) -> Tensor:
        """``(B, 1, H', W')``."""
        return cross_correlation(search, kernel) / kernel[0].numel()
