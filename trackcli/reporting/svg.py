"""Draws charts as inline SVG: small, sharp at any size, and in the colours of the page, bright or dark.

Every text that comes from outside goes through :func:`text_of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import cos, hypot, isfinite, pi, sin

from trackcli.reporting.charts import (
    Axis,
    Chart,
    Line,
    LineChart,
    Outline,
    Point,
    RadarChart,
    ScatterChart,
    number_text,
)

# One unit is one CSS pixel on a desktop. Charts are drawn for the width of a phone and scale up from there.
WIDTH, HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 10, 40  # on the left as much as 0.00575 and the name beside it take
_LINE_HEIGHT = 13
_CHARACTER = 6.4  # mean width of a letter at the page's chart font, for keeping labels apart

COLORS = 8
"""Colours ``--s0`` … of the page's style; more series than that are told apart by dashes."""
DASHES = ("", "7 3", "2 3", "9 3 2 3")
LONGEST_LABEL = 28

_Box = tuple[float, float, float, float]


def text_of(text: str) -> str:
    """Text as HTML and SVG may hold it: markup is shown, not obeyed; control characters are gone."""
    return escape("".join(character for character in text if character.isprintable()))


def shorten(text: str, length: int = LONGEST_LABEL) -> str:
    """Long names end in an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def color_of(style: int) -> str:
    """The CSS colour of a series."""
    return f"var(--s{style % COLORS})"


def draw(chart: Chart) -> str:
    """The chart as one ``<svg>`` element, without title and legend, which the page writes as text."""
    if isinstance(chart, LineChart):
        return _wrap(chart.title, [*_frame(chart.x, chart.y), *_lines(chart)])
    if isinstance(chart, ScatterChart):
        return _wrap(chart.title, [*_frame(chart.x, chart.y), *_scatter(chart)])
    return _wrap(chart.title, list(_radar(chart)))


def swatch(style: int) -> str:
    """A short piece of a series' line, for legends."""
    line = f'<line x1="1" y1="4" x2="25" y2="4"{_stroke(style)}/>'
    return f'<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">{line}</svg>'


def _wrap(title: str, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text_of(title)}">{body}</svg>'


def _stroke(style: int) -> str:
    dashes = DASHES[style // COLORS % len(DASHES)]
    return f' class="line" stroke="{color_of(style)}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - _BOTTOM - axis.place(value) * (HEIGHT - _TOP - _BOTTOM)


def _frame(x: Axis, y: Axis) -> Iterator[str]:
    """Grid, numbers and names of both axes."""
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for value in y.ticks():
        at = _y(y, value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class="end" x="{_LEFT - 5}" y="{at + 4:.1f}">{number_text(value)}</text>'
    for value in x.ticks():
        at = _x(x, value)
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        yield f'<text class="middle" x="{at:.1f}" y="{bottom + 15}">{number_text(value)}</text>'
    yield f'<text class="middle name" x="{(_LEFT + right) / 2}" y="{HEIGHT - 6}">{text_of(x.label)}</text>'
    middle = (_TOP + bottom) / 2
    yield f'<text class="middle name" transform="translate(11 {middle}) rotate(-90)">{text_of(y.label)}</text>'


def _lines(chart: LineChart) -> Iterator[str]:
    for line in reversed(chart.lines):  # the first in the legend is on top
        if line.low:
            yield _band(chart, line)
        for piece in _pieces(line):
            path = " ".join(f"{_x(chart.x, x):.1f},{_y(chart.y, y):.1f}" for x, y in piece)
            title = f"<title>{text_of(line.label)} {text_of(line.note)}</title>"
            if len(piece) == 1:
                x, y = path.split(",")
                yield f'<circle cx="{x}" cy="{y}" r="3" fill="{color_of(line.style)}">{title}</circle>'
            else:
                yield f'<polyline points="{path}"{_stroke(line.style)}>{title}</polyline>'


def _pieces(line: Line) -> Iterator[list[tuple[float, float]]]:
    piece: list[tuple[float, float]] = []
    for x, y in zip(line.xs, line.ys, strict=True):
        if isfinite(x) and isfinite(y):
            piece.append((x, y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _band(chart: LineChart, line: Line) -> str:
    edge = [*zip(line.xs, line.high, strict=True), *reversed(list(zip(line.xs, line.low, strict=True)))]
    path = " ".join(f"{_x(chart.x, x):.1f},{_y(chart.y, y):.1f}" for x, y in edge)
    return f'<polygon class="band" points="{path}" fill="{color_of(line.style)}"/>'


def _scatter(chart: ScatterChart) -> Iterator[str]:
    marks = [(point, _x(chart.x, point.x), _y(chart.y, point.y)) for point in chart.points]
    for point, x, _ in marks:
        if point.y_interval is not None:
            low, high = (_y(chart.y, value) for value in point.y_interval)
            yield f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    for point, x, y in marks:
        about = f"{point.label}: {point.x:.1f}, {point.y:.3f}"
        title = f"<title>{text_of(about)}</title>"
        yield f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color_of(point.style)}">{title}</circle>'
    whiskers = [
        (x - 2.0, _y(chart.y, point.y_interval[1]), x + 2.0, _y(chart.y, point.y_interval[0]))
        for point, x, _ in marks
        if point.y_interval is not None
    ]
    yield from _labels(marks, whiskers)


def _labels(marks: Sequence[tuple[Point, float, float]], whiskers: Sequence[_Box]) -> Iterator[str]:
    """Names beside their marks, where they hide neither a mark nor an interval nor another name."""
    taken = [*((x - 6.0, y - 6.0, x + 6.0, y + 6.0) for _, x, y in marks), *whiskers]
    for point, x, y in sorted(marks, key=lambda mark: mark[2]):
        label = shorten(point.label, 22)
        box = _free_place(x, y, len(label) * _CHARACTER, taken)
        taken.append(box)
        left, top, _, bottom = box
        middle = (top + bottom) / 2
        if abs(middle - y) > 2 * _LINE_HEIGHT:  # far from its mark: a thin line leads there
            yield f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{left:.1f}" y2="{middle:.1f}"/>'
        yield f'<text x="{left:.1f}" y="{middle + 4:.1f}">{text_of(label)}</text>'


def _free_place(x: float, y: float, width: float, taken: Sequence[_Box]) -> _Box:
    """The nearest place to the right or left of a mark, and up or down from there; the first if all are taken."""
    lefts = [left for left in (x + 9, x - 9 - width) if left >= _LEFT and left + width <= WIDTH - 2] or [
        max(2.0, min(x + 9, WIDTH - 2 - width))
    ]
    shifts = sorted((step * _LINE_HEIGHT for step in range(-22, 23)), key=abs)
    half = _LINE_HEIGHT / 2
    places = [(left, y + shift - half, left + width, y + shift + half) for shift in shifts for left in lefts]
    inside = [place for place in places if place[1] >= 0 and place[3] <= HEIGHT - _BOTTOM]
    free = (place for place in inside if not any(_overlap(place, other) for other in taken))
    return next(free, places[0])


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _radar(chart: RadarChart) -> Iterator[str]:
    radius, center = HEIGHT / 2 - 34, (WIDTH / 2, HEIGHT / 2)
    ends = [_on_spoke(center, radius, index, len(chart.spokes)) for index in range(len(chart.spokes))]
    rings = [value for value in Axis("", 0.0, chart.high).ticks(4) if value > 0]
    for value in rings:
        ring = [_on_spoke(center, radius * value / chart.high, i, len(ends)) for i in range(len(ends))]
        yield f'<polygon class="ring" points="{_path(ring)}"/>'
    for name, (x, y) in zip(chart.spokes, ends, strict=True):
        yield f'<line class="grid" x1="{center[0]}" y1="{center[1]}" x2="{x:.1f}" y2="{y:.1f}"/>'
        yield _spoke_name(name, (x - center[0]) / radius, (y - center[1]) / radius, center, radius)
    for outline in reversed(chart.outlines):
        yield from _outline(outline, center, radius, chart.high)
    for value in rings:
        at = center[1] - radius * value / chart.high + 11
        yield f'<text class="ring-number" x="{center[0] + 3}" y="{at:.1f}">{number_text(value)}</text>'


def _outline(outline: Outline, center: tuple[float, float], radius: float, high: float) -> Iterator[str]:
    count = len(outline.values)
    points = [
        _on_spoke(center, radius * value / high, index, count)
        for index, value in enumerate(outline.values)
        if isfinite(value)
    ]
    title = f"<title>{text_of(outline.label)}</title>"
    yield f'<polygon points="{_path(points)}"{_stroke(outline.style)}>{title}</polygon>'
    for x, y in points:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color_of(outline.style)}"/>'


def _on_spoke(center: tuple[float, float], length: float, index: int, count: int) -> tuple[float, float]:
    angle = 2 * pi * index / count - pi / 2
    return center[0] + length * cos(angle), center[1] + length * sin(angle)


def _spoke_name(name: str, dx: float, dy: float, center: tuple[float, float], radius: float) -> str:
    away = radius + 9
    x, y = center[0] + dx * away, center[1] + dy * away + 4 + 5 * dy
    side = "middle" if abs(dx) < 0.2 * hypot(dx, dy) else "start" if dx > 0 else "end"
    return f'<text class="{side}" x="{x:.1f}" y="{y:.1f}">{text_of(shorten(name, 18))}</text>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
