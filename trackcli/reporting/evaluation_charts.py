"""The charts of an evaluation: curves with the ranking in their legends, speed against accuracy, attributes."""

from __future__ import annotations

import math
from collections.abc import Callable

from trackcli.evaluation.metrics import NORMALISED_PRECISION_THRESHOLDS, PRECISION_THRESHOLDS, Floats
from trackcli.evaluation.protocols import NORMALISED, PRECISION, SUCCESS, Measure
from trackcli.evaluation.summaries import attribute_scores, interval_of
from trackcli.reporting.charts import (
    Axis,
    Chart,
    Line,
    LineChart,
    Outline,
    Point,
    RadarChart,
    ScatterChart,
    axis_over,
)
from trackcli.reporting.gather import Entrant, Evaluation

FEWEST_SPOKES = 3
MOST_SPOKES = 16
MOST_LINES = 16
"""More trackers than that make a chart of nothing; the tables still have all."""

_SHARE = Axis("share of frames", 0.0, 1.0)
_CurveOf = Callable[[Entrant], Floats]


def evaluation_charts(evaluation: Evaluation) -> list[Chart]:
    """All charts that the results allow."""
    charts: list[Chart] = [success_chart(evaluation), precision_chart(evaluation), normalised_chart(evaluation)]
    speeds = speed_chart(evaluation)
    radar = attribute_chart(evaluation)
    return [*charts, *(chart for chart in (speeds, radar) if chart is not None)]


def success_chart(evaluation: Evaluation) -> LineChart:
    """Share of frames above each overlap; ranked by the protocol's first measure of overlap."""
    ranked_by = SUCCESS if SUCCESS in evaluation.protocol.measures else evaluation.first
    lines = _lines(
        evaluation,
        ranked_by,
        evaluation.variant.success_thresholds,
        lambda entrant: entrant.result.score.success_curve,
    )
    return LineChart("success", "Success", Axis("overlap threshold", 0.0, 1.0), _SHARE, lines)


def precision_chart(evaluation: Evaluation) -> LineChart:
    """Share of frames within each distance in pixels."""
    lines = _lines(evaluation, PRECISION, PRECISION_THRESHOLDS, lambda entrant: entrant.result.score.precision_curve)
    return LineChart("precision", "Precision", Axis("centre error in pixels", 0.0, 50.0), _SHARE, lines)


def normalised_chart(evaluation: Evaluation) -> LineChart:
    """Share of frames within each distance in units of the target's size."""
    lines = _lines(
        evaluation,
        NORMALISED,
        NORMALISED_PRECISION_THRESHOLDS,
        lambda entrant: entrant.result.score.normalised_precision_curve,
    )
    axis = Axis("centre error / target size", 0.0, 0.5)
    return LineChart("normalised_precision", "Normalised precision", axis, _SHARE, lines)


def speed_chart(evaluation: Evaluation) -> ScatterChart | None:
    """The ranking measure over frames per second, with intervals; None if no speed is known."""
    several = len(evaluation.sequences) > 1
    key = evaluation.first.key
    points = []
    for entrant in evaluation.entrants[:MOST_LINES]:
        if math.isfinite(entrant.result.fps):
            interval = interval_of(entrant.result, key) if several else None
            ends = (interval.low, interval.high) if interval is not None else None
            value = evaluation.first.read(entrant.result.score)
            points.append(Point(entrant.label, entrant.result.fps, value, entrant.style, ends))
    if not points:
        return None
    heights = [height for point in points for height in (point.y, *(point.y_interval or ()))]
    x = axis_over("frames per second (logarithmic)", (point.x for point in points), logarithmic=True)
    return ScatterChart("speed", "Speed and accuracy", x, axis_over(evaluation.first.label, heights), tuple(points))


def attribute_chart(evaluation: Evaluation) -> RadarChart | None:
    """The ranking measure by attribute; None if the dataset has fewer than three or too many to draw."""
    entrants = evaluation.entrants[:MOST_LINES]
    scores = [attribute_scores(entrant.result) for entrant in entrants]
    spokes = tuple(scores[0])
    if not FEWEST_SPOKES <= len(spokes) <= MOST_SPOKES:
        return None
    outlines = tuple(
        Outline(
            entrant.label,
            tuple(evaluation.first.read(by_attribute[spoke]) for spoke in spokes),
            entrant.style,
            _number(evaluation.first.read(entrant.result.score)),
        )
        for entrant, by_attribute in zip(entrants, scores, strict=True)
    )
    highest = max(value for outline in outlines for value in outline.values)
    high = max(0.1, math.ceil(10 * highest) / 10)
    return RadarChart("attributes", f"{evaluation.first.label} by attribute", spokes, high, outlines)


def _lines(evaluation: Evaluation, measure: Measure, xs: Floats, curve_of: _CurveOf) -> tuple[Line, ...]:
    """A curve per tracker, ranked by the measure; its value stands in the legend."""
    ranked = sorted(evaluation.entrants[:MOST_LINES], key=lambda entrant: -measure.read(entrant.result.score))
    return tuple(
        Line(
            entrant.label,
            tuple(xs.tolist()),
            tuple(curve_of(entrant).tolist()),
            entrant.style,
            _number(measure.read(entrant.result.score)),
        )
        for entrant in ranked
    )


def _number(value: float) -> str:
    return f"{value:.3f}"
