"""The component types. A plugin's class derives from one of them and is built from its configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.levels import Branch, Features
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, Predictions, Selection
from trackcli.contracts.state import HeadKernel, Kernel, State
from trackcli.contracts.training import Batch, Outputs
from trackcli.contracts.weights import AdaptedWeights


class Backbone(nn.Module, ABC):
    """Crops → levels. Built as ``factory(config)``."""

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """``(B, 3, S, S)`` normalised crops → levels by name, as the configuration's ``levels()`` declares them."""

    def stages(self) -> dict[str, nn.Module]:
        """Modules by the names that freezing uses: ``stem`` first, then ``layer1``, ``layer2``, …

        Presets unfreeze by these names, so a backbone that has them works with every preset.
        """
        return {}

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> AdaptedWeights:
        """Published weights in other layouts → this backbone's names and shapes; what needs no change stays as it is.

        Raises:
            InputDataError: for weights that would fit by name and yet compute something else.
        """
        return AdaptedWeights(dict(weights))


class Matcher(nn.Module, ABC):
    """Template and search features → responses.

    Built as ``factory(config, levels, crop)`` from the levels' shapes and the crops' sizes.
    """

    @abstractmethod
    def embed(self, template: Branch) -> tuple[Kernel, Features]:
        """What depends on the target alone, once per target; and the adjusted template features (for losses)."""

    @abstractmethod
    def forward(self, kernel: Kernel, search: Branch) -> Matched:
        """Responses of every level; may re-weight the kernel by the search region."""


class Head(nn.Module, ABC):
    """Responses → predictions → candidates.

    Built as ``factory(config, matches, levels)`` from the shapes of the responses and of the backbone's levels.
    """

    def embed(self, template: Branch) -> HeadKernel | None:
        """What a second stage keeps of the template; None when there is none."""
        return None

    @abstractmethod
    def forward(self, matched: Matched, context: Context) -> Predictions[Any]:
        """Responses → predictions, fused and per stage. A stage that samples by truth reads ``context.targets``."""

    @abstractmethod
    def decode(self, predictions: Predictions[Any], context: Context) -> Candidates:
        """Predictions → N candidates per target in search-crop pixels, ``ranking`` equal to ``scores``."""


class Loss(nn.Module, ABC):
    """Outputs and truth → named terms. Built as ``factory(config, adjusted)``; may own parameters.

    ``adjusted`` are the shapes of the matcher's adjusted features, for losses that learn on them.
    """

    needs_candidates: bool = False
    """Whether ``outputs.candidates`` must be decoded."""

    @abstractmethod
    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Scalar terms by name; weights are configuration."""


class Link(nn.Module):
    """What candidate links and track links share: a state per target that starts with it.

    Built as ``factory(config)``.
    """

    def adapt(self, context: StartContext) -> Kernel:
        """Fit the matcher's kernel to the start frame: the same names and shapes. Called before :meth:`start`."""
        return context.kernel

    def start(self, context: StartContext) -> State:
        """The state of fresh targets; empty for links without memory."""
        return {}

    def rows_to_update(self, frame_index: Tensor, flags: dict[str, Tensor]) -> Tensor | None:
        """Which targets need :meth:`update`, decided on values already read out to the host.

        Args:
            frame_index: ``(B,)`` int64 on the CPU.
            flags: The selection's flags, on the CPU.

        Returns:
            ``(B,)`` bool on the CPU, or None when there is nothing to do.
        """
        return None

    def update(self, state: State, selection: Selection, context: Context, rows: Tensor) -> State:
        """Between frames, outside the captured step: learn from the last frame for some targets.

        Args:
            state: The link's state.
            selection: Where the targets were found, image pixels; ``context.geometry.crop_map`` takes them to the crop.
            context: The last step's.
            rows: ``(B,)`` bool: the targets to update; the others keep their state.

        Returns:
            The state, which may be the one given, written into: nobody else has it, and memories are large.
        """
        return state


class CandidateLink(Link, ABC):
    """Changes the candidates before one is selected: penalties, windows, an online classifier."""

    @abstractmethod
    def step(self, candidates: Candidates, state: State, context: Context) -> tuple[Candidates, State]:
        """Static shapes, no branch on values: the step is captured."""


class Select(nn.Module, ABC):
    """Candidates → one box per target in image pixels. Built as ``factory(config)``."""

    @abstractmethod
    def forward(self, candidates: Candidates, context: Context) -> Selection:
        """Choose by ``ranking``; report ``scores``."""


class TrackLink(Link, ABC):
    """Changes the selection: smoothing, clipping, holding, a wider search after a loss."""

    @abstractmethod
    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Static shapes, no branch on values: the step is captured."""


def row_index(like: Tensor) -> Tensor:
    """``(B,)`` 0, 1, 2, … on the device of ``like``, to index one element per target."""
    return torch.arange(like.shape[0], device=like.device)
