"""One record: everything that is known about one object in one image, without pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import Mark

Polygons = tuple[NDArray[np.float32], ...]
NO_CATEGORY = -1


@dataclass(frozen=True, eq=False)
class Record:
    """An object in an image, as the cache keeps it. Crop pixels are those of the search tier.

    Attributes:
        box_xyxy: ``(4,)`` float64, the target in search-crop pixels, not clipped.
        search_window_xyxy: ``(4,)`` int64, the square of source pixels that became the search crop.
        exemplar_window_xyxy: ``(4,)`` int64, the square of source pixels that became the exemplar crop.
        search_crop_side: Side of the search crop in pixels.
        exemplar_crop_side: Side of the exemplar crop in pixels.
        image_size_wh: Width and height of the source image in pixels.
        sequence_id: Index into the cache's ``sequences``.
        frame_number: Place in the sequence, in frames of the original video.
        category_id: Index into the cache's ``categories``, or -1.
        track_id: Which object of the sequence this is.
        path: The source image or video, relative to the dataset's root, with forward slashes.
        target_polygons: Outlines of the target, each ``(N, 2)`` float32 search-crop pixels; empty if unknown.
        other_boxes_xyxy: ``(M, 4)`` float64, every other annotated box that overlaps the search crop, in its pixels.
        other_category_ids: ``(M,)`` int32, -1 where there is none.
        other_track_ids: ``(M,)`` int64.
        other_polygons: M tuples of outlines, like ``target_polygons``.
        other_marks: ``(M,)`` uint8, :class:`~trackcli_cache.datasets.Mark`; those to be ignored are here too.
        marks: What the dataset says about the target, beside its box.
        video_frame: Number of the frame in the video file ``path``, from 0; ``None`` if ``path`` is an image.
    """

    box_xyxy: NDArray[np.float64]
    search_window_xyxy: NDArray[np.int64]
    exemplar_window_xyxy: NDArray[np.int64]
    search_crop_side: int
    exemplar_crop_side: int
    image_size_wh: tuple[int, int]
    sequence_id: int
    frame_number: int
    category_id: int
    track_id: int
    path: str
    target_polygons: Polygons
    other_boxes_xyxy: NDArray[np.float64]
    other_category_ids: NDArray[np.int32]
    other_track_ids: NDArray[np.int64]
    other_polygons: tuple[Polygons, ...]
    other_marks: NDArray[np.uint8]
    marks: Mark = Mark.NONE
    video_frame: int | None = None

    @property
    def search_scale(self) -> float:
        """Source pixels per search-crop pixel."""
        left, _, right, _ = self.search_window_xyxy
        return float(right - left) / self.search_crop_side

    @property
    def source_box_xyxy(self) -> NDArray[np.float64]:
        """``(4,)`` float64: the target's box in source-image pixels."""
        return self.box_xyxy * self.search_scale + _corner_twice(self.search_window_xyxy)

    @property
    def exemplar_box_xyxy(self) -> NDArray[np.float64]:
        """``(4,)`` float64: the target's box in exemplar-crop pixels."""
        left, _, right, _ = self.exemplar_window_xyxy
        crop_per_source = self.exemplar_crop_side / float(right - left)
        return (self.source_box_xyxy - _corner_twice(self.exemplar_window_xyxy)) * crop_per_source


@dataclass(frozen=True, eq=False)
class EncodedRecord:
    """A record with the bytes of its two crops, ready to be written."""

    record: Record
    exemplar: bytes
    search: bytes


@dataclass(frozen=True)
class AbsentObject:
    """An object that is not in view in a frame.

    Attributes:
        sequence_id: Index of the sequence.
        frame_number: The frame.
        track_id: The object.
        marks: What the dataset says about it.
    """

    sequence_id: int
    frame_number: int
    track_id: int
    marks: int


def _corner_twice(window_xyxy: NDArray[np.int64]) -> NDArray[np.float64]:
    """A window's top left corner as x, y, x, y, to shift a box by."""
    return np.tile(window_xyxy[:2], 2).astype(np.float64)
