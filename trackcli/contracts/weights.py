"""Published weights on their way into a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class AdaptedWeights:
    """Weights by a module's own names, and what was done to get them there.

    Attributes:
        weights: By name.
        notes: A few words per change, for the person: ``3 kernels of 1×1 put into the middle of 3×3 ones``.
    """

    weights: dict[str, Tensor]
    notes: tuple[str, ...] = ()

    def then(self, step: Callable[..., AdaptedWeights], *settings: object) -> AdaptedWeights:
        """These weights after a further ``step(weights, *settings)``, with both notes."""
        following = step(self.weights, *settings)
        return AdaptedWeights(following.weights, (*self.notes, *following.notes))
