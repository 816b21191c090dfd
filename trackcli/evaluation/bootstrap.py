"""How sure a mean over sequences is: intervals by resampling the sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLES = 10_000
SEED = 0
CONFIDENCE = 0.95
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: for a difference, whether it is more than chance."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of a (weighted) mean over sequences.

    For the difference of two trackers pass the differences sequence by sequence: that pairs them. The same number of
    sequences and the same seed draw the same resamples, so that all trackers of a table are resampled alike.

    Args:
        values: ``(S,)``, one per sequence.
        weights: ``(S,)`` what each counts in the mean; all the same by default.
        resamples: How many times S sequences are drawn with replacement.
        seed: Makes the interval reproducible.
        confidence: Share of resampled means inside.

    Raises:
        ValueError: if there are no values, or the shapes differ.

    Source: Efron 1979; percentile intervals.
    """
    numbers = np.asarray(values, dtype=np.float64)
    shares = np.ones_like(numbers) if weights is None else np.asarray(weights, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or shares.shape != numbers.shape:
        raise ValueError(f"values of shape {numbers.shape} and weights {shares.shape}; expected one number a sequence")
    means = _resampled_means(numbers, shares, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def paired_difference(
    values_a: Sequence[float],
    values_b: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, Interval]:
    """Mean of A minus B over the same sequences, and its interval.

    Raises:
        ValueError: if the lengths differ.
    """
    if len(values_a) != len(values_b):
        raise ValueError(f"{len(values_a)} and {len(values_b)} values cannot be paired; expected the same sequences")
    differences = np.asarray(values_a, dtype=np.float64) - np.asarray(values_b, dtype=np.float64)
    mean = float(np.average(differences, weights=weights))
    return mean, bootstrap_mean(differences, weights, resamples=resamples, seed=seed)


def _resampled_means(values: Floats, weights: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    means = np.empty(resamples)
    chances = np.full(len(values), 1 / len(values))
    for begin in range(0, resamples, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, resamples - begin)
        drawn = rng.multinomial(len(values), chances, size=rows) * weights  # how often each, times what it counts
        means[begin : begin + rows] = (drawn @ values) / drawn.sum(axis=1)
    return means
