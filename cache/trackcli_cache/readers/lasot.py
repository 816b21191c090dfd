"""LaSOT: 1,400 long videos of 70 categories, 280 of them for testing.

Boxes are kept in the file's numbers. The authors count pixels from 1 (HengLan/LaSOT_Evaluation_Toolkit, issue 14), but
their toolkit, the got10k toolkit and pytracking hand the boxes to trackers and compare them as they are, so that result
files are in these numbers.

Marks: ``full_occlusion.txt`` is ``FULLY_OCCLUDED``, ``out_of_view.txt`` ``OUT_OF_VIEW``; in both cases the target is
absent, though a box may be given. A box without area is no box: ``tiger-6`` has one of negative height in frame 118
(toolkit, issue 10). Some copies of ``airplane-14``, ``airplane-15`` and ``bus-4`` hold one image more than boxes
(issue 6): such a last image is left out; any other difference is an error.

Splits: ``testing_set.txt`` and ``training_set.txt`` of the root if they are there; otherwise the official 280, and for
training all other sequences in the root.

Source: Fan et al., LaSOT, CVPR 2019; attributes as in the authors' toolkit (``annos/att``).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence, Mark
from trackcli_cache.natural import natural_key
from trackcli_cache.readers.lasot_splits import TEST_SEQUENCES
from trackcli_cache.readers.layout import open_root, wrong_root
from trackcli_cache.readers.sequence_reader import (
    SequenceReader,
    list_folders,
    mark_where,
    require_as_many,
    require_truth,
)
from trackcli_cache.readers.sequence_tables import named_attributes
from trackcli_cache.readers.trees_tracking import LASOT
from trackcli_cache.sequences import GROUNDTRUTH, IMAGE_FOLDER, annotated_sequence, list_images
from trackcli_cache.tables import read_boxes, read_flags, read_names

ATTRIBUTES = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")
"""Columns of the attribute files."""

_LIST_FILES = {"train": "training_set.txt", "test": "testing_set.txt"}
_NAME = re.compile(r"[A-Za-z]+-[0-9]+")


class LaSOT(SequenceReader):
    """Reads one split.

    Args:
        root: The folder that holds the categories' folders, or all sequences' folders.
        split: ``train`` or ``test``.

    Raises:
        DatasetError: if none of the split's sequences is there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        folder = open_root(root, LASOT, ("LaSOT", "LaSOTBenchmark"))
        names = _split_names(folder, split or "train")
        if not any((_find(folder, name) / GROUNDTRUTH).is_file() for name in names):
            raise wrong_root(f"<category>/<category>-<n>/{GROUNDTRUTH}", folder, LASOT)
        super().__init__("lasot", folder, names)

    def _read(self, name: str) -> AnnotatedSequence:
        folder = _find(self.root, name)
        truth = require_truth(folder / GROUNDTRUTH, name, self)
        boxes = read_boxes(truth)
        frames = list_images(folder / IMAGE_FOLDER)
        if len(frames) == len(boxes) + 1:
            frames.pop()
        require_as_many(frames, boxes, truth, folder / IMAGE_FOLDER)
        occluded = self._read_marks(folder / "full_occlusion.txt", name, len(frames))
        outside = self._read_marks(folder / "out_of_view.txt", name, len(frames))
        marks = np.zeros(len(frames), np.uint8)
        mark_where(marks, occluded, Mark.FULLY_OCCLUDED)
        mark_where(marks, outside, Mark.OUT_OF_VIEW)
        return annotated_sequence(
            name,
            frames,
            boxes,
            absent=occluded | outside,
            marks=marks,
            category=_category(name),
            attributes=self._read_attributes(name),
        )

    def _read_marks(self, path: Path, name: str, length: int) -> NDArray[np.bool_]:
        flags: NDArray[np.int64] = read_flags(require_truth(path, name, self), length)
        return np.asarray(flags != 0)

    def _read_attributes(self, name: str) -> tuple[str, ...]:
        files = (self.root / "att" / f"{name}.txt", self.root / "annos" / "att" / f"{name}.txt")
        return next((named_attributes(path, ATTRIBUTES) for path in files if path.is_file()), ())


def _split_names(folder: Path, split: str) -> list[str]:
    if (folder / _LIST_FILES[split]).is_file():
        return read_names(folder / _LIST_FILES[split])
    test = read_names(folder / _LIST_FILES["test"]) if (folder / _LIST_FILES["test"]).is_file() else TEST_SEQUENCES
    if split == "test":
        return list(test)
    return [name for name in _names_in(folder) if name not in set(test)]


def _names_in(folder: Path) -> list[str]:
    """All sequences there are, nested or flat, in natural order."""
    names: list[str] = []
    for path in list_folders(folder):
        inner = [path] if _NAME.fullmatch(path.name) else list_folders(path)
        names.extend(item.name for item in inner if _NAME.fullmatch(item.name) and _find(folder, item.name) == item)
    return sorted(names, key=natural_key)


def _find(root: Path, name: str) -> Path:
    """The folder of a sequence; the published, nested one unless only the flat one is there."""
    nested, flat = root / _category(name) / name, root / name
    return flat if flat.is_dir() and not nested.is_dir() else nested


def _category(name: str) -> str:
    return name.rpartition("-")[0]
