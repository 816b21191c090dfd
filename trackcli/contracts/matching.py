"""What a matcher hands to the head."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trackcli.contracts.levels import Features
from trackcli.geometry.grids import Grid


@dataclass(frozen=True)
class MatchedLevel:
    """The response of one level.

    Attributes:
        classification: ``(B, C, H, W)``.
        regression: ``(B, C', H, W)``; the same tensor when the correlation is shared.
        stride: Search-crop pixels between neighbouring cells.
        offset: Where the *target's centre* lies in the search crop when cell 0 responds.
    """

    classification: Tensor
    regression: Tensor
    stride: float
    offset: float

    @property
    def grid(self) -> Grid:
        """The grid of the response's cells."""
        return Grid(self.classification.shape[-2], self.classification.shape[-1], self.stride, self.offset)


@dataclass(frozen=True)
class Matched:
    """All levels' responses, and the adjusted features that made them.

    Attributes:
        levels: Responses by level name, shallow to deep.
        template: Adjusted (1×1) template features; empty while tracking, where only the kernel is kept. Losses on
            embeddings use these: raw features are constant while the backbone is frozen.
        search: Adjusted (1×1) search features.
    """

    levels: dict[str, MatchedLevel]
    template: Features
    search: Features
