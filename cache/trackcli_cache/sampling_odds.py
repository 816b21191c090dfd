"""Weighted choice in logarithmic time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Odds:
    """Items and how often each is picked.

    Attributes:
        items: ``(N,)`` what is picked.
        cumulative: ``(N,)`` running total of their shares; the last is 1.
    """

    items: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    @classmethod
    def over(cls, items: NDArray[np.int64], weights: NDArray[np.float64]) -> Odds:
        """Pick in proportion to the weights; equally where all are 0."""
        total = np.cumsum(weights if np.any(weights > 0) else np.ones(len(items)))
        return cls(items, total / total[-1] if len(total) else total)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def shares(self) -> NDArray[np.float64]:
        """``(N,)`` each item's share; they sum to 1."""
        return np.diff(self.cumulative, prepend=0.0)

    def pick(self, rng: np.random.Generator) -> int:
        """One item."""
        place = int(self.cumulative.searchsorted(rng.random(), side="right"))
        return int(self.items[min(place, len(self.items) - 1)])


def capped_weights(marked: NDArray[np.bool_], cap: float) -> NDArray[np.float64]:
    """Weights that sum to 1, of which the marked items have at most ``cap``; without others, they have all."""
    if not len(marked):
        return np.zeros(0)
    share = float(marked.mean())
    weights = np.full(len(marked), 1.0 / len(marked))
    if cap < share < 1:
        weights[marked] *= cap / share
        weights[~marked] *= (1 - cap) / (1 - share)
    return weights
