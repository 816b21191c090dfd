"""Square windows around a target: where they lie, how they are cut, and how coordinates follow them exactly.

A window has whole source pixels as its corner and side, so a crop is a slice and a resize, and a label computed from
the window is exact: crop coordinate = (source coordinate - window corner) · crop side / window side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.settings import CROP_MULTIPLE, TierSettings

BoxXyxy = tuple[float, float, float, float]

LARGE_WINDOW = 4
"""Windows more than this many times as wide as their crop are cut block by block (see :func:`cut_crop`)."""


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
        return self.to_crop(boxes_xyxy.reshape(-1, 2, 2), crop_side).reshape(-1, 4)


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

    A large target's window can be many times larger than the image; only the crop's 16-pixel blocks that see some of
    the image are then cut and resized, the others are plain ``fill``.

    Args:
        image: ``(H, W, 3)`` uint8.
        window: What to cut, from :func:`tier_window`.
        crop_side: Side of the result in pixels.
        fill: Colour outside the image, in the image's channel order.

    Returns:
        ``(crop_side, crop_side, 3)`` uint8.
    """
    height, width = image.shape[:2]
    blocks = _block_count(window.side, crop_side)
    if window.side % blocks:
        blocks = 1
    cell = window.side // blocks
    first_x, last_x = _visible_blocks(window.x, cell, blocks, width)
    first_y, last_y = _visible_blocks(window.y, cell, blocks, height)
    crop = np.full((crop_side, crop_side, 3), fill, dtype=np.uint8)
    if first_x >= last_x or first_y >= last_y:
        return crop
    region = _padded_region(
        image,
        (window.x + first_x * cell, window.y + first_y * cell, window.x + last_x * cell, window.y + last_y * cell),
        fill,
    )
    step = crop_side // blocks
    size_wh = ((last_x - first_x) * step, (last_y - first_y) * step)
    method = cv2.INTER_AREA if window.side > crop_side else cv2.INTER_LINEAR
    crop[first_y * step : last_y * step, first_x * step : last_x * step] = cv2.resize(
        region, size_wh, interpolation=method
    )
    return crop


def _whole_side(side: float, crop_side: int) -> int:
    """Round a side to whole pixels, and a large one to whole pixels per block (at most 0.8 % away)."""
    blocks = _block_count(side, crop_side)
    return max(1, _nearest(side / blocks)) * blocks


def _block_count(side: float, crop_side: int) -> int:
    return crop_side // CROP_MULTIPLE if side > LARGE_WINDOW * crop_side else 1


def _visible_blocks(start: int, cell: int, blocks: int, length: int) -> tuple[int, int]:
    """First and one-past-last block along an axis that overlap the image's ``[0, length)``."""
    first = max(0, -start // cell)
    last = min(blocks, -((start - length) // cell))
    return first, last


def _padded_region(
    image: NDArray[np.uint8], region_xyxy: tuple[int, int, int, int], fill: tuple[int, int, int]
) -> NDArray[np.uint8]:
    left, top, right, bottom = region_xyxy
    height, width = image.shape[:2]
    inner_left, inner_top = max(left, 0), max(top, 0)
    inner_right, inner_bottom = min(right, width), min(bottom, height)
    visible = image[inner_top:inner_bottom, inner_left:inner_right]
    if visible.shape[:2] == (bottom - top, right - left):
        return visible
    region = np.full((bottom - top, right - left, 3), fill, dtype=np.uint8)
    region[inner_top - top : inner_bottom - top, inner_left - left : inner_right - left] = visible
    return region


def _nearest(value: float) -> int:
    return math.floor(value + 0.5)
