"""A COCO-style annotation file as an index: what there is and where, annotations parsed when they are asked for.

Half a gigabyte of annotations takes some 50 MiB this way, also when a reader is handed to another process.
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
from trackcli_cache.readers.layout import whole

FRAME_KEYS = ("frame_id", "frame_index")


@dataclass(frozen=True, slots=True)
class CocoEntry:
    """One entry of ``images``.

    Attributes:
        number: Its place in the file, from 0.
        file_name: As in the file: unchecked.
        video_id: The video that it is a frame of, or ``None``: a still.
        frame: Number of the frame in its video.
    """

    number: int
    file_name: Any
    video_id: int | str | None = None
    frame: int = 0


@dataclass(frozen=True)
class CocoImage:
    """An image that has annotations.

    Attributes:
        number: Its place in the file, from 0.
        file_name: As in the file: unchecked.
        video: Name of the video that it is a frame of, or ``None``: a still.
        frame: Number of the frame in its video.
        objects: What is annotated in it, in the file's order.
    """

    number: int
    file_name: Any
    video: str | None
    frame: int
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
        self._entries = index.sorted_entries()
        self._videos = index.videos
        self._order = index.order()
        self._starts, self._ends = np.array(index.starts, np.int64), np.array(index.ends, np.int64)
        self._owners = np.array(index.owners, np.int64)[self._order]

    def __iter__(self) -> Iterator[CocoImage]:
        """Images with annotations: stills in the file's order, objects numbered through the file; then videos."""
        stills = 0
        with self._path.open("rb") as file:
            for entry, rows in self._rows_by_image():
                is_still = entry.video_id is None
                objects = tuple(
                    self._read(file, int(row), stills + place if is_still else None) for place, row in enumerate(rows)
                )
                stills += len(objects) if is_still else 0
                video = None if is_still else self._videos.get(entry.video_id, str(entry.video_id))
                yield CocoImage(entry.number, entry.file_name, video, entry.frame, objects)

    def _rows_by_image(self) -> Iterator[tuple[CocoEntry, NDArray[np.int64]]]:
        """Annotations' rows per image, those of one image in the file's order."""
        bounds = np.flatnonzero(np.diff(self._owners)) + 1
        pieces = np.split(np.arange(len(self._owners)), bounds)
        groups = {int(self._owners[rows[0]]): rows for rows in pieces}
        for owner, entry in self._entries:
            if owner in groups:
                yield entry, self._order[groups[owner]]

    def _read(self, file: BinaryIO, row: int, track_id: int | None) -> AnnotatedObject:
        entry = reread_element(file, int(self._starts[row]), int(self._ends[row]), self._path)
        return read_object(entry, self._categories, track_id, f"{self._path}, annotation {row}")


class _Index:
    """What one pass over the file finds. Image ids may be numbers or text and come before or after their use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[Any, int] = {}
        self.categories: dict[Any, str] = {}
        self.entries: dict[int, CocoEntry] = {}
        self.videos: dict[Any, str] = {}
        self.starts, self.ends, self.owners = array("q"), array("q"), array("q")
        for element in iterate_elements(path):
            if element.key == "annotations":
                self._add_annotation(element)
            elif element.key == "images":
                self._add_image(element)
            elif element.key == "categories":
                self._add_category(element)
            elif element.key == "videos":
                self._add_video(element)
        self._check()

    def sorted_entries(self) -> list[tuple[int, CocoEntry]]:
        """Images with their key: stills in the file's order, then videos in order of appearance, frame by frame."""
        places: dict[Any, int] = {None: -1}
        for entry in self.entries.values():
            places.setdefault(entry.video_id, len(places))
        return sorted(self.entries.items(), key=lambda item: (places[item[1].video_id], item[1].frame, item[1].number))

    def order(self) -> NDArray[np.int64]:
        """Rows of annotations by image; those of one image in the file's order."""
        return np.argsort(np.array(self.owners, np.int64), kind="stable").astype(np.int64)

    def _add_annotation(self, element: Element) -> None:
        self.owners.append(self._key(element.value, "image_id", f"annotation {len(self.owners)}"))
        self.starts.append(element.start)
        self.ends.append(element.end)

    def _add_image(self, element: Element) -> None:
        number = len(self.entries)
        where = f"image {number}"
        key = self._key(element.value, "id", where)
        if key in self.entries:
            raise DatasetError(f"{self._path}, {where}: id {element.value['id']!r:.80} is used twice")
        self.entries[key] = self._entry(element.value, number, f"{self._path}, {where}")

    def _entry(self, value: dict[str, Any], number: int, where: str) -> CocoEntry:
        file_name, video_id = value.get("file_name"), value.get("video_id")
        if video_id is None:
            return CocoEntry(number, file_name)
        if not isinstance(video_id, int | str):
            raise DatasetError(f"{where}: video_id is {video_id!r:.80}; expected a number or text")
        frame = next((value[key] for key in FRAME_KEYS if key in value), None)
        return CocoEntry(number, file_name, video_id, whole(frame, f"{where}, {' or '.join(FRAME_KEYS)}"))

    def _add_video(self, element: Element) -> None:
        entry = element.value
        name = entry.get("name") if isinstance(entry, dict) else None
        identity = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(identity, int | str) or name in self.videos.values():
            raise DatasetError(f"{self._path}: video {entry!r:.80} has no id and name of its own")
        self.videos[identity] = name

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
        if not self.entries or not self.categories or not self.owners:
            raise DatasetError(
                f"{self._path} has {len(self.entries)} images, {len(self.owners)} annotations and "
                f"{len(self.categories)} categories; expected COCO's object instances with some of each"
            )
        for row, owner in enumerate(self.owners):
            if owner not in self.entries:
                identity = next(key for key, value in self._keys.items() if value == owner)
                raise DatasetError(f"{self._path}, annotation {row}: there is no image with id {identity!r:.80}")
