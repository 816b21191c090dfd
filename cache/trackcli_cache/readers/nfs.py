"""NfS (Need for Speed): 100 videos at 240 frames a second, and the same with every eighth frame, as if at 30.

Boxes are corners in VATIC's manner, ``xmin ymin xmax ymax``, 0-based pixel edges: width is ``xmax - xmin``. (The got10k
toolkit takes these four numbers for x, y, width and height.) ``lost`` is ``OUT_OF_VIEW`` and absent, ``occluded`` is
``OCCLUDED``; the box of an occluded target is kept. ``generated`` (interpolated) is read over.

Known inconsistencies, handled as in the got10k toolkit: some files under ``30/`` hold a line for every frame at 240
(each eighth is used), and some sequences have one image more or less than lines (the surplus one at the end is left
out).

Source: Kiani Galoogahi et al., Need for Speed, ICCV 2017; layout as published and as the got10k toolkit reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

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
from trackcli_cache.readers.trees_tracking import NFS
from trackcli_cache.sequences import annotated_sequence, list_images
from trackcli_cache.tables import check_numbers, parse_numbers, without_empty

FRAME_RATIO = 8
"""240 frames a second against 30."""

COLUMNS = 9
"""Numbers in a line, before the label in quotes."""

_EXPECTED = 'track xmin ymin xmax ymax frame lost occluded generated "label"'
_LABEL = re.compile(r'\s*"([^"]*)"\s*$')


class NfS(SequenceReader):
    """Reads one frame rate; sequences in natural order.

    Args:
        root: The folder that holds the sequences' folders.
        split: ``30`` or ``240``.

    Raises:
        DatasetError: if there is none of this frame rate.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._rate = split or "30"
        folder = open_root(root, NFS, ("Nfs", "NfS", "NFS"))
        names = [path.name for path in list_folders(folder) if (path / self._rate).is_dir()]
        if not names:
            raise wrong_root(f"<sequence>/{self._rate}/", folder, NFS)
        super().__init__("nfs", folder, sorted(names, key=natural_key))

    def _read(self, name: str) -> AnnotatedSequence:
        folder = self.root / name / self._rate
        truth = require_truth(folder / f"{name}.txt", name, self)
        lines, frames = _read_truth(truth), list_images(folder / name)
        lines = _thin_out(lines, len(frames))
        if abs(len(lines.boxes_xywh) - len(frames)) == 1:
            length = min(len(lines.boxes_xywh), len(frames))
            lines, frames = lines.take(slice(length)), frames[:length]
        require_as_many(frames, lines.boxes_xywh, truth, folder / name)
        marks = np.zeros(len(frames), np.uint8)
        mark_where(marks, lines.lost, Mark.OUT_OF_VIEW)
        mark_where(marks, lines.occluded, Mark.OCCLUDED)
        return annotated_sequence(
            name, frames, lines.boxes_xywh, absent=lines.lost, marks=marks, category=lines.category
        )


@dataclass(frozen=True, eq=False)
class _Lines:
    """What a file of boxes says, by frame."""

    boxes_xywh: NDArray[np.float64]
    lost: NDArray[np.bool_]
    occluded: NDArray[np.bool_]
    category: str | None

    def take(self, places: slice) -> _Lines:
        return _Lines(self.boxes_xywh[places], self.lost[places], self.occluded[places], self.category)


def _thin_out(lines: _Lines, images: int) -> _Lines:
    """Each eighth line, if there are about eight for each image."""
    several = images > 0 and abs(len(lines.boxes_xywh) / images - FRAME_RATIO) < 1
    return lines.take(slice(None, None, FRAME_RATIO)) if several else lines


def _read_truth(path: Path) -> _Lines:
    lines = read_lines(path)
    rows = [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    numbers = np.array(rows, dtype=np.float64).reshape(-1, COLUMNS)
    frames = numbers[:, 5]
    if (np.diff(frames) <= 0).any():
        late = int(np.flatnonzero(np.diff(frames) <= 0)[0]) + 2
        raise DatasetError(f"{path}, line {late}: frame numbers do not grow; expected one target, frame by frame")
    boxes_xywh = np.concatenate([numbers[:, 1:3], numbers[:, 3:5] - numbers[:, 1:3]], axis=1)
    label = _LABEL.search(lines[0]) if lines else None
    return _Lines(without_empty(boxes_xywh), numbers[:, 6] == 1, numbers[:, 7] == 1, label[1] if label else None)


def _read_line(line: str, where: str) -> list[float]:
    numbers = parse_numbers(_LABEL.sub("", line))
    return check_numbers(numbers if numbers and len(numbers) == COLUMNS else None, line, where, _EXPECTED)
