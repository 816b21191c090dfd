"""Evaluation results as tables for people and as plain data for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from trackcli.evaluation.metrics import (
    NORMALISED_PRECISION_THRESHOLDS,
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    Floats,
    Score,
)
from trackcli.evaluation.runner import TrackerResult

MEASURES = ("success", "prec@20", "norm.prec", "overlap", "fps")
_GAP = "  "


def sequence_table(result: TrackerResult) -> str:
    """One row per sequence, and the mean in the last."""
    rows = [[one.name, str(one.frames), *_measures(one.score, one.fps)] for one in result.sequences]
    mean = [f"mean of {len(rows)}", str(result.frames), *_measures(result.score, result.fps)]
    return format_table(("sequence", "frames", *MEASURES), [*rows, mean], rule_above_last=True)


def tracker_table(results: Sequence[tuple[str, TrackerResult]]) -> str:
    """One row per tracker, the best success first."""
    ranked = sorted(results, key=lambda named: -named[1].score.success_auc)
    return format_table(("tracker", *MEASURES), [[label, *_measures(one.score, one.fps)] for label, one in ranked])


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, rule_above_last: bool = False) -> str:
    """Align columns: the first to the left, the others, numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_format_row(row, widths) for row in (header, *rows)]
    rule = "-" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    lines.insert(1, rule)
    if rule_above_last:
        lines.insert(-1, rule)
    return "\n".join(lines)


def result_as_data(result: TrackerResult) -> dict[str, Any]:
    """Numbers of one tracker for JSON; ``None`` where one is unknown."""
    return {
        **_score_as_data(result.score),
        "fps": finite_or_none(result.fps),
        "frames": result.frames,
        "milliseconds": result.milliseconds,
        "curves": _curves_as_data(result.score),
        "sequences": [
            {
                "name": one.name,
                **_score_as_data(one.score),
                "fps": finite_or_none(one.fps),
                "frames": one.frames,
                "reused": one.reused,
            }
            for one in result.sequences
        ],
    }


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _format_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    aligned = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return _GAP.join(aligned)


def _measures(score: Score, fps: float) -> list[str]:
    shares = (score.success_auc, score.precision, score.normalised_precision, score.mean_overlap)
    return [*(f"{share:.3f}" for share in shares), f"{fps:.1f}" if math.isfinite(fps) else "-"]


def _score_as_data(score: Score) -> dict[str, Any]:
    return {
        "success_auc": score.success_auc,
        "precision_20px": score.precision,
        "normalised_precision": score.normalised_precision,
        "mean_overlap": score.mean_overlap,
        "evaluated_frames": score.evaluated_frames,
    }


def _curves_as_data(score: Score) -> dict[str, dict[str, list[float]]]:
    return {
        "success": _curve(SUCCESS_THRESHOLDS, score.success_curve),
        "precision": _curve(PRECISION_THRESHOLDS, score.precision_curve),
        "normalised_precision": _curve(NORMALISED_PRECISION_THRESHOLDS, score.normalised_precision_curve),
    }


def _curve(thresholds: Floats, shares: Floats) -> dict[str, list[float]]:
    return {"thresholds": thresholds.tolist(), "shares": shares.tolist()}
