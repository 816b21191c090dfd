"""What a dataset reader yields: images with the objects annotated in them, in a stable order, nothing decoded yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.windows import BoxXyxy


class Mark(IntFlag):
    """What a dataset says about an object in a frame, beside its box. Kept in caches as a byte."""

    NONE = 0
    OCCLUDED = 1
    """Partly hidden."""
    FULLY_OCCLUDED = 2
    """Hidden altogether; the box, if there is one, is a guess."""
    OUT_OF_VIEW = 4
    """Outside the image."""
    CUT_BY_IMAGE = 8
    """Reaches beyond the image's border; the box is of the visible part or a guess."""
    IGNORED = 16
    """A crowd, a reflection, an unreliable box: never a target, but known to be there."""


@dataclass(frozen=True, eq=False)
class RunLengthMask:
    """An object's mask as COCO's uncompressed run lengths.

    Attributes:
        size_hw: Height and width of the image.
        counts: Lengths of runs of 0, 1, 0, … down the columns, then to the right.
    """

    size_hw: tuple[int, int]
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class AnnotatedObject:
    """One object in one image.

    Attributes:
        box_xyxy: Float source pixels, half-open. Without meaning when ``absent``.
        track_id: Tells the objects of a sequence apart; the same object keeps it from frame to frame.
        category: The dataset's name for what it is, or ``None``.
        polygons: Outlines in source pixels, each ``(N, 2)`` float64 x, y; several when the object is in parts.
        mask_path: A mask image of the same size, read only when it is needed.
        mask_label: The object's number in an indexed mask (DAVIS, YouTube-VOS); ``None``: its non-zero pixels.
        run_lengths: The mask as run lengths, instead of an image of it.
        absent: Not in view in this frame; ``marks`` may say why.
        marks: What else the dataset says.
    """

    box_xyxy: BoxXyxy
    track_id: int
    category: str | None = None
    polygons: tuple[NDArray[np.float64], ...] = ()
    mask_path: Path | None = None
    mask_label: int | None = None
    run_lengths: RunLengthMask | None = None
    absent: bool = False
    marks: Mark = Mark.NONE


@dataclass(frozen=True, eq=False)
class SourceImage:
    """One image of a dataset, not decoded.

    Attributes:
        path: The image file, under the reader's root; a video file if ``video_frame`` is given.
        sequence: Name of the video, or of the collection a still belongs to.
        frame_number: Place in the sequence; larger is later. Differences are in frames of the original video.
        objects: Everything that is annotated, absent objects included.
        still: The sequence is a collection of unrelated images and not a video.
        video_frame: Number of the frame in the video file ``path``, from 0.
    """

    path: Path
    sequence: str
    frame_number: int
    objects: tuple[AnnotatedObject, ...]
    still: bool = False
    video_frame: int | None = None


class DatasetReader(Protocol):
    """Reads one layout of dataset. Cheap: it parses annotations and leaves images alone.

    ``images()`` may be called several times and yields the same images in the same order each time; all images of
    a sequence follow one another.
    """

    @property
    def name(self) -> str:
        """Name of the layout, as on the command line."""
        ...

    @property
    def root(self) -> Path:
        """Folder that all paths lie under."""
        ...

    def images(self) -> Iterator[SourceImage]:
        """All annotated images, in a stable order.

        Raises:
            DatasetError: if an annotation cannot be read; the message names file and line.
        """
        ...


@dataclass(frozen=True, eq=False)
class AnnotatedSequence:
    """One video with one target: what tracking benchmarks are made of, and what ``images()`` is derived from.

    Attributes:
        name: Unique in its dataset; result files are named after it.
        frames: T image files, in order.
        boxes_xywh: ``(T, 4)`` float64, 0-based top-left, image pixels, exactly the numbers of the file (shifted by one
            where the dataset counts pixels from 1); NaN where there is no box.
        absent: ``(T,)`` bool: the target is not in view, by the dataset's own mark or for want of a box.
        marks: ``(T,)`` uint8, :class:`Mark` per frame.
        frame_numbers: ``(T,)`` int64, in frames of the original video.
        category: What the target is, or ``None``.
        attributes: The dataset's abbreviations for what makes it hard (``IV``, ``SV``, …).
        polygons_xy: ``(T, 4, 2)`` float64 rotated truth, NaN where unknown; ``None`` if the dataset has boxes.
        mask_paths: One mask image or ``None`` per frame; empty if the dataset has none.
        truth_hidden: Only the first box is public (GOT-10k test, TrackingNet test): the rest is NaN but not absent.
    """

    name: str
    frames: tuple[Path, ...]
    boxes_xywh: NDArray[np.float64]
    absent: NDArray[np.bool_]
    marks: NDArray[np.uint8]
    frame_numbers: NDArray[np.int64]
    category: str | None = None
    attributes: tuple[str, ...] = ()
    polygons_xy: NDArray[np.float64] | None = None
    mask_paths: tuple[Path | None, ...] = ()
    truth_hidden: bool = False

    def __len__(self) -> int:
        return len(self.frames)


class SequenceDataset(DatasetReader, Protocol):
    """A reader of single-target videos. Sequences are read one at a time; names are known without reading them."""

    def sequence_names(self) -> Sequence[str]:
        """Names of all sequences, in the dataset's order."""
        ...

    def read_sequence(self, name: str) -> AnnotatedSequence:
        """Read one sequence.

        Raises:
            DatasetError: if it is incomplete or an annotation cannot be read; the message names file and line.
        """
        ...


def sequence_images(sequence: AnnotatedSequence) -> Iterator[SourceImage]:
    """The frames of a sequence as images with one object, numbered 0, each."""
    masks = sequence.mask_paths or (None,) * len(sequence)
    for index, path in enumerate(sequence.frames):
        x, y, width, height = (float(value) for value in sequence.boxes_xywh[index])
        gone = bool(sequence.absent[index]) or not width > 0 or not height > 0
        target = AnnotatedObject(
            box_xyxy=(0.0, 0.0, 0.0, 0.0) if gone else (x, y, x + width, y + height),
            track_id=0,
            category=sequence.category,
            mask_path=None if gone else masks[index],
            absent=gone,
            marks=Mark(int(sequence.marks[index])),
        )
        yield SourceImage(path, sequence.name, int(sequence.frame_numbers[index]), (target,))
