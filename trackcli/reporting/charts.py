"""Charts as data: what is drawn, apart from how. ``svg`` draws them into pages, ``figures`` into PNG and PDF files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log10

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_WIDER = 0.05
_LOG_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Attributes:
        label: What it measures, with its unit.
        low: Value at its beginning.
        high: Value at its end, above ``low``.
        logarithmic: Equal ways are equal ratios; ``low`` is above 0.
    """

    label: str
    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the beginning, 1 at the end."""
        if self.logarithmic:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int = 6) -> list[float]:
        """About ``count`` round values inside the axis."""
        if self.logarithmic:
            return _log_ticks(self.low, self.high)
        step = _round_step((self.high - self.low) / max(1, count - 1))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        label: Whose it is.
        xs: Values along the horizontal axis.
        ys: As many along the vertical one; gaps where one is not finite.
        style: Number of its colour and dash, the same for one tracker in every chart.
        note: A word about it for the legend, such as its area.
        low: Lower edge of a band around the curve, or empty.
        high: Its upper edge.
    """

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    style: int
    note: str = ""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class LineChart:
    """Curves over common axes; ``lines`` are in the order of the legend."""

    name: str
    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Point:
    """One labelled mark, with an interval along the vertical axis where it is known.

    Attributes:
        label: Whose it is.
        x: Along the horizontal axis.
        y: Along the vertical one.
        style: Number of its colour.
        y_interval: Lower and upper end, or None.
    """

    label: str
    x: float
    y: float
    style: int
    y_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ScatterChart:
    """Labelled marks over two axes."""

    name: str
    title: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Outline:
    """One closed line of a radar chart: a value per spoke, NaN where there is none."""

    label: str
    values: tuple[float, ...]
    style: int
    note: str = ""


@dataclass(frozen=True)
class RadarChart:
    """Values per category around a centre.

    Attributes:
        name: Of a file with it.
        title: Above it.
        spokes: Names of the categories, at least three.
        high: Value at the rim; the centre is 0.
        outlines: In the order of the legend.
    """

    name: str
    title: str
    spokes: tuple[str, ...]
    high: float
    outlines: tuple[Outline, ...] = field(default=())


Chart = LineChart | ScatterChart | RadarChart


def axis_over(label: str, values: Iterable[float], *, logarithmic: bool = False) -> Axis:
    """An axis that shows all finite values (above 0 if logarithmic) and ends a little beyond them."""
    usable = [value for value in values if isfinite(value) and (value > 0 or not logarithmic)]
    if not usable:
        return Axis(label, 1.0, 10.0, True) if logarithmic else Axis(label, 0.0, 1.0)
    low, high = min(usable), max(usable)
    if logarithmic:
        return Axis(label, low / 1.6, high * 1.6, True)
    margin = _WIDER * (high - low) or abs(high) * 0.1 or 1.0
    return Axis(label, low - margin, high + margin)


def number_text(value: float) -> str:
    """A tick's number, short enough to stand beside an axis: ``0.2``, ``1500``, ``60k``, ``5e-4``."""
    size = abs(value)
    if size < 1e-12:
        return "0"
    if size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit and size >= 1e4:
            return f"{value / unit:.4g}{letter}"
    return f"{value:.4g}"


def thin_out(
    xs: Sequence[float], ys: Sequence[float], bins: int
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Means over neighbours, so that a long record stays a small picture.

    Args:
        xs: Ascending.
        ys: As many; what is not finite is left out.
        bins: How many points stay at most.

    Returns:
        Mean x, mean y, and lowest and highest y of each group of neighbours.
    """
    kept = [(x, y) for x, y in zip(xs, ys, strict=True) if isfinite(y)]
    size = max(1, math.ceil(len(kept) / bins))
    groups = [kept[start : start + size] for start in range(0, len(kept), size)]
    centres = [sum(x for x, _ in group) / len(group) for group in groups]
    means = [sum(y for _, y in group) / len(group) for group in groups]
    return centres, means, [(min(y for _, y in group), max(y for _, y in group)) for group in groups]


def _round_step(step: float) -> float:
    power: float = 10.0 ** floor(log10(step))
    return next(nice * power for nice in _STEPS if nice * power >= step * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    steps = _LOG_STEPS if high / low < 1000 else (1,)
    return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
