"""From one annotated image to its records: decode, cut two crops per target, express all labels in the search crop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

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

_NO_FILL = (0, 0, 0)
_NOBODY = np.zeros(0, np.intp)


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
    records: list[EncodedRecord] = []
    left_out: Counter[str] = Counter()
    for index in targets:
        problem = _reason_to_skip(visible[index].box_xyxy, pixels.shape[:2])
        if problem is None:
            records.append(frame.encode_object(index))
        else:
            left_out[problem] += 1
    return EncodedImage(tuple(records), absent, Skipped(objects=left_out))


class _Labels(NamedTuple):
    """What is known about N objects of an image, as arrays."""

    boxes_xyxy: NDArray[np.float64]
    category_ids: NDArray[np.int32]
    track_ids: NDArray[np.int64]
    marks: NDArray[np.uint8]


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
        boxes_xyxy = search.boxes_to_crop(self._labels.boxes_xyxy, search_side)
        others = _overlapping(boxes_xyxy, search_side, besides=index)
        target_outlines, *other_outlines = self._outlines_in(search, [index, *others.tolist()])
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
            category_id=int(self._labels.category_ids[index]),
            track_id=target.track_id,
            marks=target.marks,
            path=self.path,
            target_polygons=target_outlines,
            other_boxes_xyxy=boxes_xyxy[others],
            other_category_ids=self._labels.category_ids[others],
            other_track_ids=self._labels.track_ids[others],
            other_marks=self._labels.marks[others],
            other_polygons=tuple(other_outlines),
        )
        return EncodedRecord(record, self._crop(exemplar, exemplar_side), self._crop(search, search_side))

    @cached_property
    def _labels(self) -> _Labels:
        ids = self.common.category_ids
        names = [item.category for item in self.objects]
        return _Labels(
            boxes_xyxy=np.array([item.box_xyxy for item in self.objects], np.float64),
            category_ids=np.array([NO_CATEGORY if name is None else ids[name] for name in names], np.int32),
            track_ids=np.array([item.track_id for item in self.objects], np.int64),
            marks=np.array([int(item.marks) for item in self.objects], np.uint8),
        )

    @cached_property
    def _fill(self) -> tuple[int, int, int]:
        return mean_colour(self.pixels)

    def _crop(self, window: SquareWindow, side: int) -> bytes:
        fill = _NO_FILL if window.is_inside(self.pixels.shape[:2]) else self._fill
        crop = cut_crop(self.pixels, window, side, fill)
        return encode_pixels(crop, self.common.codec, self.common.settings)

    def _outlines_in(self, window: SquareWindow, indices: list[int]) -> list[Polygons]:
        """The outlines of some objects in crop pixels; all points are moved at once."""
        pieces = [points for index in indices for points in self.outlines[index]]
        if not pieces:
            return [()] * len(indices)
        moved = window.to_crop(np.concatenate(pieces), self.common.settings.search_crop_side).astype(np.float32)
        stops = accumulate(map(len, pieces))
        moved_pieces = iter([moved[stop - len(points) : stop] for points, stop in zip(pieces, stops, strict=True)])
        return [tuple(islice(moved_pieces, len(self.outlines[index]))) for index in indices]


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


def _overlapping(boxes_xyxy: NDArray[np.float64], side: int, *, besides: int) -> NDArray[np.intp]:
    """Indices of boxes in crop pixels that share some area with the crop, without that of the target itself."""
    if len(boxes_xyxy) == 1:  # most videos: whatever is done for every frame is felt
        return _NOBODY
    first, last = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    inside: NDArray[np.bool_] = np.all(np.maximum(first, 0) < np.minimum(last, side), axis=1)
    inside[besides] = False
    return np.flatnonzero(inside)
