"""VOT's short-term sets of 2016 to 2019 (rotated boxes) and long-term sets of 2018 and 2019 (boxes, often absent).

Truth is a polygon of four corners, or x, y, width and height; numbers are kept. ``boxes_xywh`` of a polygon is the
smallest upright box around it: from the least to the greatest x and y. Other rules in use (the got10k toolkit's box
of the same area, for one) belong to the protocols that ask for them and can be had from ``polygons_xy``.

A line with ``nan``, or with a single number (VOT's code for a special region), means that the target is absent. Masks
(VOT2020 and later) are refused.

Marks: the ``occlusion`` tag is ``OCCLUDED``. A sequence's attributes are the tags that are set in any of its frames;
:meth:`VotReader.frame_tags` has them frame by frame. Files of tags that are too short count as 0 at the end, as in
VOT's toolkit.

Source: Kristan et al., the VOT challenges' results papers of these years; layout as VOT's toolkit writes and reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence, Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.readers.layout import open_root, read_lines, wrong_root
from trackcli_cache.readers.sequence_reader import (
    SequenceReader,
    list_folders,
    mark_where,
    require_as_many,
    require_truth,
)
from trackcli_cache.readers.trees_tracking import VOT
from trackcli_cache.sequences import GROUNDTRUTH, annotated_sequence, list_images
from trackcli_cache.tables import check_numbers, parse_numbers, read_names, without_empty

POLYGON = 8
"""Numbers of a polygon of four corners."""

TAG_SUFFIXES = (".tag", ".label")

_EXPECTED = "x1,y1,x2,y2,x3,y3,x4,y4 or x,y,w,h in pixels"


class VotReader(SequenceReader):
    """Reads one of VOT's sets; sequences in the order of ``list.txt``.

    Args:
        name: Name of the layout.
        root: The folder that holds the sequences' folders, or a toolkit workspace with ``sequences/``.

    Raises:
        DatasetError: if there is no sequence.
    """

    def __init__(self, name: str, root: Path) -> None:
        folder = open_root(root, VOT, ("sequences",))
        names = _list_sequences(folder)
        if not any((folder / sequence / GROUNDTRUTH).is_file() for sequence in names):
            raise wrong_root(f"<sequence>/{GROUNDTRUTH}", folder, VOT)
        super().__init__(name, folder, names)

    def frame_tags(self, name: str) -> Mapping[str, NDArray[np.bool_]]:
        """``(T,)`` for each of a sequence's tags (``occlusion``, ``camera_motion``, …): whether it is set in a frame.

        Raises:
            DatasetError: if there is no such sequence, or a file of tags is longer than it.
        """
        length = len(self.read_sequence(name))
        return _read_tags(self.root / name, length)

    def _read(self, name: str) -> AnnotatedSequence:
        folder = self.root / name
        truth = require_truth(folder / GROUNDTRUTH, name, self)
        polygons_xy, boxes_xywh = read_regions(truth)
        images = folder / "color" if (folder / "color").is_dir() else folder
        frames = list_images(images)
        require_as_many(frames, boxes_xywh, truth, images)
        tags = _read_tags(folder, len(frames))
        marks = np.zeros(len(frames), np.uint8)
        if "occlusion" in tags:
            mark_where(marks, tags["occlusion"], Mark.OCCLUDED)
        return annotated_sequence(
            name,
            frames,
            boxes_xywh,
            marks=marks,
            attributes=tuple(tag for tag, values in tags.items() if values.any()),
            polygons_xy=None if np.isnan(polygons_xy).all() else polygons_xy,
        )


def read_regions(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read VOT's regions, one per line.

    Returns:
        ``(T, 4, 2)`` corners, NaN where the line has no polygon, and ``(T, 4)`` upright xywh boxes, NaN where it is
        absent.

    Raises:
        DatasetError: if a line is neither polygon nor box; the message names file and line.
    """
    rows = [_read_region(line, f"{path}, line {number}") for number, line in enumerate(read_lines(path), start=1)]
    return regions_of(rows)


def regions_of(rows: list[list[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn rows of eight, four or one number into polygons and upright boxes; see :func:`read_regions`."""
    polygons_xy = np.full((len(rows), 4, 2), np.nan)
    boxes_xywh = np.full((len(rows), 4), np.nan)
    for index, row in enumerate(rows):
        if len(row) == POLYGON:
            polygons_xy[index] = np.array(row).reshape(4, 2)
            low, high = polygons_xy[index].min(axis=0), polygons_xy[index].max(axis=0)
            boxes_xywh[index] = (*low, *(high - low))
        elif len(row) == boxes_xywh.shape[1]:
            boxes_xywh[index] = row
    return polygons_xy, without_empty(boxes_xywh)


def _read_region(line: str, where: str) -> list[float]:
    if line.startswith("m"):
        raise DatasetError(f"{where}: is a mask, as in VOT2020 and later; expected {_EXPECTED}")
    numbers = parse_numbers(line)
    return check_numbers(numbers if numbers and len(numbers) in {1, 4, POLYGON} else None, line, where, _EXPECTED)


def _list_sequences(folder: Path) -> list[str]:
    if (folder / "list.txt").is_file():
        return read_names(folder / "list.txt")
    names = (path.name for path in list_folders(folder) if (path / GROUNDTRUTH).is_file())
    return sorted(names, key=natural_key)


def _read_tags(folder: Path, length: int) -> Mapping[str, NDArray[np.bool_]]:
    files = sorted(path for path in folder.iterdir() if path.suffix in TAG_SUFFIXES and path.name[0] != ".")
    return MappingProxyType({path.stem: _read_tag(path, length) for path in files})


def _read_tag(path: Path, length: int) -> NDArray[np.bool_]:
    lines = read_lines(path)
    if len(lines) > length:
        raise DatasetError(f"{path} has {len(lines)} lines for {length} frames; expected at most one per frame")
    values = np.zeros(length, np.bool_)
    values[: len(lines)] = [line == "1" for line in lines]
    return values


class Vot2016(VotReader):
    """VOT2016: 60 sequences. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2016", root)


class Vot2017(VotReader):
    """VOT2017: 60 sequences. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2017", root)


class Vot2018(VotReader):
    """VOT2018, the sequences of 2017. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2018", root)


class Vot2019(VotReader):
    """VOT2019: 60 sequences. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2019", root)


class Vot2018LongTerm(VotReader):
    """VOT-LT 2018: 35 long sequences. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2018-lt", root)


class Vot2019LongTerm(VotReader):
    """VOT-LT 2019: 50 long sequences. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("vot2019-lt", root)
