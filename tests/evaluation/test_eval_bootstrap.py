from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.evaluation.bootstrap import bootstrap_mean, paired_difference


def test_the_interval_is_that_of_all_resamples_there_are() -> None:
    values = [0.1, 0.4, 0.9]
    means = [np.mean(drawn) for drawn in product(values, repeat=3)]  # all 27, equally likely
    interval = bootstrap_mean(values, resamples=200_000)
    assert (interval.low, interval.high) == (
        pytest.approx(np.quantile(means, 0.025, method="inverted_cdf"), abs=1e-9),
        pytest.approx(np.quantile(means, 0.975, method="inverted_cdf"), abs=1e-9),
    )


def test_its_width_is_that_of_the_normal_approximation_for_many_sequences() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 200)
    interval = bootstrap_mean(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(200), rel=0.05)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(1).random(30)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_interval_lies_between_the_extremes(values: list[float]) -> None:
    interval = bootstrap_mean(values, resamples=200)
    assert min(values) - 1e-12 <= interval.low <= interval.high <= max(values) + 1e-12


def test_weights_count_as_often_as_they_say() -> None:
    weighted = bootstrap_mean([0.0, 1.0], [1, 3], resamples=50_000)
    assert (weighted.low, weighted.high) == (0, 1)
    mean, _ = paired_difference([1.0, 0.0], [0.0, 0.0], [1, 3])
    assert mean == 0.25


def test_pairing_sees_a_small_difference_that_all_sequences_share() -> None:
    hardness = np.random.default_rng(2).random(40)
    better = list(hardness + 0.01 + np.random.default_rng(3).normal(0, 0.005, 40))
    mean, interval = paired_difference(better, list(hardness))
    assert mean == pytest.approx(0.01, abs=0.003)
    assert interval.excludes_zero
    alone_a, alone_b = bootstrap_mean(better), bootstrap_mean(hardness)
    assert alone_b.high > alone_a.low  # unpaired, nothing could be said


def test_no_values_and_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one number a sequence"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="2 and 1 values cannot be paired"):
        paired_difference([1, 2], [1])
