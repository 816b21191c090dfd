"""Outlines, coverage and exact bounds against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackcli.synth.shapes import Outline, area, coverage, random_outline, visible_bounds_xyxy, window_around

TRIANGLE = np.array([[2.0, 1.0], [10.0, 5.0], [2.0, 9.0]])


def rectangle(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def test_the_area_of_a_triangle_is_half_base_times_height():
    assert area(TRIANGLE) == pytest.approx(8 * 8 / 2)


def test_an_outline_without_bumps_is_an_ellipse_of_the_unit_circles_area():
    outline = Outline(aspect=4.0, amplitudes=np.zeros(4), phases=np.zeros(4))
    points = outline.points(np.zeros((1, 4)))[0]
    assert points.max(axis=0) == pytest.approx([2.0, 0.5])
    assert area(points) == pytest.approx(np.pi, rel=2e-3)


def test_wobbles_change_the_outline_of_their_own_moment_only():
    outline = Outline(aspect=1.0, amplitudes=np.zeros(4), phases=np.zeros(4))
    still, wobbling = outline.points(np.array([[0.0, 0, 0, 0], [0.5, 0, 0, 0]]))
    assert np.linalg.norm(still, axis=1) == pytest.approx(np.ones(len(still)))
    assert wobbling[0] == pytest.approx([1.5, 0.0])


def test_pixels_inside_a_rectangle_are_covered_and_pixels_outside_are_not():
    mask = coverage(rectangle(2, 1, 6, 4), (0, 0, 8, 6))
    inner, outer = mask[2:3, 3:5], mask.copy()
    outer[0:5, 1:7] = 0
    assert (inner == 1).all()
    assert (outer == 0).all()


def test_coverage_adds_up_to_the_area_within_a_fine_pixel_of_the_edge():
    circle = Outline(1.0, np.zeros(4), np.zeros(4)).points(np.zeros((1, 4)))[0] * 20 + 32.3
    edge = 2 * np.pi * 20
    assert coverage(circle, (0, 0, 64, 64)).sum() == pytest.approx(area(circle), abs=edge / 8)


def test_coverage_does_not_depend_on_where_the_window_starts():
    whole = coverage(TRIANGLE, (0, 0, 12, 10))
    assert (coverage(TRIANGLE, (3, 2, 12, 10)) == whole[2:, 3:]).all()


def test_the_window_around_a_shape_is_cut_to_the_image():
    assert window_around(rectangle(-3.5, 2.2, 4.1, 9.9), (20, 8)) == (0, 2, 5, 8)


def test_there_is_no_window_around_a_shape_outside_the_image():
    assert window_around(rectangle(-9, 1, -1, 5), (20, 8)) is None


def test_bounds_inside_the_image_are_those_of_the_shape():
    assert visible_bounds_xyxy(TRIANGLE, (20, 20)) == pytest.approx([2, 1, 10, 9])


def test_bounds_of_a_cut_triangle_follow_its_edges_not_its_box():
    # Right of x = 6 the triangle is only as high as from y = 3 to y = 7.
    shifted = TRIANGLE - [6, 0]
    assert visible_bounds_xyxy(shifted, (20, 20)) == pytest.approx([0, 3, 4, 7])


def test_a_shape_with_less_than_a_pixel_in_the_image_has_no_bounds():
    assert visible_bounds_xyxy(rectangle(-5, 2, 0.9, 8), (20, 20)) is None
    assert visible_bounds_xyxy(rectangle(-5, 2, 1.1, 8), (20, 20)) == pytest.approx([0, 2, 1.1, 8])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), x=st.floats(-30, 90), y=st.floats(-30, 70), radius=st.floats(8, 30))
def test_bounds_are_those_of_the_painted_pixels(seed, x, y, radius):
    shape = random_outline(np.random.default_rng(seed)).points(np.zeros((1, 4)))[0] * radius + [x, y]
    bounds = visible_bounds_xyxy(shape, (64, 48))
    rows, columns = np.nonzero(coverage(shape, (0, 0, 64, 48)) > 0)
    if bounds is None:
        assert len(rows) == 0 or np.ptp(rows) <= 1 or np.ptp(columns) <= 1
        return
    painted = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert (painted[:2] >= bounds[:2] - 1.25).all() and (painted[2:] <= bounds[2:] + 1.25).all()
    if shape.min() >= 0 and (shape.max(axis=0) <= (64, 48)).all():
        # Where the border cuts the shape, a sliver along it may be too thin to colour a pixel.
        assert np.abs(bounds - painted).max() <= 1.25
