"""A contact sheet of a cache: what a person looks at to see whether boxes sit where they should."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import Mark
from trackcli_cache.reader import CropCache
from trackcli_cache.records import NO_CATEGORY, Polygons, Record

COLUMNS = 4
GAP = 8
CAPTION = 18
TILE = 288
"""Side of a search crop on the sheet; the exemplar crop beside it keeps its proportion."""

_TARGET, _OTHER, _IGNORED, _OUTLINE, _TEXT = (0, 230, 0), (255, 170, 0), (150, 150, 150), (0, 200, 255), (235, 235, 235)
_BACKGROUND = 32
_FINE = 4
"""OpenCV takes coordinates with so many binary places."""

_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.4, _TEXT, 1, cv2.LINE_AA)


def draw_contact_sheet(cache: CropCache, *, rows: int = 4) -> NDArray[np.uint8]:
    """Draw records from all over a cache: exemplar and search crop with the labels on them.

    The target's box is green, other objects' boxes are orange (grey: to be ignored), outlines are blue.

    Args:
        cache: The cache.
        rows: How many rows of four records at most.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        CacheFormatError: if a crop is damaged.
    """
    count = min(len(cache), rows * COLUMNS)
    chosen = [index * len(cache) // count for index in range(count)]
    small = TILE * cache.settings.exemplar_crop_side // cache.settings.search_crop_side
    width, height = small + GAP + TILE + 2 * GAP, CAPTION + TILE + GAP
    across, down = min(COLUMNS, max(1, count)), max(1, -(-count // COLUMNS))
    sheet = np.full((down * height + GAP, across * width + GAP, 3), _BACKGROUND, np.uint8)
    for place, index in enumerate(chosen):
        x, y = GAP + place % COLUMNS * width, GAP + place // COLUMNS * height
        _draw_record(sheet, (x, y), cache, index, small)
    return sheet


def _draw_record(
    sheet: NDArray[np.uint8], corner_xy: tuple[int, int], cache: CropCache, index: int, small: int
) -> None:
    (x, y), record = corner_xy, cache.record(index)
    caption = _part(sheet, x, y, small + GAP + TILE, CAPTION)
    cv2.putText(caption, _caption(cache, index, record), (0, 12), *_FONT)
    exemplar = _part(sheet, x, y + CAPTION, small, small)
    exemplar[:] = cv2.resize(cache.exemplar_crop(index), (small, small), interpolation=cv2.INTER_AREA)
    _draw_box(exemplar, record.exemplar_box_xyxy * small / record.exemplar_crop_side, _TARGET)
    search = _part(sheet, x + small + GAP, y + CAPTION, TILE, TILE)
    search[:] = cv2.resize(cache.search_crop(index), (TILE, TILE), interpolation=cv2.INTER_AREA)
    scale = TILE / record.search_crop_side
    for box, polygons, marks in zip(record.other_boxes_xyxy, record.other_polygons, record.other_marks, strict=True):
        _draw_outlines(search, polygons, scale)
        _draw_box(search, box * scale, _IGNORED if marks & Mark.IGNORED else _OTHER)
    _draw_outlines(search, record.target_polygons, scale)
    _draw_box(search, record.box_xyxy * scale, _TARGET)


def _caption(cache: CropCache, index: int, record: Record) -> str:
    category = "" if record.category_id == NO_CATEGORY else f" {cache.categories[record.category_id]}"
    marks = "" if record.marks == Mark.NONE else f" [{record.marks.name}]"
    text = f"{index}: {cache.sequences[record.sequence_id].name} {record.frame_number}{category}{marks}"
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)  # OpenCV's font has no others


def _part(sheet: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    return sheet[y : y + height, x : x + width]


def _draw_box(canvas: NDArray[np.uint8], box_xyxy: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    (left, top), (right, bottom) = _fixed_point(box_xyxy.reshape(2, 2)).tolist()
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, 1, cv2.LINE_AA, _FINE)


def _draw_outlines(canvas: NDArray[np.uint8], polygons: Polygons, scale: float) -> None:
    cv2.polylines(canvas, [_fixed_point(points * scale) for points in polygons], True, _OUTLINE, 1, cv2.LINE_AA, _FINE)


def _fixed_point(points_xy: NDArray[Any]) -> NDArray[np.int32]:
    """What OpenCV draws: its whole numbers are pixel centres, ours are at one half."""
    fixed: NDArray[np.int32] = np.rint(np.clip(points_xy - 0.5, -1e4, 1e4) * 2**_FINE).astype(np.int32)
    return fixed
