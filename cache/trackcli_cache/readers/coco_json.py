"""Anybody's data in COCO's format: one JSON file and its images, as labelling tools export them.

The file is the first of ``annotations.json``, ``_annotations.coco.json`` (Roboflow), the only ``*.json`` in
``annotations/``, the only ``*.json`` in the root. Images are in ``images/`` if there is such a folder, else in the
root; file names may hold folders. Boxes, polygons, run lengths and crowds are read as COCO's own; ``ignore`` counts
like ``iscrowd``.

Files with videos, as mmtracking (COCO-VID), TAO and BURST write them, become sequences: images with ``video_id``
and ``frame_id`` or ``frame_index``, annotations with ``instance_id`` or ``track_id``. All other images are stills.

Source of the format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.coco_file import CocoFile
from trackcli_cache.readers.layout import files_with, inner_path, open_root, wrong_root
from trackcli_cache.readers.trees import COCO_JSON

FILE_NAMES = ("annotations.json", "_annotations.coco.json")


class CocoJson:
    """Reads one file: its stills as one collection, named after the root, and its videos.

    Args:
        root: The folder that holds the file.
        split: There are none.

    Raises:
        DatasetError: if there is no such file, or several that may be meant.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        self._root = open_root(root, COCO_JSON)
        self._file = _find_file(self._root)
        self._images = self._root / "images" if (self._root / "images").is_dir() else self._root

    @property
    def name(self) -> str:
        """``coco-json``."""
        return "coco-json"

    @property
    def root(self) -> Path:
        """The folder that holds the file, absolute."""
        return self._root

    @cached_property
    def _index(self) -> CocoFile:
        return CocoFile(self._file)

    def images(self) -> Iterator[SourceImage]:
        """All images with annotations: stills in the file's order, then videos frame by frame."""
        for image in self._index:
            path = inner_path(self._images, image.file_name, f"{self._file}, image {image.number}")
            if image.video is None:
                yield SourceImage(path, self._root.name, image.number, image.objects, still=True)
            else:
                yield SourceImage(path, image.video, image.frame, image.objects)


def _find_file(root: Path) -> Path:
    for name in FILE_NAMES:
        if (root / name).is_file():
            return root / name
    for folder in (root / "annotations", root):
        found = files_with(folder, ".json")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DatasetError(f"{folder} holds several JSON files ({names}); name the one to read annotations.json")
        if found:
            return found[0]
    raise wrong_root("annotations.json, _annotations.coco.json, annotations/*.json or *.json", root, COCO_JSON)
