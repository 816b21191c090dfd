"""Yardsticks: trackers that do nothing clever, so that a number can be told from chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli.tracking.inputs import xyxy_from_xywh

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Held:
    """What :class:`HoldTracker` answers.

    Attributes:
        boxes_xyxy: ``(B, 4)`` image pixels.
        scores: ``(B,)``, all 1.
    """

    boxes_xyxy: Floats
    scores: Floats


class HoldTracker:
    """Answers every frame with the first box. What does worse has learnt nothing."""

    name = "hold"

    def __init__(self) -> None:
        self._held = Held(np.empty((0, 4)), np.empty(0))

    def start(self, image: NDArray[np.uint8], boxes_xywh: Floats) -> None:
        """Remember the boxes, ``(B, 4)`` image pixels; the image is not looked at."""
        corners = xyxy_from_xywh(boxes_xywh)
        self._held = Held(corners, np.ones(len(boxes_xywh)))

    def update(self, image: NDArray[np.uint8]) -> Held:
        """The boxes of :meth:`start`; none before it."""
        return self._held


BASELINES: Mapping[str, Callable[[], Any]] = MappingProxyType({HoldTracker.name: HoldTracker})
"""Factories by name."""
