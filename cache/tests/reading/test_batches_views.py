"""Views and their labels: exact to 1e-3 px from the annotation to the view and back, and true to the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackcli_cache.batches_paste import Sprite, paste
from trackcli_cache.batches_targets import TargetReader, number_categories
from trackcli_cache.batches_views import (
    Upright,
    ViewMap,
    ViewRequest,
    ViewSettings,
    Window,
    cut_window,
    random_request,
    transform_boxes,
    transform_points,
    warp,
)
from trackcli_cache.reader import CropCache

GRADIENT_SIDE, GRADIENT_SLOPE = 256, 0.77
CHANGES = st.builds(
    ViewSettings,
    shift=st.floats(0, 100),
    scale=st.floats(0, 0.6),
    aspect=st.floats(0, 0.6),
    rotation=st.sampled_from([0.0, 0.0, 15.0, 180.0]),
)


def matrix(to_view: ViewMap) -> np.ndarray:
    return to_view.affine() if isinstance(to_view, Upright) else to_view


def shown(reader: TargetReader, index: int, request: ViewRequest, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A view, and the matrix of its map."""
    view = np.empty((size, size, 3), np.uint8)
    cut = reader.cut(index, reader.target(index), request, size)
    reader.draw(cut, view)
    return view, matrix(cut.to_view)


def source_points(points_xy: np.ndarray, to_view: np.ndarray, window_xyxy: np.ndarray, side: int) -> np.ndarray:
    """View → search crop → source image, by nothing but the definitions."""
    crop_xy = np.linalg.solve(to_view[:, :2], (points_xy - to_view[:, 2]).T).T
    return crop_xy * ((window_xyxy[2] - window_xyxy[0]) / side) + window_xyxy[:2]


@settings(max_examples=150, deadline=None)
@given(
    index=st.integers(0, 30), changes=CHANGES, size=st.integers(32, 300), zoom=st.floats(0.2, 3), seed=st.integers(0)
)
def test_a_box_goes_into_the_view_and_back_to_where_it_was_annotated(
    gradients: CropCache, *, index: int, changes: ViewSettings, size: int, zoom: float, seed: int
) -> None:
    index %= len(gradients)
    reader = TargetReader(gradients, number_categories([gradients]))
    target, record = reader.target(index), gradients.record(index)
    request = random_request(np.random.default_rng(seed), changes, center_xy=target.center_xy, zoom=zoom)
    to_view = reader.cut(index, target, request, size).to_view
    corners = transform_points(np.array(target.box_xyxy).reshape(2, 2), matrix(to_view))
    back = source_points(corners, matrix(to_view), record.search_window_xyxy, record.search_crop_side)
    np.testing.assert_allclose(back.reshape(4), record.source_box_xyxy, atol=1e-3)
    if not request.angle:
        np.testing.assert_allclose(
            transform_boxes(np.array([target.box_xyxy]), to_view)[0], corners.reshape(4), atol=1e-6
        )


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 30), changes=CHANGES, zoom=st.floats(0.6, 1.5), seed=st.integers(0))
def test_pixels_lie_where_the_map_says(
    gradients: CropCache, *, index: int, changes: ViewSettings, zoom: float, seed: int
) -> None:
    """A picture's red grows with the column, so each pixel of a view tells which point of the photograph it shows."""
    index %= len(gradients)
    reader = TargetReader(gradients, number_categories([gradients]))
    target, record = reader.target(index), gradients.record(index)
    request = random_request(np.random.default_rng(seed), changes, center_xy=target.center_xy, zoom=zoom)
    view, to_view = shown(reader, index, request, 64)
    centers = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5), axis=-1).reshape(-1, 2)
    x, y = source_points(centers, to_view, record.search_window_xyxy, record.search_crop_side).T
    margin = 3 * max(1.0, record.search_scale / min(request.scale_x, request.scale_y))
    inside = (np.minimum(x, y) > margin) & (np.maximum(x, y) < GRADIENT_SIDE - margin)
    crop_xy = np.linalg.solve(to_view[:, :2], (centers - to_view[:, 2]).T)
    inside &= (crop_xy.min(axis=0) > 2) & (crop_xy.max(axis=0) < record.search_crop_side - 2)
    if not inside.any() or min(np.ptp(x[inside]), np.ptp(y[inside])) < 24:
        return
    for channel, coordinate in enumerate((x, y)):
        difference = view[..., channel].reshape(-1)[inside].astype(float) / GRADIENT_SLOPE
        difference -= coordinate[inside] - 0.5
        assert np.abs(difference).max() < 2.2  # levels are whole, and rounded up to four times
        assert abs(difference.mean()) < 0.45  # half a pixel would show, rounding halves up does not


def test_the_exemplar_tier_is_read_where_it_suffices_and_else_the_search_tier(
    gradients: CropCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TargetReader(gradients, number_categories([gradients]))
    read: list[str] = []
    for tier in ("exemplar_rows", "search_rows"):
        original = getattr(CropCache, tier)
        monkeypatch.setattr(
            CropCache, tier, lambda self, *a, tier=tier, original=original: read.append(tier) or original(self, *a)
        )
    target = reader.target(0)
    for size in (127, 271, 288):
        shown(reader, 0, ViewRequest(*target.center_xy, 1.0, 1.0, 0.0, 0.0), size)
    assert read == ["exemplar_rows", "search_rows", "search_rows"]


def test_both_tiers_show_the_same(gradients: CropCache) -> None:
    """One target, one scale: the larger view's middle is the smaller view, to the rounding of their windows."""
    reader = TargetReader(gradients, number_categories([gradients]))
    for index in range(len(gradients)):
        target = reader.target(index)
        views, maps = [], []
        for size in (127, 255):
            view, to_view = shown(reader, index, ViewRequest(*target.center_xy, 1.0, 1.0, 0.0, 0.0), size)
            maps.append(to_view)
            views.append(view)
        near, wide = (transform_points(np.array([target.center_xy]), each)[0] for each in maps)
        assert np.abs(near - 63.5).max() <= 1.0 and np.abs(wide - 127.5).max() <= 1.0
        assert np.abs(np.diag(maps[0][:, :2]) - 1).max() < 0.01


def test_a_view_of_the_windows_own_size_is_the_crop_itself() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    out = np.empty((16, 16, 3), np.uint8)
    cut_window(image, Window(7, 9, 16, 16), out)
    np.testing.assert_array_equal(out, image[9:25, 7:23])


def test_pixels_from_outside_take_the_mean_of_the_image() -> None:
    image = np.full((20, 20, 3), (10, 20, 30), np.uint8)
    out = np.empty((10, 10, 3), np.uint8)
    for window in (Window(-5, -5, 10, 10), Window(100, 0, 10, 10), Window(0, -30, 10, 10)):
        cut_window(image, window, out)
        assert (out == (10, 20, 30)).all()


def test_a_halved_view_is_averaged_so_that_nothing_is_skipped() -> None:
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[::2] = 200
    out = np.empty((20, 20, 3), np.uint8)
    cut_window(stripes, Window(0, 0, 40, 40), out)
    assert (out == 100).all()


def test_a_windows_map_is_its_corner_and_its_scale() -> None:
    to_view = Window(10, 20, 50, 100).to_view(200).affine()
    np.testing.assert_allclose(transform_points(np.array([[10, 20], [60, 120]]), to_view), [[0, 0], [200, 200]])


def test_a_rotated_box_is_that_of_the_ellipse_inside() -> None:
    quarter = ViewRequest(50.0, 50.0, 1.0, 1.0, 0.0, 0.0, angle=math.pi / 2).affine(100)
    box = transform_boxes(np.array([[30.0, 40.0, 70.0, 60.0]]), quarter)[0]
    np.testing.assert_allclose(box, [40, 30, 60, 70], atol=1e-9)
    eighth = ViewRequest(50.0, 50.0, 1.0, 1.0, 0.0, 0.0, angle=math.pi / 4).affine(100)
    circle = transform_boxes(np.array([[40.0, 40.0, 60.0, 60.0]]), eighth)[0]
    np.testing.assert_allclose(circle, [40, 40, 60, 60], atol=1e-9)


def test_warping_moves_a_bright_pixel_to_where_the_affine_map_says() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[10, 12] = 255
    warped = warp(image, np.array([[1.0, 0, 5], [0, 1.0, -3]]), 40, fill=(0, 0, 0))
    assert np.argwhere(warped[..., 0] == 255).tolist() == [[7, 17]]


def test_pasting_covers_the_outline_and_nothing_else() -> None:
    canvas = np.zeros((60, 60, 3), np.uint8)
    outline = np.array([[10, 10], [30, 10], [30, 20], [10, 20]], np.float32)
    sprite = Sprite(np.full((60, 60, 3), 200, np.uint8), (outline,))
    picture, box = paste(canvas, sprite, np.array([[1.0, 0, 15], [0, 1.0, 20]]))
    np.testing.assert_allclose(box, [25, 30, 45, 40])
    assert (picture[33:37, 28:42] == 200).all()
    assert (picture[:27] == 0).all() and (picture[:, :22] == 0).all() and (picture[43:] == 0).all()
