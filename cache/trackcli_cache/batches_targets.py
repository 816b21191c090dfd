"""The labels of one record as plain numbers, and its view from whichever tier holds enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_views import (
    Affine,
    Image,
    ViewRequest,
    Window,
    bounds,
    cut_window,
    transform_boxes,
    transform_points,
    warp,
)
from trackcli_cache.datasets import Mark
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import Part
from trackcli_cache.windows import context_side

_IGNORED = np.uint8(Mark.IGNORED)
_NO_BOXES = np.zeros((0, 4))
_NO_CATEGORIES = np.zeros(0, np.int64)


class Target(NamedTuple):
    """A record's target; all in search-crop pixels.

    Attributes:
        box_xyxy: Its box; of its part if it is one.
        category: Number of its category over all caches, -1 where there is none.
        exemplar_corner_xy: Where the exemplar crop begins.
        exemplar_scale: Exemplar-crop pixels per search-crop pixel.
        is_part: Whether the box is a part of the object.
    """

    box_xyxy: tuple[float, float, float, float]
    category: int
    exemplar_corner_xy: tuple[float, float]
    exemplar_scale: float
    is_part: bool = False

    @property
    def center_xy(self) -> tuple[float, float]:
        """The box's centre."""
        left, top, right, bottom = self.box_xyxy
        return (left + right) / 2, (top + bottom) / 2

    def context_side(self, context: float) -> float:
        """Side of the square with the area of the box plus its context: see :func:`windows.context_side`."""
        left, top, right, bottom = self.box_xyxy
        return context_side(right - left, bottom - top, context)

    def part(self, part: Part) -> Target:
        """The same with a part of the box."""
        left, top, right, bottom = self.box_xyxy
        width, height = right - left, bottom - top
        box = (left + part[0] * width, top + part[1] * height, left + part[2] * width, top + part[3] * height)
        return self._replace(box_xyxy=box, is_part=True)


class TargetReader:
    """Labels and views of one cache's records.

    Args:
        cache: The cache.
        categories: Number of each category over all caches.
    """

    def __init__(self, cache: CropCache, categories: Mapping[str, int]) -> None:
        self.cache = cache
        self._side = cache.settings.search_crop_side
        self._exemplar_side = cache.settings.exemplar_crop_side
        self._categories = np.array([*(categories[name] for name in cache.categories), -1], np.int64)

    def target(self, record: int) -> Target:
        """The labels of a record's target."""
        columns = self.cache.columns
        left, top, right, bottom = columns.box_xyxy[record].tolist()
        x, y, far, _ = columns.search_window_xyxy[record].tolist()
        exemplar_x, exemplar_y, exemplar_far, _ = columns.exemplar_window_xyxy[record].tolist()
        crop_per_source = self._side / (far - x)
        return Target(
            (left, top, right, bottom),
            int(self._categories[columns.category_id[record]]),
            ((exemplar_x - x) * crop_per_source, (exemplar_y - y) * crop_per_source),
            self._exemplar_side / (exemplar_far - exemplar_x) / crop_per_source,
        )

    def others(self, record: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """``(M, 4)`` boxes and ``(M,)`` categories of the other objects in the search crop; ignored ones are not."""
        columns = self.cache.columns
        first, last = columns.other_offsets[record : record + 2].tolist()
        if first == last:
            return _NO_BOXES, _NO_CATEGORIES
        boxes = columns.other_box_xyxy[first:last]
        categories = self._categories[columns.other_category_id[first:last]]
        known = (columns.other_marks[first:last] & _IGNORED) == 0
        return boxes[known], categories[known]

    def view(self, record: int, target: Target, request: ViewRequest, out: Image) -> Affine:
        """Draw a view of a record into ``out``, from the exemplar tier if that shows enough.

        Args:
            record: Which record.
            target: Its labels.
            request: What to show, in search-crop pixels.
            out: ``(S, S, 3)`` uint8, contiguous.

        Returns:
            The map from search-crop pixels to the view's, exact for what was drawn.
        """
        size = out.shape[0]
        corner, scale = target.exemplar_corner_xy, target.exemplar_scale
        near = request.moved(corner, scale)
        if request.angle:
            inside = _lies_in(near.affine(size), size, self._exemplar_side)
            image = self.cache.exemplar_crop(record) if inside else self.cache.search_crop(record)
            warp(image, (near if inside else request).affine(size), size, out=out)
            return request.affine(size)
        window = near.window(size)
        if window.lies_in(self._exemplar_side):
            rows = self.cache.exemplar_rows(record, window.top, window.top + window.height)
            cut_window(rows, window._replace(top=0), out)
            return _after(window, size, corner, scale)
        window = request.window(size)
        self._draw(record, window, out)
        return window.to_view(size)

    def _draw(self, record: int, window: Window, out: Image) -> None:
        if window.lies_in(self._side):
            rows = self.cache.search_rows(record, window.top, window.top + window.height)
            cut_window(rows, window._replace(top=0), out)
        else:
            cut_window(self.cache.search_crop(record), window, out)

    def box_in_view(self, record: int, target: Target, to_view: Affine) -> NDArray[np.float64]:
        """``(4,)`` the target's upright box in a rotated view: of its outline where it is known, else of its box."""
        polygons = () if target.is_part else self.cache.record(record).target_polygons
        if not polygons:
            box: NDArray[np.float64] = transform_boxes(np.array([target.box_xyxy]), to_view)[0]
            return box
        outline = transform_points(np.concatenate(polygons), to_view)
        return bounds(outline)


def number_categories(caches: Sequence[CropCache]) -> dict[str, int]:
    """A number for every category that any cache knows."""
    return {name: number for number, name in enumerate(sorted({name for each in caches for name in each.categories}))}


def _after(window: Window, size: int, corner_xy: tuple[float, float], scale: float) -> Affine:
    """The window's map, applied after ``(x - corner) · scale``."""
    x, y = size / window.width, size / window.height
    left, top = corner_xy[0] * scale + window.left, corner_xy[1] * scale + window.top
    return np.array([[scale * x, 0.0, -left * x], [0.0, scale * y, -top * y]])


def _lies_in(to_view: Affine, size: int, side: int) -> bool:
    """Whether a view shows nothing from outside a square crop."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - to_view[:, 2]
    crop_xy = np.linalg.solve(to_view[:, :2], corners.T)
    return bool(crop_xy.min() >= 0 and crop_xy.max() <= side)
