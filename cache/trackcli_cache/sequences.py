"""One tracking sequence in a folder: numbered images, a box per line, perhaps a mask per image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import last_number, natural_key
from trackcli_cache.windows import BoxXyxy

GROUNDTRUTH = "groundtruth.txt"
IMAGE_FOLDER = "img"
MASK_FOLDER = "masks"
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_NO_BOX: BoxXyxy = (0.0, 0.0, 0.0, 0.0)
_SEPARATOR = re.compile(r"\s*,\s*|\s+")


def is_sequence(folder: Path) -> bool:
    """Whether a folder looks like one sequence."""
    return (folder / GROUNDTRUTH).is_file() and (folder / IMAGE_FOLDER).is_dir()


def read_sequence(folder: Path) -> Iterator[SourceImage]:
    """Yield the frames of one sequence in natural order.

    A frame's number is the last number in its file name where these grow from file to file (so that a video of which
    every tenth frame was kept still tells how far apart two frames are), otherwise its place in the list.

    Raises:
        DatasetError: if the boxes cannot be read, or there is not one for each image.
    """
    images = list_images(folder / IMAGE_FOLDER)
    boxes = read_groundtruth(folder / GROUNDTRUTH)
    if len(images) != len(boxes):
        raise DatasetError(
            f"{folder / GROUNDTRUTH} has {len(boxes)} boxes for the {len(images)} images in {folder / IMAGE_FOLDER}; "
            "expected one line per image (nan,nan,nan,nan where the target is out of view)"
        )
    masks = {path.stem: path for path in list_images(folder / MASK_FOLDER)}
    for path, number, box in zip(images, _frame_numbers(images), boxes, strict=True):
        target = AnnotatedObject(
            box_xyxy=box or _NO_BOX,
            track_id=0,
            mask_path=masks.get(path.stem) if box else None,
            absent=box is None,
        )
        yield SourceImage(path=path, sequence=folder.name, frame_number=number, objects=(target,))


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder in natural order; none if there is no such folder."""
    if not folder.is_dir():
        return []
    images = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(images, key=lambda path: natural_key(path.name))


def read_groundtruth(path: Path) -> list[BoxXyxy | None]:
    """Read ``x,y,w,h`` lines, separated by commas, tabs or spaces.

    Returns:
        One box per line in float xyxy pixels, or ``None`` where the target is out of view: a line with ``nan``, or
        with a width or height of zero or less.

    Raises:
        DatasetError: if a line is not four numbers; the message names file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); expected a text file with one x,y,w,h per line"
        ) from error
    return [_parse_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _parse_line(line: str, where: str) -> BoxXyxy | None:
    try:
        x, y, width, height = (float(part) for part in _SEPARATOR.split(line.strip()))
    except ValueError:
        raise DatasetError(f"{where}: {line.strip()[:80]!r} is not a box; expected x,y,w,h in pixels") from None
    numbers = (x, y, width, height)
    if any(math.isnan(number) for number in numbers) or width <= 0 or height <= 0:
        return None
    if any(math.isinf(number) for number in numbers):
        raise DatasetError(f"{where}: {line.strip()[:80]!r} holds an infinite number; expected x,y,w,h in pixels")
    return x, y, x + width, y + height


def _frame_numbers(images: list[Path]) -> list[int]:
    numbers = [last_number(path.stem) for path in images]
    known = [number for number in numbers if number is not None and number < 2**31]
    if len(known) == len(images) and all(before < after for before, after in pairwise(known)):
        return known
    return list(range(len(images)))
