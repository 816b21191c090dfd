"""The labels of one record as plain numbers, and its view from whichever tier holds enough."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_views import (
    Affine,
    Box,
    Image,
    Upright,
    ViewMap,
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

    box_xyxy: Box
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


class Cut(NamedTuple):
    """How a view is made, decided without looking at a pixel.

    Attributes:
        record: Which record it shows.
        exemplar: Whether it comes from the exemplar crop.
        shape: The rectangle to cut; or, for a rotated view, the map from that crop to the view.
        to_view: The map from search-crop pixels to the view's, exact for what will be drawn.
    """

    record: int
    exemplar: bool
    shape: Window | Affine
    to_view: ViewMap


class _Memory(threading.local):
    """Crops to read into, one for each tier in each thread: their pixels are used up before the next are read."""

    def __init__(self, exemplar_side: int, search_side: int) -> None:
        self.exemplar = np.empty((exemplar_side, exemplar_side, 3), np.uint8)
        self.search = np.empty((search_side, search_side, 3), np.uint8)


class TargetReader:
    """Labels and views of one cache's records.

    Args:
        cache: The cache.
        categories: Number of each category over all caches.
    """

    def __init__(self, cache: CropCache, categories: Mapping[str, int]) -> None:
        self.cache = cache
        self._names = categories
        self._side = cache.settings.search_crop_side
        self._exemplar_side = cache.settings.exemplar_crop_side
        self._memory = _Memory(self._exemplar_side, self._side)
        self._categories = np.array([*(categories[name] for name in cache.categories), -1], np.int64)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.cache, self._names)

    def target(self, record: int) -> Target:
        """The labels of a record's target."""
        columns = self.cache.columns
        left, top, right, bottom = columns.box_xyxy[record].tolist()
        x, y, far, _ = columns.search_window_xyxy[record].tolist()
        exemplar_x, exemplar_y, exemplar_far, _ = columns.exemplar_window_xyxy[record].tolist()
        crop_per_source = self._side / (far - x)
        return Target(
            (left, top, right, bottom),
            self._categories.item(columns.category_id.item(record)),
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

    def cut(self, record: int, target: Target, request: ViewRequest, size: int) -> Cut:
        """Decide how a view of a record is made: from the exemplar tier if that shows enough.

        Args:
            record: Which record.
            target: Its labels.
            request: What to show, in search-crop pixels.
            size: Side of the view in pixels.
        """
        corner, scale = target.exemplar_corner_xy, target.exemplar_scale
        if request.angle:
            near = request.moved(corner, scale).affine(size)
            inside = _lies_in(near, size, self._exemplar_side)
            exact = request.affine(size)
            return Cut(record, inside, near if inside else exact, exact)
        if size * scale <= (self._exemplar_side + 1) * request.scale_x:  # else its window is too wide: no need to ask
            window = request.moved(corner, scale).window(size)
            if window.lies_in(self._exemplar_side):
                return Cut(record, True, window, _after(window, size, corner, scale))
        window = request.window(size)
        return Cut(record, False, window, window.to_view(size))

    def draw(self, cut: Cut, out: Image) -> None:
        """Draw a view.

        Args:
            cut: What :meth:`cut` decided.
            out: ``(S, S, 3)`` uint8, contiguous, of the size that was decided for.

        Raises:
            CacheFormatError: if the crop is damaged.
        """
        record, exemplar, shape, _ = cut
        if exemplar:
            side, rows, memory = self._exemplar_side, self.cache.exemplar_rows, self._memory.exemplar
        else:
            side, rows, memory = self._side, self.cache.search_rows, self._memory.search
        if not isinstance(shape, Window):
            warp(rows(record, 0, side, memory), shape, out.shape[0], out=out)
        elif shape.lies_in(side):
            left, top, width, height = shape
            cut_window(rows(record, top, top + height, memory), Window(left, 0, width, height), out)
        else:  # the fill's colour is the mean of the whole crop
            cut_window(rows(record, 0, side, memory), shape, out)

    def box_in_view(self, record: int, target: Target, to_view: ViewMap) -> NDArray[np.float64]:
        """``(4,)`` the target's upright box in a view; in a rotated one, of its outline where that is known."""
        if isinstance(to_view, Upright):
            return np.array(to_view.box(target.box_xyxy))
        polygons = () if target.is_part else self.cache.record(record).target_polygons
        if not polygons:
            box: NDArray[np.float64] = transform_boxes(np.array([target.box_xyxy]), to_view)[0]
            return box
        outline = transform_points(np.concatenate(polygons), to_view)
        return bounds(outline)


def number_categories(caches: Sequence[CropCache]) -> dict[str, int]:
    """A number for every category that any cache knows."""
    return {name: number for number, name in enumerate(sorted({name for each in caches for name in each.categories}))}


def _after(window: Window, size: int, corner_xy: tuple[float, float], scale: float) -> Upright:
    """The window's map, applied after ``(x - corner) · scale``."""
    x, y = size / window.width, size / window.height
    left, top = corner_xy[0] * scale + window.left, corner_xy[1] * scale + window.top
    return Upright(scale * x, scale * y, -left * x, -top * y)


def _lies_in(to_view: Affine, size: int, side: int) -> bool:
    """Whether a view shows nothing from outside a square crop."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - to_view[:, 2]
    crop_xy = np.linalg.solve(to_view[:, :2], corners.T)
    return bool(crop_xy.min() >= 0 and crop_xy.max() <= side)
