"""Feature maps that know where they lie: levels, and the two branches that carry them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trackcli.geometry.grids import Grid


@dataclass(frozen=True)
class Level:
    """One feature map of a crop.

    Attributes:
        map: ``(B, C, H, W)``.
        stride: Crop pixels between neighbouring cells.
        offset: Centre of cell 0 in continuous crop pixels: cell j is centred at ``offset + j · stride``.
    """

    map: Tensor
    stride: float
    offset: float

    @property
    def grid(self) -> Grid:
        """The grid of the map's cells."""
        return Grid(self.map.shape[-2], self.map.shape[-1], self.stride, self.offset)


Features = dict[str, Level]
"""Levels by name, shallow to deep."""


@dataclass(frozen=True)
class Branch:
    """The template's or the search region's side of the Siamese network.

    Attributes:
        images: ``(B, 3, S, S)`` normalised crops.
        features: The backbone's levels of the crops.
        boxes_xyxy: ``(B, 4)`` the target in crop pixels; None for the search region while tracking.
    """

    images: Tensor
    features: Features
    boxes_xyxy: Tensor | None = None
