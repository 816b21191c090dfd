"""``--init``: boxes as people write them, and one clear line about each that cannot be meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trackcli_cache.numerals import to_float

from trackcli.errors import InputDataError, UsageError

EXAMPLE = "for example --init 120,80,60,90"

_SEPARATORS = re.compile(r"\s*[,;]\s*|\s+")
_LONGEST_LINE = 4096  # a polygon of eight numbers is far shorter; what is longer is no groundtruth

LARGEST_NUMBER = 1e6
"""Pixels; no image is so large, and single precision still tells neighbouring pixels apart."""

BoxXywh = tuple[float, float, float, float]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class InitBox:
    """A target as given on the command line.

    Attributes:
        name: The name given, or the target's number from 1.
        box_xywh: x, y, w, h in pixels of the first frame, top-left, 0-based.
        given: What to call the box in messages.
        file: Where it was read from; ``None`` if it was typed.
    """

    name: str
    box_xywh: BoxXywh
    given: str
    file: Path | None = None


def parse_inits(values: Sequence[str], note: Tell) -> tuple[InitBox, ...]:
    """Read the values of ``--init``.

    Each is ``x,y,w,h``, ``NAME=x,y,w,h``, or a file whose first line holds a box; commas, semicolons, blanks and tabs
    separate. Eight numbers are a polygon, replaced by its bounding box.

    Args:
        values: As typed.
        note: Takes one line about each box that was converted.

    Raises:
        UsageError: if there is none, one cannot be read, or two have the same name.
        InputDataError: if a box has no size, is not finite, or has a number that no image has pixels for.
    """
    if not values:
        raise UsageError(f"no target is given; add its box in the first frame as --init x,y,w,h in pixels, {EXAMPLE}")
    boxes = tuple(_parse_init(value, str(number), note) for number, value in enumerate(values, start=1))
    _check_names(boxes)
    return boxes


def check_boxes(boxes: Sequence[InitBox], size_wh: tuple[int, int], warn: Tell) -> None:
    """Compare boxes with the image they are meant for; one that overlaps it is fine.

    Args:
        boxes: What :func:`parse_inits` returned.
        size_wh: The first frame's width and height in pixels.
        warn: Takes a line about each box that was probably meant as two corners.

    Raises:
        InputDataError: if a box lies outside the image.
    """
    width, height = size_wh
    for box in boxes:
        x, y, w, h = box.box_xywh
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise InputDataError(
                f"{box.given} lies outside the image, which is {width}x{height} pixels; "
                "expected x,y,w,h of a box that overlaps it"
            )
        reaches_out = x + w > width or y + h > height
        fits_as_corners = 0 <= x < w <= width and 0 <= y < h <= height
        if reaches_out and fits_as_corners:
            as_xywh = ",".join(f"{number:.10g}" for number in (x, y, w - x, h - y))
            warn(
                f"{box.given} reaches out of the {width}x{height} image; if these are two corners (x1,y1,x2,y2), "
                f"give --init {as_xywh}"
            )


def _parse_init(value: str, number: str, note: Tell) -> InitBox:
    typed = value
    # A file wins, so that one with "=" in its name can be given.
    if not _is_file(value) and "=" in value:
        name, value = value.split("=", maxsplit=1)
        name = name.strip()
        if not name or not name.isprintable():
            raise UsageError(f"--init {name}={value} has no usable name; expected NAME=x,y,w,h with printable letters")
    else:
        name = number
    if _is_file(value):
        return InitBox(name, *_box_from_file(Path(value), note), file=Path(value))
    given = f"--init {value}"
    numbers = _parse_numbers(value)
    if numbers is None:
        raise UsageError(
            f"--init {typed} is neither a box nor a file that exists; expected x,y,w,h in pixels, {EXAMPLE}"
        )
    return InitBox(name, _box_from_numbers(numbers, given, note), given)


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # too long for a path, or a name that no path has
        return False


def _box_from_file(path: Path, note: Tell) -> tuple[BoxXywh, str]:
    given = f"line 1 of '{path}'"
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            line = lines.readline(_LONGEST_LINE)
    except OSError as error:
        raise InputDataError(f"--init file '{path}' cannot be read: {error.strerror}") from error
    numbers = _parse_numbers(line)
    if numbers is None:
        raise InputDataError(f"{given} holds no box; expected x,y,w,h, or the eight numbers of a polygon")
    return _box_from_numbers(numbers, given, note), given


def _parse_numbers(text: str) -> list[float] | None:
    try:
        return [to_float(part) for part in _SEPARATORS.split(text.strip())]
    except ValueError:
        return None


def _box_from_numbers(numbers: Sequence[float], given: str, note: Tell) -> BoxXywh:
    if len(numbers) not in {4, 8}:
        count = f"{len(numbers)} number{'s' if len(numbers) > 1 else ''}"
        raise UsageError(f"{given} has {count}; expected four, x,y,w,h in pixels, {EXAMPLE}")
    if not all(map(math.isfinite, numbers)):
        raise InputDataError(f"{given} has a number that is not finite; expected x,y,w,h in pixels, {EXAMPLE}")
    if max(map(abs, numbers)) > LARGEST_NUMBER:
        raise InputDataError(
            f"{given} has a number beyond {LARGEST_NUMBER:.0f}; expected x,y,w,h in pixels of the image, {EXAMPLE}"
        )
    if len(numbers) == 8:
        note(f"{given} is a polygon; its bounding box is used")
        box = _bounding_box(numbers)
    else:
        box = (numbers[0], numbers[1], numbers[2], numbers[3])
    for side, length in (("width", box[2]), ("height", box[3])):
        if length <= 0:
            fault = f"zero {side}" if length == 0 else f"negative {side}"
            raise InputDataError(f"{given} has {fault}; expected x,y,w,h with w and h above 0")
    return box


def _bounding_box(polygon: Sequence[float]) -> BoxXywh:
    """Box around the corners x1, y1, …, x4, y4."""
    xs, ys = polygon[0::2], polygon[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _check_names(boxes: Sequence[InitBox]) -> None:
    seen: set[str] = set()
    for box in boxes:
        if box.name in seen:
            raise UsageError(
                f"two targets are called '{box.name}'; expected different names, as in --init NAME=x,y,w,h"
            )
        seen.add(box.name)
