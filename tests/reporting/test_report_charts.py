from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.reporting.charts import (
    Axis,
    Line,
    LineChart,
    Outline,
    Point,
    RadarChart,
    ScatterChart,
    axis_over,
    number_text,
    thin_out,
)
from trackcli.reporting.svg import HEIGHT, WIDTH, draw, shorten, text_of


def svg_of(chart: LineChart | ScatterChart | RadarChart) -> ElementTree.Element:
    return ElementTree.fromstring(draw(chart))  # well-formed, or it raises


def line_chart(*lines: Line) -> LineChart:
    return LineChart("c", "Title", Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0), lines)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis("", 0.0, 50.0), ["0", "10", "20", "30", "40", "50"]),
        (Axis("", 0.31, 0.64), ["0.4", "0.5", "0.6"]),
        (Axis("", 0.0, 60000.0), ["0", "20k", "40k", "60k"]),
        (Axis("", 0.0, 0.0012), ["0", "2.5e-4", "5e-4", "7.5e-4", "0.001"]),
        (Axis("", -2.0, 2.0), ["-2", "-1", "0", "1", "2"]),
        (Axis("", 3.0, 60.0, logarithmic=True), ["5", "10", "20", "50"]),
        (Axis("", 2.0, 20000.0, logarithmic=True), ["10", "100", "1000", "10k"]),
    ],
)
def test_ticks_are_round_and_inside_the_axis(axis: Axis, ticks: list[str]) -> None:
    assert [number_text(value) for value in axis.ticks()] == ticks


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_an_axis_shows_all_values(values: list[float]) -> None:
    axis = axis_over("", values)
    assert all(0 <= axis.place(value) <= 1 for value in values)


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show() -> None:
    axis = axis_over("", [0.0, 10.0, math.nan, 40.0], logarithmic=True)
    assert (axis.low, axis.high) == (10 / 1.6, 64.0)
    assert axis.place(20.0) == pytest.approx(0.5)


def test_thinning_out_keeps_means_and_extremes() -> None:
    xs, means, edges = thin_out([0, 1, 2, 3, 4], [1.0, 3.0, math.nan, 5.0, 7.0], bins=2)
    assert (xs, means, edges) == ([0.5, 3.5], [2.0, 6.0], [(1.0, 3.0), (5.0, 7.0)])


def test_a_line_goes_from_corner_to_corner_of_its_axes() -> None:
    drawn = svg_of(line_chart(Line("a", (0.0, 1.0), (0.0, 1.0), 0)))
    (line,) = drawn.iter("polyline")
    first, last = (tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split())
    assert first[0] < last[0] <= WIDTH
    assert 0 <= last[1] < first[1] < HEIGHT


def test_a_line_breaks_where_a_value_is_missing() -> None:
    drawn = svg_of(line_chart(Line("a", (0.0, 0.2, 0.4, 0.6, 0.8), (0.1, 0.2, math.nan, 0.3, 0.4), 0)))
    assert [len(line.attrib["points"].split()) for line in drawn.iter("polyline")] == [2, 2]


def test_series_beyond_the_colours_are_dashed() -> None:
    drawn = svg_of(line_chart(*(Line(str(n), (0.0, 1.0), (0.0, 1.0), n) for n in range(9))))
    looks = {(line.attrib["stroke"], line.get("stroke-dasharray")) for line in drawn.iter("polyline")}
    assert len(looks) == 9


def test_labels_of_neighbouring_marks_do_not_overlap() -> None:
    points = tuple(Point(f"tracker {n}", 30.0 + n, 0.5 + 0.004 * n, n) for n in range(6))
    drawn = svg_of(ScatterChart("s", "S", Axis("fps", 10.0, 100.0, True), Axis("auc", 0.0, 1.0), points))
    names = {f"tracker {n}" for n in range(6)}
    places = [(float(t.attrib["x"]), float(t.attrib["y"])) for t in drawn.iter("text") if t.text in names]
    assert len(places) == 6
    width, height = 9 * 6.4, 12.0
    overlapping = [
        (a, b)
        for i, a in enumerate(places)
        for b in places[:i]
        if abs(a[0] - b[0]) < width and abs(a[1] - b[1]) < height
    ]
    assert overlapping == []


def test_a_radar_has_a_spoke_per_category_and_skips_unknown_values() -> None:
    chart = RadarChart("r", "R", ("IV", "SV", "OCC"), 1.0, (Outline("a", (1.0, math.nan, 0.5), 0),))
    drawn = svg_of(chart)
    (outline,) = [shape for shape in drawn.iter("polygon") if shape.get("class") == "line"]
    points = [tuple(map(float, pair.split(","))) for pair in outline.attrib["points"].split()]
    assert len(points) == 2
    assert points[0][0] == WIDTH / 2  # the first spoke points up


HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b[31m"


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    assert "<" not in text_of(HOSTILE)
    assert "\x1b" not in text_of(HOSTILE)
    chart = line_chart(Line(HOSTILE, (0.0, 1.0), (0.0, 1.0), 0, HOSTILE))
    assert not list(svg_of(chart).iter("script"))
    scatter = ScatterChart("s", HOSTILE, Axis(HOSTILE, 0, 1), Axis(HOSTILE, 0, 1), (Point(HOSTILE, 0.5, 0.5, 0),))
    assert not list(svg_of(scatter).iter("script"))
    radar = RadarChart("r", HOSTILE, (HOSTILE, "b", "c"), 1.0, (Outline(HOSTILE, (1.0, 1.0, 1.0), 0),))
    assert not list(svg_of(radar).iter("script"))


@given(st.text(max_size=40))
def test_any_name_gives_a_well_formed_drawing(name: str) -> None:
    drawn = draw(line_chart(Line(name, (0.0, 1.0), (0.0, 1.0), 0)))
    assert re.fullmatch(r"<svg .*</svg>", drawn)
    ElementTree.fromstring(drawn)


def test_long_names_end_in_an_ellipsis() -> None:
    assert shorten("x" * 40, 10) == "x" * 9 + "…"
    assert shorten("short", 10) == "short"
