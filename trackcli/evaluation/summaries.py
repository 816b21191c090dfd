"""What many sequences say together: means by attribute, intervals, differences; and all of it as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from trackcli.evaluation.bootstrap import CONFIDENCE, RESAMPLES, SEED, Interval, bootstrap_mean, paired_difference
from trackcli.evaluation.metrics import (
    NORMALISED_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    Floats,
    Score,
    mean_score,
)
from trackcli.evaluation.protocols import MEASURES, Measure
from trackcli.evaluation.runner import TrackerResult

_BY_KEY = {measure.key: measure for measure in MEASURES}


def values_of(result: TrackerResult, key: str) -> list[float]:
    """One measure (its JSON name) of each scored sequence."""
    return [_BY_KEY[key].read(score) for score in _scores(result)]


def interval_of(result: TrackerResult, key: str) -> Interval:
    """Interval of the mean of one measure over sequences."""
    return bootstrap_mean(values_of(result, key), _weights(result))


def difference_of(result: TrackerResult, other: TrackerResult, key: str) -> tuple[float, Interval]:
    """How much more ``result`` has of one measure than ``other``, on the same sequences, and the interval of that."""
    return paired_difference(values_of(result, key), values_of(other, key), _weights(result))


def attribute_scores(result: TrackerResult) -> dict[str, Score]:
    """Mean over the sequences that have each attribute, in the order in which attributes appear."""
    members: dict[str, list[Score]] = {}
    for one in result.scored:
        for attribute in one.attributes:
            if one.score is not None:
                members.setdefault(attribute, []).append(one.score)
    return {attribute: mean_score(scores) for attribute, scores in sorted(members.items())}


def result_as_data(result: TrackerResult) -> dict[str, Any]:
    """Numbers of one tracker for JSON; ``None`` where one is unknown."""
    score = result.score if result.scored else None
    return {
        **_score_as_data(score),
        "fps": finite_or_none(result.fps),
        "frames": result.frames,
        "milliseconds": result.milliseconds,
        "intervals": _intervals_as_data(result),
        "attributes": {
            attribute: {"sequences": sum(attribute in one.attributes for one in result.scored), **_score_as_data(mean)}
            for attribute, mean in attribute_scores(result).items()
        },
        "curves": {} if score is None else _curves_as_data(score),
        "sequences": [
            {
                "name": one.name,
                **_score_as_data(one.score),
                "fps": finite_or_none(one.fps),
                "frames": one.frames,
                "attributes": list(one.attributes),
                "repetitions": one.repetitions,
                "reused": one.reused,
            }
            for one in result.sequences
        ],
    }


def differences_as_data(results: Sequence[tuple[str, TrackerResult]], first: Measure) -> list[dict[str, Any]]:
    """Every tracker against the best by ``first``, paired over sequences."""
    scored = [named for named in results if named[1].scored]
    if len(scored) < 2 or len(scored[0][1].scored) < 2:
        return []
    best_label, best = max(scored, key=lambda named: first.read(named[1].score))
    rows = []
    for label, result in scored:
        if result is not best:
            mean, interval = difference_of(result, best, first.key)
            row = {"tracker": label, "against": best_label, "measure": first.key, "difference": mean}
            rows.append({**row, "interval": [interval.low, interval.high]})
    return rows


def bootstrap_as_data() -> dict[str, Any]:
    """How intervals were made."""
    return {"resamples": RESAMPLES, "seed": SEED, "confidence": CONFIDENCE, "over": "sequences"}


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _scores(result: TrackerResult) -> list[Score]:
    return [one.score for one in result.sequences if one.score is not None]


def _weights(result: TrackerResult) -> list[float]:
    return [score.weight for score in _scores(result)]


def _score_as_data(score: Score | None) -> dict[str, Any]:
    if score is None:
        return {**{measure.key: None for measure in MEASURES}, "evaluated_frames": 0}
    return {**{measure.key: measure.read(score) for measure in MEASURES}, "evaluated_frames": score.evaluated_frames}


def _intervals_as_data(result: TrackerResult) -> dict[str, list[float]]:
    if len(result.scored) < 2:
        return {}
    intervals = {measure.key: interval_of(result, measure.key) for measure in MEASURES}
    return {key: [interval.low, interval.high] for key, interval in intervals.items()}


def _curves_as_data(score: Score) -> dict[str, dict[str, list[float]]]:
    return {
        "success": _curve(score.variant.success_thresholds, score.success_curve),
        "precision": _curve(PRECISION_THRESHOLDS, score.precision_curve),
        "normalised_precision": _curve(NORMALISED_PRECISION_THRESHOLDS, score.normalised_precision_curve),
    }


def _curve(thresholds: Floats, shares: Floats) -> dict[str, list[float]]:
    return {"thresholds": thresholds.tolist(), "shares": shares.tolist()}
