"""From one annotated image to its records: decode, cut two crops per object, express all labels in the search crop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.jpeg import encode_crop
from trackcli_cache.manifest import Skipped
from trackcli_cache.records import NO_CATEGORY, EncodedRecord, Polygons, Record
from trackcli_cache.settings import TierSettings
from trackcli_cache.survey import Survey, relative_path
from trackcli_cache.windows import BoxXyxy, SquareWindow, cut_crop, mean_colour, tier_window

SMALLEST_TARGET = 4.0
"""Targets narrower or lower than this many source pixels are left out: they have no texture to learn from."""

LARGEST_TARGET = 2.0
"""Targets wider or higher than this many times the image's longer side are left out: the box must be wrong."""

SourcePolygons = tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What one image adds to a shard.

    Attributes:
        records: One per object that was kept.
        absent: ``(sequence_id, frame_number, track_id)`` of objects out of view.
        skipped: What was left out, and why.
    """

    records: tuple[EncodedRecord, ...]
    absent: tuple[tuple[int, int, int], ...]
    skipped: Skipped


def encode_image(image: SourceImage, root: Path, survey: Survey, settings: TierSettings) -> EncodedImage:
    """Make the records of one image; one that cannot be used is skipped and says why."""
    sequence_id = survey.sequence_ids[image.sequence]
    absent = tuple((sequence_id, image.frame_number, item.track_id) for item in image.objects if item.absent)
    visible = [item for item in image.objects if not item.absent]
    if not visible:
        return EncodedImage((), absent, Skipped())
    try:
        pixels = read_rgb(image.path)
        outlines = [_outlines(item, pixels.shape[:2]) for item in visible]
    except DatasetError as error:
        return EncodedImage((), absent, Skipped(images=((relative_path(image.path, root), str(error)),)))
    frame = _Frame(image, pixels, visible, outlines, sequence_id, relative_path(image.path, root), survey, settings)
    reasons = [_reason_to_skip(item.box_xyxy, pixels.shape[:2]) for item in visible]
    records = tuple(frame.encode_object(index) for index, reason in enumerate(reasons) if reason is None)
    return EncodedImage(records, absent, Skipped(objects=Counter(reason for reason in reasons if reason is not None)))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image file as ``(H, W, 3)`` uint8 RGB; grey, alpha and 16 bits are converted, EXIF rotation applied.

    Raises:
        DatasetError: if it is missing or no image.
    """
    bgr = _decode(path, cv2.IMREAD_COLOR)
    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def read_mask_outlines(path: Path, height: int, width: int) -> SourcePolygons:
    """Outer contours of a mask's non-zero pixels, through the centres of its border pixels.

    Returns:
        One ``(N, 2)`` float64 polygon per part, in source pixels.

    Raises:
        DatasetError: if the mask is missing, no image, or of another size than the image.
    """
    mask = _decode(path, cv2.IMREAD_UNCHANGED)
    if mask.shape[:2] != (height, width):
        raise DatasetError(f"mask {path.name} is {mask.shape[1]}x{mask.shape[0]} but its image is {width}x{height}")
    colours = mask.reshape(height, width, -1)[:, :, :3]
    contours, _ = cv2.findContours(
        np.any(colours != 0, axis=2).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    # Contour points are pixel indices; pixel i is centred at i + 0.5.
    return tuple(contour.reshape(-1, 2).astype(np.float64) + 0.5 for contour in contours if len(contour) >= 3)


@dataclass(frozen=True, eq=False)
class _Frame:
    """One decoded image and what its objects have in common."""

    image: SourceImage
    pixels: NDArray[np.uint8]
    objects: list[AnnotatedObject]
    outlines: list[SourcePolygons]
    sequence_id: int
    path: str
    survey: Survey
    settings: TierSettings

    def encode_object(self, index: int) -> EncodedRecord:
        target = self.objects[index]
        search_side, exemplar_side = self.settings.search_crop_side, self.settings.exemplar_crop_side
        search = tier_window(target.box_xyxy, search_side, self.settings)
        exemplar = tier_window(target.box_xyxy, exemplar_side, self.settings)
        boxes_xyxy = search.boxes_to_crop(np.array([item.box_xyxy for item in self.objects], np.float64), search_side)
        others = [other for other in _overlapping(boxes_xyxy, search_side) if other != index]
        record = Record(
            box_xyxy=boxes_xyxy[index],
            search_window_xyxy=np.array(search.xyxy, np.int64),
            exemplar_window_xyxy=np.array(exemplar.xyxy, np.int64),
            search_crop_side=search_side,
            exemplar_crop_side=exemplar_side,
            image_size_wh=(self.pixels.shape[1], self.pixels.shape[0]),
            sequence_id=self.sequence_id,
            frame_number=self.image.frame_number,
            category_id=self._category_id(index),
            track_id=target.track_id,
            path=self.path,
            target_polygons=self._outlines_in(search, index),
            other_boxes_xyxy=boxes_xyxy[others],
            other_category_ids=np.array([self._category_id(other) for other in others], np.int32),
            other_track_ids=np.array([self.objects[other].track_id for other in others], np.int64),
            other_polygons=tuple(self._outlines_in(search, other) for other in others),
        )
        return EncodedRecord(record, self._crop(exemplar, exemplar_side), self._crop(search, search_side))

    def _crop(self, window: SquareWindow, side: int) -> bytes:
        crop = cut_crop(self.pixels, window, side, mean_colour(self.pixels))
        return encode_crop(crop, self.settings.jpeg_quality)

    def _category_id(self, index: int) -> int:
        category = self.objects[index].category
        return NO_CATEGORY if category is None else self.survey.category_ids[category]

    def _outlines_in(self, window: SquareWindow, index: int) -> Polygons:
        side = self.settings.search_crop_side
        return tuple(window.to_crop(points, side).astype(np.float32) for points in self.outlines[index])


def _decode(path: Path, flags: int) -> NDArray[np.uint8]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        image: NDArray[np.uint8] | None = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DatasetError(f"{path.name} is no image that can be decoded")
    return image


def _outlines(item: AnnotatedObject, size_hw: tuple[int, ...]) -> SourcePolygons:
    if item.mask_path is None:
        return item.polygons
    return item.polygons + read_mask_outlines(item.mask_path, *size_hw)


def _reason_to_skip(box_xyxy: BoxXyxy, size_hw: tuple[int, ...]) -> str | None:
    left, top, right, bottom = box_xyxy
    height, width = size_hw
    # x + 4 - x may be a hair under 4 in floating point.
    if min(right - left, bottom - top) < SMALLEST_TARGET - 1e-6:
        return f"smaller than {SMALLEST_TARGET:g} px"
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return "box outside the image"
    if max(right - left, bottom - top) > LARGEST_TARGET * max(width, height):
        return f"box more than {LARGEST_TARGET:g} times the image"
    return None


def _overlapping(boxes_xyxy: NDArray[np.float64], side: int) -> list[int]:
    """Indices of boxes in crop pixels that share some area with the crop."""
    left, top, right, bottom = boxes_xyxy.T
    inside = (left < side) & (top < side) & (right > 0) & (bottom > 0) & (right > left) & (bottom > top)
    return [int(index) for index in np.flatnonzero(inside)]
