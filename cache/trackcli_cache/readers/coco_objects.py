"""One COCO annotation: box, category, crowd, and its outline as polygons or run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedObject, Mark, RunLengthMask
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import finite, whole

LARGEST_SIDE = 1 << 15
SHORTEST_POLYGON = 6
"""Numbers; two points, which some COCO-style files hold, enclose nothing and are left out."""


TRACK_KEYS = ("track_id", "instance_id")
"""In TAO and BURST, and in mmtracking's COCO-VID."""


def read_object(entry: Any, categories: Mapping[Any, str], track_id: int | None, where: str) -> AnnotatedObject:
    """Turn an annotation into an object.

    Args:
        entry: The parsed JSON.
        categories: Names by id.
        track_id: What to number it; ``None`` in videos, where it carries a number itself (:data:`TRACK_KEYS`).
        where: For messages.

    Raises:
        DatasetError: if it has no box, an unknown category, or a mask that is none.
    """
    if not isinstance(entry, dict):
        raise DatasetError(f"{where} is {entry!r:.80}; expected an object with bbox and category_id")
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise DatasetError(f"{where}: bbox is {box!r:.80}; expected [x,y,w,h]")
    category_id = entry.get("category_id")
    if not isinstance(category_id, int | str) or category_id not in categories:
        raise DatasetError(f"{where}: category_id {category_id!r:.80} is not among the file's categories")
    x, y, width, height = (finite(number, where) for number in box)
    polygons, run_lengths = _read_segmentation(entry.get("segmentation"), where)
    ignored = bool(entry.get("iscrowd")) or bool(entry.get("ignore"))
    return AnnotatedObject(
        box_xyxy=(x, y, x + width, y + height),
        track_id=_read_track_id(entry, where) if track_id is None else track_id,
        category=categories[category_id],
        polygons=polygons,
        run_lengths=run_lengths,
        marks=Mark.IGNORED if ignored else Mark.NONE,
    )


def decode_counts(text: str, where: str) -> tuple[int, ...]:
    """Run lengths from COCO's compressed text.

    Each number is written in groups of five bits, lowest first, as characters from ``0`` (48) on; the sixth bit says
    that another group follows, the last group's fifth bit is the sign. From the fourth number on, the difference to the
    number two places before is written. Source: the format of ``cocoapi``'s ``maskApi``.

    Raises:
        DatasetError: if the text is no such number sequence.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise DatasetError(f"{where}: compressed run lengths hold {character!r}, which cannot be part of them")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise DatasetError(f"{where}: compressed run lengths end in the middle of a number")
    return tuple(counts)


def _read_track_id(entry: dict[str, Any], where: str) -> int:
    for key in TRACK_KEYS:
        if key in entry:
            return whole(entry[key], f"{where}, {key}")
    raise DatasetError(f"{where} belongs to a video but has no {' or '.join(TRACK_KEYS)}")


def _read_segmentation(outline: Any, where: str) -> tuple[tuple[NDArray[np.float64], ...], RunLengthMask | None]:
    if not outline:
        return (), None
    if isinstance(outline, list):
        polygons = (_read_polygon(points, where) for points in outline)
        return tuple(points for points in polygons if len(points) * 2 >= SHORTEST_POLYGON), None
    if isinstance(outline, dict):
        return (), _read_run_lengths(outline, where)
    raise DatasetError(f"{where}: segmentation {outline!r:.80} is neither a list of polygons nor run lengths")


def _read_polygon(points: Any, where: str) -> NDArray[np.float64]:
    if not isinstance(points, list) or len(points) % 2:
        raise DatasetError(f"{where}: {points!r:.80} is not a polygon; expected a flat list x,y,x,y,…")
    return np.array([finite(number, where) for number in points], np.float64).reshape(-1, 2)


def _read_run_lengths(outline: dict[str, Any], where: str) -> RunLengthMask:
    size, counts = outline.get("size"), outline.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(_is_whole(side, LARGEST_SIDE) for side in size):
        raise DatasetError(f"{where}: run lengths have size {size!r:.80}; expected [height, width]")
    height, width = size
    if isinstance(counts, str):
        counts = list(decode_counts(counts, where))
    if not isinstance(counts, list) or not all(_is_whole(count, height * width) for count in counts):
        raise DatasetError(f"{where}: run lengths are {counts!r:.80}; expected a list of numbers or COCO's text")
    if sum(counts) != height * width:
        raise DatasetError(f"{where}: run lengths cover {sum(counts)} pixels of an image of {height}x{width}")
    return RunLengthMask((height, width), tuple(counts))


def _is_whole(number: Any, most: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most
