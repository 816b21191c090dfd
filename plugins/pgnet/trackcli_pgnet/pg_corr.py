"""Pixel-to-global correlation (PG-corr) in its three equivalent forms, and the matcher made of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trackcli.builtin.layers import center_cells, conv_bn
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Matcher
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import Kernel
from trackcli_pgnet.config import PgCorrConfig
from trackcli_pgnet.forms import FORMS, FRAMES_TRACKED, Form, Work, cheapest


def as_cells(maps: Tensor) -> Tensor:
    """``(B, C, H, W)`` → ``(B, H · W, C)``: one vector per cell, row by row; a view if channels lie last in memory."""
    return maps.flatten(2).transpose(1, 2)


def as_map(cells: Tensor, like: Tensor) -> Tensor:
    """The inverse of :func:`as_cells`, on the grid of ``like``; channels lie last in memory."""
    return cells.transpose(1, 2).reshape(cells.shape[0], cells.shape[2], *like.shape[-2:])


def spatial_similarity(search: Tensor, template: Tensor) -> Tensor:
    """S₁: the similarity of every search pixel to every pixel of the template.

    Args:
        search: ``(B, P, C)`` search pixels x.
        template: ``(B, n_z, C)`` spatial kernels z_S; n_z = w_z · h_z (equation 1).

    Returns:
        ``(B, P, n_z)``.

    Source: Liao et al. 2020, equation 2 (which calls n_z n_s).
    """
    return search @ template.transpose(1, 2)


def unified_similarity(similarity: Tensor, template: Tensor) -> Tensor:
    """S₂: local similarities S₁, unified by the channel kernels z_C into one similarity to the whole template.

    Args:
        similarity: ``(B, P, n_z)``, S₁.
        template: ``(B, n_z, C)``; its columns are the channel kernels.

    Returns:
        ``(B, P, C)``.

    Source: Liao et al. 2020, equation 3.
    """
    return similarity @ template


def pg_corr(search: Tensor, template: Tensor) -> Tensor:
    """``S₂[p, n] = Σ_{q, k} X[p, k] Z[q, k] Z[q, n]`` by two products; no softmax.

    Args:
        search: ``(B, P, C)``.
        template: ``(B, n_z, C)``.

    Returns:
        ``(B, P, C)``: the size of the search feature.

    Source: Liao et al. 2020, equation 4.
    """
    return unified_similarity(spatial_similarity(search, template), template)


def gram_matrix(template: Tensor) -> Tensor:
    """``ZᵀZ (B, C, C)`` of a template ``(B, n_z, C)``: equation 4 is ``X (ZᵀZ)``, and ZᵀZ needs the target alone."""
    return template.transpose(1, 2) @ template


def folded_weights(reduction: Tensor, gram: Tensor) -> Tensor:
    """The 1×1 over ``[X; S₂]`` and equation 4 in one matrix: ``W [x; G x] = (W_x + W_s G) x``.

    Args:
        reduction: ``(O, 2C)``, the weights of the 1×1 convolution.
        gram: ``(B, C, C)``.

    Returns:
        ``(B, C, O)``: cells ``(B, P, C)`` times it are the convolution's result without bias.
    """
    own, similar = reduction.chunk(2, dim=1)
    return own.T + gram @ similar.T  # G is symmetric


class PgTask(nn.Module):
    """PG-corr for one task, or for both, on one level.

    Attributes:
        fit_template: With separate correlations: 1×1 for this task, as SiamRPN++ has 3×3 (which would move the grid).
        fit_search: Likewise.
        reduce: The 1×1 over search feature and similarity feature; batch norm and ReLU.
    """

    def __init__(self, channels: int, *, own_fit: bool) -> None:
        super().__init__()
        self.fit_template: nn.Module = conv_bn(channels, channels, 1) if own_fit else nn.Identity()
        self.fit_search: nn.Module = conv_bn(channels, channels, 1) if own_fit else nn.Identity()
        self.reduce = conv_bn(2 * channels, channels, 1)

    def embed(self, template: Tensor, form: Form, *, mean: bool) -> Tensor:
        """The template's part: Zᵀ ``(B, C, n_z)``, ZᵀZ ``(B, C, C)``, or the folded weights ``(B, C, C)``.

        Args:
            template: ``(B, C, h, w)``, the centre of the adjusted level.
            form: Which.
            mean: Divide the sum over n_z cells by n_z. In every form Z itself carries it, by 1/√n_z: products with it
                then stay in the range of half precision.
        """
        cells = as_cells(self.fit_template(template))
        if mean:
            cells = cells / cells.shape[1] ** 0.5
        if form == "two-matmul":
            return cells.transpose(1, 2)
        gram = gram_matrix(cells)
        return gram if form == "gram" else folded_weights(self._convolution().weight.flatten(1), gram)

    def forward(self, search: Tensor, kernel: Tensor, form: Form) -> Tensor:
        """The response ``(B, C, H, W)`` of an adjusted level ``(B, C, H, W)``."""
        maps = self.fit_search(search)
        cells = as_cells(maps)
        if form == "folded":
            return self._behind_convolution(as_map(cells @ kernel, maps))
        similar = cells @ kernel if form == "gram" else pg_corr(cells, kernel.transpose(1, 2))
        reduced: Tensor = self.reduce(torch.cat((maps, as_map(similar, maps)), dim=1))
        return reduced

    def _convolution(self) -> nn.Conv2d:
        convolution = self.reduce[0]
        assert isinstance(convolution, nn.Conv2d)
        return convolution

    def _behind_convolution(self, maps: Tensor) -> Tensor:
        """What follows the 1×1: its bias, into which an engine may have folded the norm, norm and ReLU."""
        bias = self._convolution().bias
        if bias is not None:
            maps = maps + bias[:, None, None]
        for module in list(self.reduce)[1:]:
            maps = module(maps)
        return maps


class PgLevel(nn.Module):
    """One level: the 1×1 that adjusts its width, and its tasks."""

    def __init__(self, inputs: int, channels: int, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.adjust = conv_bn(inputs, channels, 1, relu=False)
        self.tasks = nn.ModuleDict({task: PgTask(channels, own_fit=len(tasks) > 1) for task in tasks})

    def task(self, name: str) -> PgTask:
        """The task of this name."""
        found = self.tasks[name]
        assert isinstance(found, PgTask)
        return found


class PixelToGlobalMatcher(Matcher):
    """Adjust (1×1), crop the template's centre, PG-corr, join with the search feature (1×1).

    Nothing slides: the response at a cell concerns that cell, so responses have the search level's own grid.

    Source: Liao et al. 2020 (PG-Net), sections 3.2 and 3.3.
    """

    def __init__(self, config: PgCorrConfig, levels: Mapping[str, LevelShape], crop: CropConfig) -> None:
        super().__init__()
        self.config = config
        self.crop = crop
        self.template_center = crop.template_size / 2
        self.tasks = ("shared",) if config.shared else ("classification", "regression")
        self.levels = nn.ModuleDict(
            {name: PgLevel(levels[name].channels, config.channels, self.tasks) for name in config.matches(levels)}
        )

    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """Kernels by ``level.form``, or ``level.task.form`` for separate correlations; adjusted levels."""
        kernel: Kernel = {}
        adjusted = self._adjust(template.features)
        for name, level in adjusted.items():
            center = center_cells(level, self.template_center, self.config.template_cells)
            form = self._form(level.stride, center.shape[-2] * center.shape[-1])
            for task in self.tasks:
                made = self._level(name).task(task).embed(center, form, mean=self.config.similarity == "mean")
                kernel[self._key(name, task, form)] = made
        return kernel, adjusted

    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """One response per level, the same tensor for both tasks where they share it."""
        adjusted = self._adjust(search.features)
        matched = {name: self._match(kernel, name, level) for name, level in adjusted.items()}
        return Matched(matched, template={}, search=adjusted)

    def _match(self, kernel: Kernel, name: str, level: Level) -> MatchedLevel:
        responses = []
        for task in self.tasks:
            # The kernel itself says which form it has: training and tracking may differ.
            form = next(form for form in FORMS if self._key(name, task, form) in kernel)
            responses.append(self._level(name).task(task)(level.map, kernel[self._key(name, task, form)], form))
        return MatchedLevel(responses[0], responses[-1], level.stride, level.offset)

    def _adjust(self, features: Features) -> Features:
        return {
            name: Level(self._level(name).adjust(features[name].map), features[name].stride, features[name].offset)
            for name in self.levels
        }

    def _form(self, stride: float, template_cells: int) -> Form:
        if self.config.form != "auto":
            return self.config.form
        side = round(self.crop.search_size / stride)
        frames = 1 if self.training else FRAMES_TRACKED
        return cheapest(Work(self.config.channels, template_cells, side * side, frames))

    def _key(self, name: str, task: str, form: Form) -> str:
        owner = name if self.config.shared else f"{name}.{task}"
        return f"{owner}.{'template' if form == 'two-matmul' else form}"

    def _level(self, name: str) -> PgLevel:
        level = self.levels[name]
        assert isinstance(level, PgLevel)
        return level
