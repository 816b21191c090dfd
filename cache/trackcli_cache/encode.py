"""From one annotated image to its records: decode, cut two crops per target, express all labels in the search crop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.crops import Codec, encode_pixels
from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.division import ImagePart, is_target
from trackcli_cache.errors import DatasetError
from trackcli_cache.frames import FrameReader, read_rgb
from trackcli_cache.manifest import Skipped
from trackcli_cache.masks import ImageMasks, SourcePolygons
from trackcli_cache.records import NO_CATEGORY, AbsentObject, EncodedRecord, Polygons, Record
from trackcli_cache.settings import TierSettings
from trackcli_cache.survey import relative_path
from trackcli_cache.windows import BoxXyxy, SquareWindow, cut_crop, mean_colour, tier_window

__all__ = ["EncodeSettings", "EncodedImage", "encode_image", "read_rgb"]

SMALLEST_TARGET = 4.0
"""Targets narrower or lower than this many source pixels are left out: they have no texture to learn from."""

LARGEST_TARGET = 2.0
"""Targets wider or higher than this many times the image's longer side are left out: the box must be wrong."""


@dataclass(frozen=True)
class EncodeSettings:
    """What all images of a build have in common.

    Attributes:
        root: Folder of the dataset.
        settings: The tiers.
        codec: How crops are kept.
        category_ids: Index of each category by name.
    """

    root: Path
    settings: TierSettings
    codec: Codec
    category_ids: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What one image adds to a shard.

    Attributes:
        records: One per target that was kept.
        absent: Objects out of view.
        skipped: What was left out, and why.
    """

    records: tuple[EncodedRecord, ...] = ()
    absent: tuple[AbsentObject, ...] = ()
    skipped: Skipped = field(default_factory=Skipped)


def encode_image(part: ImagePart, frames: FrameReader, common: EncodeSettings) -> EncodedImage:
    """Make the records of one image, or of some of its targets; one that cannot be used is skipped and says why."""
    image = part.image
    absent = tuple(
        AbsentObject(part.sequence_id, image.frame_number, item.track_id, int(item.marks))
        for item in image.objects
        if item.absent and part.first == 0
    )
    visible = [item for item in image.objects if not item.absent]
    targets = [index for index, item in enumerate(visible) if is_target(item)][part.first : part.stop]
    if not targets:
        return EncodedImage(absent=absent)
    path = relative_path(image.path, common.root)
    try:
        pixels = frames.read(image)
        masks = ImageMasks((pixels.shape[0], pixels.shape[1]))
        outlines = [masks.outlines_of(item) for item in visible]
    except DatasetError as error:
        reason = str(error).removeprefix(f"{image.path.name} ")  # it is listed beside the whole path
        skipped = Skipped(images=((_name_of(path, image), reason),) if part.first == 0 else ())
        return EncodedImage(absent=absent, skipped=skipped)
    frame = _Frame(image, part.sequence_id, path, pixels, visible, outlines, common)
    reasons = {index: _reason_to_skip(visible[index].box_xyxy, pixels.shape[:2]) for index in targets}
    records = tuple(frame.encode_object(index) for index, reason in reasons.items() if reason is None)
    left_out = Counter(reason for reason in reasons.values() if reason is not None)
    return EncodedImage(records, absent, Skipped(objects=left_out))


@dataclass(frozen=True, eq=False)
class _Frame:
    """One decoded image and what its objects have in common."""

    image: SourceImage
    sequence_id: int
    path: str
    pixels: NDArray[np.uint8]
    objects: list[AnnotatedObject]
    outlines: list[SourcePolygons]
    common: EncodeSettings

    def encode_object(self, index: int) -> EncodedRecord:
        target, settings = self.objects[index], self.common.settings
        search_side, exemplar_side = settings.search_crop_side, settings.exemplar_crop_side
        search = tier_window(target.box_xyxy, search_side, settings)
        exemplar = tier_window(target.box_xyxy, exemplar_side, settings)
        boxes_xyxy = search.boxes_to_crop(self._boxes_xyxy, search_side)
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
            video_frame=self.image.video_frame,
            category_id=self._category_id(index),
            track_id=target.track_id,
            marks=target.marks,
            path=self.path,
            target_polygons=self._outlines_in(search, index),
            other_boxes_xyxy=boxes_xyxy[others],
            other_category_ids=np.array([self._category_id(other) for other in others], np.int32),
            other_track_ids=np.array([self.objects[other].track_id for other in others], np.int64),
            other_marks=np.array([int(self.objects[other].marks) for other in others], np.uint8),
            other_polygons=tuple(self._outlines_in(search, other) for other in others),
        )
        return EncodedRecord(record, self._crop(exemplar, exemplar_side), self._crop(search, search_side))

    @cached_property
    def _boxes_xyxy(self) -> NDArray[np.float64]:
        return np.array([item.box_xyxy for item in self.objects], np.float64)

    @cached_property
    def _fill(self) -> tuple[int, int, int]:
        return mean_colour(self.pixels)

    def _crop(self, window: SquareWindow, side: int) -> bytes:
        crop = cut_crop(self.pixels, window, side, self._fill)
        return encode_pixels(crop, self.common.codec, self.common.settings)

    def _category_id(self, index: int) -> int:
        category = self.objects[index].category
        return NO_CATEGORY if category is None else self.common.category_ids[category]

    def _outlines_in(self, window: SquareWindow, index: int) -> Polygons:
        side = self.common.settings.search_crop_side
        return tuple(window.to_crop(points, side).astype(np.float32) for points in self.outlines[index])


def _name_of(path: str, image: SourceImage) -> str:
    return path if image.video_frame is None else f"{path}, frame {image.video_frame}"


def _reason_to_skip(box_xyxy: BoxXyxy, size_hw: tuple[int, ...]) -> str | None:
    left, top, right, bottom = box_xyxy
    height, width = size_hw
    # x + 4 - x may be a hair under 4 in floating point.
    if not min(right - left, bottom - top) >= SMALLEST_TARGET - 1e-6:  # or not a number
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
