"""ImageNet DET (ILSVRC 2013 to 2015): stills with boxes of 200 classes.

Boxes are 0-based and inclusive (in an image 500 pixels wide the last column is 499), so 1 is added to the right and
bottom edge. In ``ILSVRC2013_train`` only the class that an image was collected for is sure to be complete; images of
``ILSVRC2013_train_extra*`` have no annotations and are not read.

Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015; the layout is that of
``ILSVRC2015_DET.tar.gz`` or ``ILSVRC2017_DET.tar.gz``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.readers.annotation_xml import XmlObject, read_xml_objects
from trackcli_cache.readers.imagenet_names import category_of
from trackcli_cache.readers.imagenet_vid import TOP_FOLDERS
from trackcli_cache.readers.layout import files_with, open_root, require_folders, sub_folders, wrong_root
from trackcli_cache.readers.trees import IMAGENET_DET


class ImageNetDet:
    """Reads one split as one collection of stills.

    Args:
        root: The folder that holds ``Data/`` and ``Annotations/``.
        split: ``train`` or ``val``.

    Raises:
        DatasetError: if these are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._split = split or "train"
        self._root = open_root(root, IMAGENET_DET, TOP_FOLDERS)
        require_folders(self._root, (f"Data/DET/{self._split}", f"Annotations/DET/{self._split}"), IMAGENET_DET)
        self._images = self._root / "Data" / "DET" / self._split
        self._annotations = self._root / "Annotations" / "DET" / self._split

    @property
    def name(self) -> str:
        """``imagenet-det``."""
        return "imagenet-det"

    @property
    def root(self) -> Path:
        """The folder that holds ``Data/``, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All images with objects, folder by folder; objects are numbered through the split."""
        track_id = number = 0
        for path in _xml_files(self._annotations):
            objects = tuple(_to_object(item, track_id + index) for index, item in enumerate(read_xml_objects(path)))
            track_id += len(objects)
            number += 1
            if objects:
                image = (self._images / path.relative_to(self._annotations)).with_suffix(".JPEG")
                yield SourceImage(image, self._split, number - 1, objects, still=True)
        if not number:
            raise wrong_root("*.xml", self._annotations, IMAGENET_DET)


def _xml_files(folder: Path) -> Iterator[Path]:
    """One folder's names are in memory at a time."""
    yield from files_with(folder, ".xml")
    for inner in sub_folders(folder):
        yield from _xml_files(inner)


def _to_object(item: XmlObject, track_id: int) -> AnnotatedObject:
    return AnnotatedObject(
        box_xyxy=(item.xmin, item.ymin, item.xmax + 1, item.ymax + 1),
        track_id=track_id,
        category=category_of(item.name),
        marks=Mark.OCCLUDED if item.occluded else Mark.NONE,
    )
