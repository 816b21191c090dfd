"""GOT-10k: 10,000 videos of 563 classes at 10 frames a second; the truth of ``test`` is on the authors' server.

Boxes are kept in the file's numbers. The authors call them 1-based (got-10k/toolkit, issue 6), but their toolkit and
server hand them to trackers, clip them to ``[0, width]`` and compare them as they are, as does pytracking; taking
one off here would put every result file made elsewhere, and every submission, off by a pixel.

Marks: ``absence.label`` 1 or ``cover.label`` 0 means absent; ``cover`` 0 is also ``FULLY_OCCLUDED`` (the toolkit leaves
out exactly these frames), 1 to 7 (some eighths visible) ``OCCLUDED``; ``cut_by_image.label`` 1 is ``CUT_BY_IMAGE``.
Lines such as ``-1,-1,-1,-1`` or without area are no box.

Known bad, and left out of ``train``: in :data:`KNOWN_BAD` the images do not fit the boxes (the first image is repeated,
or others are wrong), as users found (got-10k/toolkit, issues 10 and 29; MIV-XJTU/ARTrack, issue 81). Those who train
for VOT often leave out another 1,000 sequences that look like VOT's; that list is pytracking's and not applied here.

Source: Huang, Zhao and Huang, GOT-10k, TPAMI 2019; layout as the got10k toolkit reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence, Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import open_root, read_lines, wrong_root
from trackcli_cache.readers.sequence_reader import SequenceReader, mark_where, require_as_many, require_truth
from trackcli_cache.readers.trees_tracking import GOT10K
from trackcli_cache.sequences import annotated_sequence, list_images
from trackcli_cache.tables import read_boxes, read_flags, read_names

KNOWN_BAD = frozenset(f"GOT-10k_Train_{number:06d}" for number in (1636, 1638, *range(8623, 8638), 9058, 9059))
"""Sequences of ``train`` whose images and boxes do not belong together."""

FULLY_VISIBLE = 8
"""The highest value in ``cover.label``."""

TOP_FOLDERS = ("full_data", "GOT-10k", "got10k")
"""What archives unpack to."""


class Got10k(SequenceReader):
    """Reads one split in the order of its ``list.txt``, without :data:`KNOWN_BAD`.

    Args:
        root: The folder that holds ``train/``, ``val/`` and ``test/``.
        split: One of these.

    Raises:
        DatasetError: if the split has no ``list.txt``, or it cannot be read.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        split = split or "train"
        folder = open_root(root, GOT10K, TOP_FOLDERS)
        self._folder = folder / split
        if not (self._folder / "list.txt").is_file():
            raise wrong_root(f"{split}/list.txt", folder, GOT10K)
        names = read_names(self._folder / "list.txt")
        super().__init__("got10k", folder, [name for name in names if name not in KNOWN_BAD])
        self._hidden = split == "test"

    def _read(self, name: str) -> AnnotatedSequence:
        folder = self._folder / name
        truth = require_truth(folder / "groundtruth.txt", name, self)
        frames, boxes = list_images(folder), read_boxes(truth)
        if self._hidden and len(boxes) == 1:
            return annotated_sequence(name, frames, boxes, truth_hidden=len(frames) > 1)
        require_as_many(frames, boxes, truth, folder)
        cover = self._read_label(name, "cover", len(frames), without=FULLY_VISIBLE)
        marks = np.zeros(len(frames), np.uint8)
        mark_where(marks, cover == 0, Mark.FULLY_OCCLUDED)
        mark_where(marks, (cover > 0) & (cover < FULLY_VISIBLE), Mark.OCCLUDED)
        mark_where(marks, self._read_label(name, "cut_by_image", len(frames), without=0) == 1, Mark.CUT_BY_IMAGE)
        return annotated_sequence(
            name,
            frames,
            boxes,
            absent=(cover == 0) | (self._read_label(name, "absence", len(frames), without=0) == 1),
            marks=marks,
            category=_read_class(folder / "meta_info.ini"),
        )

    def _read_label(self, name: str, label: str, length: int, without: int) -> NDArray[np.int64]:
        """``(T,)`` values of one label; ``test`` has none: it gets the value that says nothing."""
        path = self._folder / name / f"{label}.label"
        if self._hidden and not path.is_file():
            return np.full(length, without, np.int64)
        flags = read_flags(require_truth(path, name, self), length)
        highest = FULLY_VISIBLE if label == "cover" else 1
        if ((flags < 0) | (flags > highest)).any():
            raise DatasetError(f"{path} holds values outside 0 to {highest}; expected the dataset's own labels")
        return flags


def _read_class(path: Path) -> str | None:
    """The ``object_class``; the file looks like INI but values hold any character, so that it is read by line."""
    if not path.is_file():
        return None
    entries = (line.partition(":") for line in read_lines(path))
    return next((value.strip() or None for key, _, value in entries if key.strip() == "object_class"), None)
