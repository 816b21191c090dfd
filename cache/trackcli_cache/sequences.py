"""One tracking sequence: numbered images, a box per line, perhaps a mask per image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import last_number, natural_key
from trackcli_cache.tables import read_boxes

GROUNDTRUTH = "groundtruth.txt"
IMAGE_FOLDER = "img"
MASK_FOLDER = "masks"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def is_sequence(folder: Path) -> bool:
    """Whether a folder looks like one sequence."""
    return (folder / GROUNDTRUTH).is_file() and (folder / IMAGE_FOLDER).is_dir()


def read_folder_sequence(folder: Path) -> AnnotatedSequence:
    """Read ``<folder>/{img/*.jpg, groundtruth.txt}`` and ``masks/`` if there is one; frames in natural order.

    Raises:
        DatasetError: if half of it is missing, the boxes cannot be read, or there is not one for each image.
    """
    truth, images = folder / GROUNDTRUTH, folder / IMAGE_FOLDER
    if not truth.is_file():
        raise DatasetError(f"{folder} has {IMAGE_FOLDER}/ but no {GROUNDTRUTH}; add it or move the folder away")
    if not images.is_dir():
        raise DatasetError(f"{folder} has {GROUNDTRUTH} but no {IMAGE_FOLDER}/ with its frames; add them as images")
    boxes = read_boxes(truth)
    frames = list_images(images)
    if len(frames) != len(boxes):
        raise DatasetError(
            f"{truth} has {len(boxes)} boxes for the {len(frames)} images in {images}; "
            "expected one line per image (nan,nan,nan,nan where the target is out of view)"
        )
    masks = {path.stem: path for path in list_images(folder / MASK_FOLDER)}
    return annotated_sequence(
        folder.name, frames, boxes, mask_paths=tuple(masks.get(path.stem) for path in frames) if masks else ()
    )


def annotated_sequence(
    name: str,
    frames: Sequence[Path],
    boxes_xywh: NDArray[np.float64],
    *,
    absent: NDArray[np.bool_] | None = None,
    marks: NDArray[np.uint8] | None = None,
    category: str | None = None,
    attributes: Sequence[str] = (),
    polygons_xy: NDArray[np.float64] | None = None,
    mask_paths: tuple[Path | None, ...] = (),
    truth_hidden: bool = False,
) -> AnnotatedSequence:
    """Fill in what follows from the rest.

    Args:
        name: Unique in its dataset.
        frames: T image files.
        boxes_xywh: ``(T, 4)``; with ``truth_hidden`` the first rows are enough.
        absent: ``(T,)`` the dataset's own marks; a frame without box is absent in any case.
        marks: ``(T,)`` :class:`~trackcli_cache.datasets.Mark` per frame.
        category: What the target is.
        attributes: What makes the sequence hard.
        polygons_xy: ``(T, 4, 2)``.
        mask_paths: One per frame or none.
        truth_hidden: Frames without box are not public instead of absent.
    """
    boxes = np.full((len(frames), 4), np.nan)
    boxes[: len(boxes_xywh)] = boxes_xywh
    missing = np.isnan(boxes).any(axis=1) & (not truth_hidden)
    return AnnotatedSequence(
        name=name,
        frames=tuple(frames),
        boxes_xywh=boxes,
        absent=missing if absent is None else missing | absent,
        marks=np.zeros(len(frames), np.uint8) if marks is None else marks,
        frame_numbers=frame_numbers(frames),
        category=category,
        attributes=tuple(attributes),
        polygons_xy=polygons_xy,
        mask_paths=mask_paths,
        truth_hidden=truth_hidden,
    )


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder in natural order, hidden ones left out; none if there is no such folder."""
    if not folder.is_dir():
        return []
    images = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return sorted(images, key=lambda path: natural_key(path.name))


def numbered_frames(folder: Path, first: int, last: int) -> list[Path]:
    """The images of a folder whose names end in the numbers ``first`` to ``last``, however many digits they have.

    Raises:
        DatasetError: if one is missing; the message names the first that is.
    """
    by_number = {last_number(path.stem): path for path in reversed(list_images(folder))}
    missing = [number for number in range(first, last + 1) if number not in by_number]
    if missing:
        raise DatasetError(
            f"{folder} lacks {len(missing)} of the frames {first} to {last}, such as number {missing[0]}; "
            "expected all of them: unpack the images again"
        )
    return [by_number[number] for number in range(first, last + 1)]


def frame_numbers(frames: Sequence[Path]) -> NDArray[np.int64]:
    """``(T,)`` the last number in each file name where these grow, otherwise each frame's place.

    So a video of which every tenth frame was kept still tells how far apart two frames are.
    """
    numbers = [last_number(path.stem) for path in frames]
    known = [number for number in numbers if number is not None and number < 2**31]
    if len(known) == len(frames) and all(before < after for before, after in pairwise(known)):
        return np.array(known, dtype=np.int64)
    return np.arange(len(frames), dtype=np.int64)
