"""A collection of still images with boxes in ``boxes.json`` and, for some, outlines in ``polys.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.sequences import IMAGE_FOLDER

BOXES = "boxes.json"
POLYGONS = "polys.json"
SEGMENT_BOXES = "segments_boxes.json"
SEGMENT_POLYGONS = "segments_polys.json"

Polygons = tuple[NDArray[np.float64], ...]

_NUMBERS = {int, float, bool}
_LARGEST = 1e9


def is_stills(folder: Path) -> bool:
    """Whether a folder looks like a collection of stills."""
    return (folder / BOXES).is_file() and (folder / IMAGE_FOLDER).is_dir()


def read_stills(folder: Path) -> Iterator[SourceImage]:
    """Yield the images of a collection that have objects, in natural order of their names.

    Objects are numbered through the collection, so that a track id names one object in one image. Where
    ``boxes.json`` holds no object at all, the regions of ``segments_boxes.json`` are read instead, if there are any.

    Raises:
        DatasetError: if a file is not the JSON that is expected; the message names file, image and object.
    """
    boxes_path, polygons_path = _choose_files(folder)
    boxes = _read_json(boxes_path)
    polygons = _read_json(polygons_path) if polygons_path.is_file() else {}
    track_id = 0
    for number, name in enumerate(sorted(boxes, key=natural_key)):
        _check_file_name(name, boxes_path)
        objects = _read_objects(boxes[name], polygons.get(name), f"{boxes_path}, image {name!r}", track_id)
        track_id += len(objects)
        if objects:
            yield SourceImage(folder / IMAGE_FOLDER / name, folder.name, number, objects, still=True)


def _choose_files(folder: Path) -> tuple[Path, Path]:
    if (folder / SEGMENT_BOXES).is_file() and not any(_read_json(folder / BOXES).values()):
        return folder / SEGMENT_BOXES, folder / SEGMENT_POLYGONS
    return folder / BOXES, folder / POLYGONS


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds a JSON {type(content).__name__}; expected an object with one entry per image")
    return content


def _check_file_name(name: str, where: Path) -> None:
    """Annotations must not lead out of the image folder."""
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise DatasetError(f"{where}: {name!r} is not a file name; expected a name inside {IMAGE_FOLDER}/")


def _read_objects(boxes: Any, polygons: Any, where: str, first_track_id: int) -> tuple[AnnotatedObject, ...]:
    if not isinstance(boxes, list):
        raise DatasetError(f"{where}: expected a list of [x,y,w,h,category], found {boxes!r:.80}")
    if polygons is None:
        polygons = [None] * len(boxes)
    if not isinstance(polygons, list) or len(polygons) != len(boxes):
        raise DatasetError(f"{where}: {POLYGONS} has no list of the same length ({len(boxes)}) for this image")
    return tuple(
        _read_object(box, outline, f"{where}, object {index}", first_track_id + index)
        for index, (box, outline) in enumerate(zip(boxes, polygons, strict=True))
    )


def _read_object(box: Any, outline: Any, where: str, track_id: int) -> AnnotatedObject:
    if not isinstance(box, list) or len(box) not in {4, 5} or not _are_numbers(box[:4]) or min(box[2:4]) < 0:
        raise DatasetError(f"{where}: {box!r:.80} is not a box; expected [x,y,w,h,category] with w and h of at least 0")
    category = box[4] if len(box) == 5 else None
    if not isinstance(category, str | None):
        raise DatasetError(f"{where}: category {category!r:.80} is not text; expected a name or null")
    x, y, width, height = (float(number) for number in box[:4])
    return AnnotatedObject((x, y, x + width, y + height), track_id, category, _read_polygons(outline, where))


def _read_polygons(outline: Any, where: str) -> Polygons:
    if outline is None:
        return ()
    if not isinstance(outline, list):
        raise DatasetError(f"{where}: polygons {outline!r:.80} are not a list of flat lists x,y,x,y,…")
    return tuple(_read_polygon(points, where) for points in outline)


def _read_polygon(points: Any, where: str) -> NDArray[np.float64]:
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2 or not _are_numbers(points):
        raise DatasetError(f"{where}: {points!r:.80} is not a polygon; expected x,y,x,y,… of at least three points")
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _are_numbers(values: list[Any]) -> bool:
    """Whether all are finite, sensible numbers. Outlines have thousands: nothing here runs Python for each of them."""
    return set(map(type, values)) <= _NUMBERS and all(map(_LARGEST.__gt__, map(abs, values)))  # false for NaN
