"""What components declare before they are built: channels and strides, without torch.

Configurations speak this language, so that a composition is checked as a whole before anything is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LevelShape:
    """One level of a backbone.

    Attributes:
        channels: Channels of the map.
        stride: Crop pixels between neighbouring cells.
        offset: Centre of cell 0 in continuous crop pixels.
    """

    channels: int
    stride: int
    offset: float


@dataclass(frozen=True)
class MatchShape:
    """One level of a matcher's result.

    Attributes:
        classification: Channels of the map for classification.
        regression: Channels of the map for regression.
        stride: Crop pixels between neighbouring cells.
        shared: Whether both are one and the same tensor.
    """

    classification: int
    regression: int
    stride: int
    shared: bool = False


@dataclass(frozen=True)
class HeadWidths:
    """Output channels per cell that a head needs; up-channel correlation sizes its kernels by them.

    Attributes:
        classification: Scores per cell (2k for k anchors).
        regression: Box values per cell (4k for k anchors).
    """

    classification: int
    regression: int
