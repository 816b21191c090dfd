"""CityPersons: pedestrians in the street scenes of Cityscapes, in the JSON files that Cityscapes distributes.

Boxes are x, y, w, h, 0-based. ``bbox`` is the whole body of pedestrians and riders (aligned to a fixed aspect
ratio, so it may reach over the image's border: ``CUT_BY_IMAGE``), ``bboxVis`` the part that is seen. Objects of
which less than 65% is seen are ``OCCLUDED``, the limit of the benchmark's "reasonable" subset. ``ignore`` (posters,
reflections, dense crowds) and ``person group`` are ``IGNORED``. The original ``.mat`` files say the same and are
not needed.

Source: Zhang et al., CityPersons: A Diverse Dataset for Pedestrian Detection, CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import (
    files_with,
    finite,
    open_root,
    read_json_object,
    require_folders,
    sub_folders,
    wrong_root,
)
from trackcli_cache.readers.trees import CITYPERSONS
from trackcli_cache.windows import BoxXyxy

LABEL_ENDING = "_gtBboxCityPersons.json"
IMAGE_ENDING = "_leftImg8bit.png"
IGNORED_LABELS = frozenset({"ignore", "person group"})
REASONABLY_VISIBLE = 0.65


class CityPersons:
    """Reads one split as one collection of stills.

    Args:
        root: The folder that holds ``gtBboxCityPersons/`` and ``leftImg8bit/``.
        split: ``train`` or ``val``.

    Raises:
        DatasetError: if these are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._split = split or "train"
        self._root = open_root(root, CITYPERSONS)
        folders = (f"gtBboxCityPersons/{self._split}", f"leftImg8bit/{self._split}")
        require_folders(self._root, folders, CITYPERSONS)
        self._labels, self._images = (self._root / name for name in folders)

    @property
    def name(self) -> str:
        """``citypersons``."""
        return "citypersons"

    @property
    def root(self) -> Path:
        """The folder that holds ``leftImg8bit/``, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All images with objects, city by city; objects are numbered through the split."""
        track_id = number = 0
        for city in sub_folders(self._labels):
            for path in files_with(city, LABEL_ENDING):
                objects = tuple(_read_objects(path, track_id))
                track_id += len(objects)
                number += 1
                if objects:
                    image = self._images / city.name / f"{path.name.removesuffix(LABEL_ENDING)}{IMAGE_ENDING}"
                    yield SourceImage(image, self._split, number - 1, objects, still=True)
        if not number:
            raise wrong_root(f"<city>/*{LABEL_ENDING}", self._labels, CITYPERSONS)


def _read_objects(path: Path, first_track_id: int) -> Iterator[AnnotatedObject]:
    content = read_json_object(path)
    entries = content.get("objects")
    if not isinstance(entries, list):
        raise DatasetError(f"{path} has no list of objects; is it a file of gtBboxCityPersons?")
    size_wh = (
        finite(content.get("imgWidth"), f"{path}, imgWidth"),
        finite(content.get("imgHeight"), f"{path}, imgHeight"),
    )
    for index, entry in enumerate(entries):
        yield _read_object(entry, first_track_id + index, size_wh, f"{path}, object {index}")


def _read_object(entry: Any, track_id: int, size_wh: tuple[float, float], where: str) -> AnnotatedObject:
    label = entry.get("label") if isinstance(entry, dict) else None
    if not isinstance(label, str):
        raise DatasetError(f"{where}: {entry!r:.80} has no label; expected label, bbox and bboxVis")
    box = _read_box(entry.get("bbox"), where)
    visible = _read_box(entry.get("bboxVis", entry.get("bbox")), where)
    marks = Mark.IGNORED if label in IGNORED_LABELS else Mark.NONE
    if _area(visible) < REASONABLY_VISIBLE * _area(box):
        marks |= Mark.OCCLUDED
    if box[0] < 0 or box[1] < 0 or box[2] > size_wh[0] or box[3] > size_wh[1]:
        marks |= Mark.CUT_BY_IMAGE
    return AnnotatedObject(box, track_id, label, marks=marks)


def _read_box(value: Any, where: str) -> BoxXyxy:
    if not isinstance(value, list) or len(value) != 4:
        raise DatasetError(f"{where}: {value!r:.80} is not a box; expected [x,y,w,h]")
    x, y, width, height = (finite(number, where) for number in value)
    return x, y, x + width, y + height


def _area(box: BoxXyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
