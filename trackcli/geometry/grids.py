"""The grid of a feature or response map, in continuous crop pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Where the cells of a map lie in the crop: cell j is centred at ``offset + j · stride``.

    Attributes:
        height: Rows of the map.
        width: Columns of the map.
        stride: Distance of neighbouring cells in crop pixels.
        offset: Centre of cell 0 in continuous crop pixels (pixel i covers [i, i + 1)).
    """

    height: int
    width: int
    stride: float
    offset: float

    def points_xy(self, like: Tensor) -> Tensor:
        """``(height · width, 2)`` cell centres as x, y, row by row, with the device and dtype of ``like``."""
        columns = self.offset + self.stride * torch.arange(self.width, device=like.device, dtype=like.dtype)
        rows = self.offset + self.stride * torch.arange(self.height, device=like.device, dtype=like.dtype)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        return torch.stack((x.flatten(), y.flatten()), dim=-1)
