"""A COCO-style annotation file as an index: what there is and where, annotations parsed when they are asked for.

Half a gigabyte of annotations takes 50 MiB this way, and seconds instead of minutes to hand to another process.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedObject
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.coco_objects import read_object
from trackcli_cache.readers.json_elements import Element, iterate_elements, reread_element


@dataclass(frozen=True)
class CocoImage:
    """One entry of ``images`` that has annotations.

    Attributes:
        number: Its place in the file, from 0.
        file_name: As in the file: unchecked.
        objects: What is annotated in it, in the file's order.
    """

    number: int
    file_name: Any
    objects: tuple[AnnotatedObject, ...]


class CocoFile:
    """An indexed annotation file.

    Args:
        path: The file; read once from beginning to end.

    Raises:
        DatasetError: if it is not COCO's JSON.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        index = _Index(path)
        self._categories = index.categories
        self._file_names = index.file_names
        self._order = index.order()
        self._starts, self._ends = np.array(index.starts, np.int64), np.array(index.ends, np.int64)
        self._owners = np.array(index.owners, np.int64)[self._order]

    def __iter__(self) -> Iterator[CocoImage]:
        """Images with annotations in the file's order; objects are numbered through the file."""
        track_id = 0
        with self._path.open("rb") as file:
            for owner, rows in self._rows_by_image():
                first = track_id
                objects = tuple(self._read(file, int(row), first + place) for place, row in enumerate(rows))
                track_id += len(objects)
                yield CocoImage(owner[0], owner[1], objects)

    def _rows_by_image(self) -> Iterator[tuple[tuple[int, Any], NDArray[np.int64]]]:
        """Annotations' rows per image, images in the file's order, annotations in theirs."""
        bounds = np.flatnonzero(np.diff(self._owners)) + 1
        groups = {
            int(self._owners[rows[0]]): rows for rows in np.split(np.arange(len(self._owners)), bounds) if len(rows)
        }
        for owner, (number, file_name) in self._file_names.items():
            if owner in groups:
                yield (number, file_name), self._order[groups[owner]]

    def _read(self, file: BinaryIO, row: int, track_id: int) -> AnnotatedObject:
        entry = reread_element(file, int(self._starts[row]), int(self._ends[row]), self._path)
        return read_object(entry, self._categories, track_id, f"{self._path}, annotation {row}")


class _Index:
    """What one pass over the file finds. Image ids may be numbers or text and come before or after their use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[Any, int] = {}
        self.categories: dict[Any, str] = {}
        self.file_names: dict[int, tuple[int, Any]] = {}
        self.starts, self.ends, self.owners = array("q"), array("q"), array("q")
        for element in iterate_elements(path):
            if element.key == "annotations":
                self._add_annotation(element)
            elif element.key == "images":
                self._add_image(element)
            elif element.key == "categories":
                self._add_category(element)
        self._check()

    def order(self) -> NDArray[np.int64]:
        """Rows of annotations by image; those of one image in the file's order."""
        return np.argsort(np.array(self.owners, np.int64), kind="stable").astype(np.int64)

    def _add_annotation(self, element: Element) -> None:
        self.owners.append(self._key(element.value, "image_id", f"annotation {len(self.owners)}"))
        self.starts.append(element.start)
        self.ends.append(element.end)

    def _add_image(self, element: Element) -> None:
        number = len(self.file_names)
        key = self._key(element.value, "id", f"image {number}")
        if key in self.file_names:
            raise DatasetError(f"{self._path}, image {number}: id {element.value['id']!r:.80} is used twice")
        self.file_names[key] = (number, element.value.get("file_name"))

    def _add_category(self, element: Element) -> None:
        entry = element.value
        name = entry.get("name") if isinstance(entry, dict) else None
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(identity, int | str):
            raise DatasetError(f"{self._path}: category {entry!r:.80} has no id and name")
        self.categories[identity] = name

    def _key(self, entry: Any, name: str, where: str) -> int:
        identity = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(identity, int | str):
            raise DatasetError(f"{self._path}, {where}: {name} is {identity!r:.80}; expected a number or text")
        return self._keys.setdefault(identity, len(self._keys))

    def _check(self) -> None:
        if not self.file_names or not self.categories or not self.owners:
            raise DatasetError(
                f"{self._path} has {len(self.file_names)} images, {len(self.owners)} annotations and "
                f"{len(self.categories)} categories; expected COCO's object instances with some of each"
            )
        for row, owner in enumerate(self.owners):
            if owner not in self.file_names:
                identity = next(key for key, value in self._keys.items() if value == owner)
                raise DatasetError(f"{self._path}, annotation {row}: there is no image with id {identity!r:.80}")
