"""COCO: stills with boxes and outlines of 80 classes.

Boxes and polygons are continuous pixels from 0 and are taken as they are. Crowds (``iscrowd``) become ``IGNORED``;
their run lengths are kept, plain or compressed. Images without annotations (1,021 of train2017, 48 of val2017) are
passed over.

Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014; https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from trackcli_cache.datasets import SourceImage
from trackcli_cache.readers.coco_file import CocoFile
from trackcli_cache.readers.layout import inner_path, open_root, wrong_root
from trackcli_cache.readers.trees import COCO


class Coco:
    """Reads one split as one collection of stills.

    Args:
        root: The folder that holds ``annotations/``.
        split: ``train2017``, ``val2017``, ``train2014`` or ``val2014``.

    Raises:
        DatasetError: if the annotations or the images are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._split = split or "train2017"
        self._root = open_root(root, COCO)
        self._file = self._root / "annotations" / f"instances_{self._split}.json"
        if not self._file.is_file():
            raise wrong_root(f"annotations/{self._file.name}", self._root, COCO)
        places = (self._root / self._split, self._root / "images" / self._split)
        folder = next((place for place in places if place.is_dir()), None)
        if folder is None:
            raise wrong_root(f"{self._split}/ and images/{self._split}/", self._root, COCO)
        self._images = folder

    @property
    def name(self) -> str:
        """``coco``."""
        return "coco"

    @property
    def root(self) -> Path:
        """The folder that holds ``annotations/``, absolute."""
        return self._root

    @cached_property
    def _index(self) -> CocoFile:
        return CocoFile(self._file)

    def images(self) -> Iterator[SourceImage]:
        """All images with annotations, in the file's order."""
        for image in self._index:
            path = inner_path(self._images, image.file_name, f"{self._file}, image {image.number}")
            yield SourceImage(path, self._split, image.number, image.objects, still=True)
