"""PASCAL VOC and everything that is labelled in its XML: stills with boxes.

VOC counts pixels from 1 and includes the last one: 1 is subtracted from ``xmin`` and ``ymin``, and ``xmax`` and
``ymax``, 1-based and inclusive, are the same numbers as 0-based and half-open. labelImg writes the same format.

``difficult`` becomes ``IGNORED`` (VOC's evaluation leaves these out), ``truncated`` ``CUT_BY_IMAGE``, ``occluded``
``OCCLUDED``. Where there is ``SegmentationObject/<name>.png``, its numbers are those of the objects in the XML
file, from 1, and give their masks.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge: A Retrospective, IJCV 2015; the VOC2012
development kit's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.annotation_xml import XmlObject, read_xml_objects
from trackcli_cache.readers.layout import files_with, inner_path, open_root, read_lines, wrong_root
from trackcli_cache.readers.trees import VOC
from trackcli_cache.sequences import list_images

EVERYTHING = "all"


class Voc:
    """Reads one collection of stills, named after the root.

    Args:
        root: The folder that holds ``JPEGImages/`` and ``Annotations/``.
        split: ``all`` reads every annotation; another name reads ``ImageSets/Main/<split>.txt``.

    Raises:
        DatasetError: if one of these is not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._root = open_root(root, VOC)
        self._images = _one_of(self._root, ("JPEGImages", "images"))
        self._annotations = _one_of(self._root, ("Annotations", "annotations"))
        self._list: Path | None = None
        if split not in {None, EVERYTHING}:
            self._list = self._root / "ImageSets" / "Main" / f"{split}.txt"
            if not self._list.is_file():
                raise wrong_root(f"ImageSets/Main/{split}.txt", self._root, VOC)

    @property
    def name(self) -> str:
        """``voc``."""
        return "voc"

    @property
    def root(self) -> Path:
        """The folder that holds the images' folder, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All images with objects, in natural order or the list's; objects are numbered through the collection."""
        images = {path.stem: path for path in list_images(self._images)}
        masks = {path.stem: path for path in files_with(self._root / "SegmentationObject", ".png")}
        track_id = number = 0
        for path in self._xml_files():
            mask = masks.get(path.stem)
            objects = tuple(
                _to_object(item, track_id + index, mask, index + 1) for index, item in enumerate(read_xml_objects(path))
            )
            track_id += len(objects)
            number += 1
            if objects:
                image = images.get(path.stem, self._images / f"{path.stem}.jpg")
                yield SourceImage(image, self._root.name, number - 1, objects, still=True)
        if not number:
            raise wrong_root("*.xml", self._annotations, VOC)

    def _xml_files(self) -> list[Path]:
        if self._list is None:
            return files_with(self._annotations, ".xml")
        return [
            inner_path(
                self._annotations, f"{_image_name(line, self._list, number)}.xml", f"{self._list}, line {number}"
            )
            for number, line in enumerate(read_lines(self._list), start=1)
        ]


def _image_name(line: str, path: Path, number: int) -> str:
    """The first word: lists of one class (``dog_train.txt``) have a 1 or -1 behind it."""
    words = line.split()
    if not words:
        raise DatasetError(f"{path}, line {number} is empty; expected the name of an image without its ending")
    return words[0]


def _one_of(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise wrong_root(" or ".join(f"{name}/" for name in names), root, VOC)


def _to_object(item: XmlObject, track_id: int, mask: Path | None, mask_label: int) -> AnnotatedObject:
    marks = Mark.NONE
    for flag, mark in (
        (item.difficult, Mark.IGNORED),
        (item.truncated, Mark.CUT_BY_IMAGE),
        (item.occluded, Mark.OCCLUDED),
    ):
        marks |= mark if flag else Mark.NONE
    return AnnotatedObject(
        box_xyxy=(item.xmin - 1, item.ymin - 1, item.xmax, item.ymax),
        track_id=track_id,
        category=item.name,
        mask_path=mask,
        mask_label=None if mask is None else mask_label,
        marks=marks,
    )
