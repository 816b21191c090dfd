"""Square windows around a target: where they lie, how they are cut, and how coordinates follow them exactly.

A window has whole source pixels as its corner and side, so a crop is a slice and a resize, and a label computed from
the window is exact: crop coordinate = (source coordinate - window corner) · crop side / window side.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.settings import CROP_MULTIPLE, TierSettings

BoxXyxy = tuple[float, float, float, float]

SMALLEST_CELL = 48
"""Sides of windows larger than their crop are rounded to whole numbers of cells, which are at least so many pixels wide
once whole pixels are averaged: by 1 % at most. Cells without any of the image are not computed (:func:`cut_crop`)."""


@dataclass(frozen=True)
class SquareWindow:
    """A square of source pixels that may reach over the image's border.

    Attributes:
        x: Left edge in source pixels.
        y: Top edge in source pixels.
        side: Width and height in source pixels, at least 1.
    """

    x: int
    y: int
    side: int

    def is_inside(self, size_hw: tuple[int, ...]) -> bool:
        """Whether the window lies wholly inside an image of that height and width."""
        height, width = size_hw
        return min(self.x, self.y) >= 0 and self.x + self.side <= width and self.y + self.side <= height

    @property
    def xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in source pixels, half-open."""
        return self.x, self.y, self.x + self.side, self.y + self.side

    def to_crop(self, points_xy: NDArray[np.float64], crop_side: int) -> NDArray[np.float64]:
        """Map ``(…, 2)`` source points to crop pixels."""
        crop_xy: NDArray[np.float64] = (points_xy - np.array([self.x, self.y])) * (crop_side / self.side)
        return crop_xy

    def to_source(self, points_xy: NDArray[np.float64], crop_side: int) -> NDArray[np.float64]:
        """Map ``(…, 2)`` crop points back to source pixels."""
        source_xy: NDArray[np.float64] = points_xy * (self.side / crop_side) + np.array([self.x, self.y])
        return source_xy

    def boxes_to_crop(self, boxes_xyxy: NDArray[np.float64], crop_side: int) -> NDArray[np.float64]:
        """Map ``(N, 4)`` source boxes to crop pixels, not clipped."""
        crop_xyxy: NDArray[np.float64] = (boxes_xyxy - (self.x, self.y, self.x, self.y)) * (crop_side / self.side)
        return crop_xyxy


def context_side(width: float, height: float, context_amount: float) -> float:
    """Side ``s_z`` of the square with the area of the target plus its context, in source pixels.

    Source: Bertinetto et al. 2016 (SiamFC), section 2.3, with ``p = (w + h) / 4`` on each side.
    """
    padding = context_amount * (width + height)
    return math.sqrt((width + padding) * (height + padding))


def tier_window(box_xyxy: BoxXyxy, crop_side: int, settings: TierSettings) -> SquareWindow:
    """The window of one tier: ``crop_side / template_size · s_z`` wide, centred on the box, in whole pixels.

    Args:
        box_xyxy: The target in source pixels.
        crop_side: Side of the tier's crop in pixels, a multiple of 16.
        settings: Gives ``template_size`` and ``context_amount``.
    """
    left, top, right, bottom = box_xyxy
    context = context_side(right - left, bottom - top, settings.context_amount)
    side = _whole_side(crop_side / settings.template_size * context, crop_side)
    return SquareWindow(_nearest((left + right - side) / 2), _nearest((top + bottom - side) / 2), side)


def mean_colour(image: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Mean of an ``(H, W, 3)`` image's channels, rounded: SiamFC's colour for what lies outside the image."""
    red, green, blue, _ = cv2.mean(image)
    return round(red), round(green), round(blue)


def cut_crop(
    image: NDArray[np.uint8], window: SquareWindow, crop_side: int, fill: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Cut a window out of an image and resize it, touching only the pixels that are needed.

    The window of a large target can be many times larger than the image. It is a grid of equal cells with whole source
    and whole crop pixels; only those at the image are cut and resized, the others are plain ``fill``.

    Args:
        image: ``(H, W, 3)`` uint8.
        window: What to cut, from :func:`tier_window`.
        crop_side: Side of the result in pixels.
        fill: Colour outside the image, in the image's channel order.

    Returns:
        ``(crop_side, crop_side, 3)`` uint8.
    """
    height, width = image.shape[:2]
    halvings, cells = _grid(window.side, crop_side)
    cell, step = window.side // cells, crop_side // cells
    first_x, last_x = _visible_cells(window.x, cell, cells, width)
    first_y, last_y = _visible_cells(window.y, cell, cells, height)
    if first_x >= last_x or first_y >= last_y:
        return np.full((crop_side, crop_side, 3), fill, dtype=np.uint8)
    left, top = window.x + first_x * cell, window.y + first_y * cell
    right, bottom = window.x + last_x * cell, window.y + last_y * cell
    seen = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    region = _surround(seen, (max(-left, 0), max(-top, 0), max(right - width, 0), max(bottom - height, 0)), fill)
    small = _resize(region, (last_x - first_x) * step, (last_y - first_y) * step, halvings)
    after_x, after_y = (cells - last_x) * step, (cells - last_y) * step
    return _surround(small, (first_x * step, first_y * step, after_x, after_y), fill)


def _whole_side(side: float, crop_side: int) -> int:
    """Round a side to whole pixels, and that of a window larger than its crop to whole averaged pixels per cell."""
    if side <= crop_side:
        return max(1, _nearest(side))
    factor = 1 << _halvings(side, crop_side)
    counts = _divisors(crop_side)
    cells = counts[max(0, bisect_right(counts, side / (factor * SMALLEST_CELL)) - 1)]
    return _nearest(side / (cells * factor)) * cells * factor


@lru_cache(maxsize=4096)
def _grid(side: int, crop_side: int) -> tuple[int, int]:
    """How often to halve before the rest is interpolated, and how many cells there are."""
    halvings = _halvings(side, crop_side)
    while side % (1 << halvings):
        halvings -= 1
    return halvings, max(count for count in _divisors(crop_side) if side % (count << halvings) == 0)


def _halvings(side: float, crop_side: int) -> int:
    """How often a side can be halved without getting smaller than its crop's."""
    return max(0, math.frexp(side / crop_side)[1] - 1)


def _resize(region: NDArray[np.uint8], width: int, height: int, halvings: int) -> NDArray[np.uint8]:
    """Average squares of 2 x 2 pixels, as often as is possible, then interpolate, so that every source pixel counts.

    Averaging larger squares takes OpenCV three to five times as long, and pixels in parts (its INTER_AREA for any other
    ratio) ten times; cutting would then be most of a build's work.
    """
    for _ in range(halvings):
        size_wh = (region.shape[1] // 2, region.shape[0] // 2)
        region = cv2.resize(region, size_wh, interpolation=cv2.INTER_AREA)
    coarse = region.shape[1] > 2.1 * width  # a side without factors, which no tier has
    method = cv2.INTER_AREA if coarse else cv2.INTER_LINEAR
    small: NDArray[np.uint8] = cv2.resize(region, (width, height), interpolation=method)
    return small


@cache
def _divisors(crop_side: int) -> tuple[int, ...]:
    """Into how many equal cells, of at least 16 pixels, a crop can be divided."""
    return tuple(count for count in range(1, max(1, crop_side // CROP_MULTIPLE) + 1) if crop_side % count == 0)


def _visible_cells(start: int, cell: int, cells: int, length: int) -> tuple[int, int]:
    """First and one-past-last cell along an axis that the image's ``[0, length)`` has an influence on.

    Interpolation looks at one neighbour, so the cells beside the image count too.
    """
    first, last = -start // cell, -((start - length) // cell)
    if first >= cells or last <= 0:
        return 0, 0
    return max(0, first - 1), min(cells, last + 1)


def _surround(
    inner: NDArray[np.uint8], margins: tuple[int, int, int, int], fill: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Put ``fill`` around a picture, so wide on its left, top, right and bottom."""
    left, top, right, bottom = margins
    if not any(margins):
        return inner
    outer: NDArray[np.uint8] = cv2.copyMakeBorder(
        inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(*fill, 0)
    )
    return outer


def _nearest(value: float) -> int:
    return math.floor(value + 0.5)
