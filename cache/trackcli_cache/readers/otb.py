"""OTB-100 (OTB-2015), OTB-50 and OTB-2013: Wu, Lim and Yang's object tracking benchmark.

Boxes count pixels from 1, as MATLAB does: one is taken off x and y here, as pysot's lists do, so that ``0, 0`` is the
first pixel's corner. The got10k toolkit and pytracking do not, so result files made with them are one off in x and y
from those made with pysot or here; :data:`FIRST_PIXEL` is the difference.

Separators differ from file to file. Several sequences begin or end inside their folder of images (``David`` is frames
300 to 770), and ``Jogging`` and ``Skating2`` have two targets; :mod:`trackcli_cache.readers.otb_sequences` has the
table.

Source: Wu et al., Object Tracking Benchmark, TPAMI 2015, and Online Object Tracking: A Benchmark, CVPR 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trackcli_cache.datasets import AnnotatedSequence
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import open_root, wrong_root
from trackcli_cache.readers.otb_sequences import OTB50, OTB100, OTB2013, OtbTarget
from trackcli_cache.readers.sequence_reader import SequenceReader, require_truth
from trackcli_cache.readers.trees_tracking import OTB
from trackcli_cache.sequences import IMAGE_FOLDER, annotated_sequence, numbered_frames
from trackcli_cache.tables import read_boxes

FIRST_PIXEL = 1
"""Number of the first pixel in the dataset's files; taken off x and y."""


class OtbReader(SequenceReader):
    """Reads the targets of one of the benchmarks.

    Args:
        name: Name of the layout.
        root: The folder that holds the sequences' folders.
        targets: The benchmark's targets.

    Raises:
        DatasetError: if none of them is there.
    """

    def __init__(self, name: str, root: Path, targets: Mapping[str, OtbTarget]) -> None:
        folder = open_root(root, OTB, ("OTB100", "OTB2015", "OTB"))
        if not any((folder / target.folder / target.truth).is_file() for target in targets.values()):
            raise wrong_root("<Sequence>/groundtruth_rect.txt of one of its sequences", folder, OTB)
        super().__init__(name, folder, list(targets))
        self._targets = targets

    def _read(self, name: str) -> AnnotatedSequence:
        target = self._targets[name]
        folder = self.root / target.folder
        truth = require_truth(folder / target.truth, name, self)
        boxes = read_boxes(truth)
        boxes[:, :2] -= FIRST_PIXEL
        frames = numbered_frames(folder / IMAGE_FOLDER, target.first, target.last)
        if len(boxes) != len(frames):
            raise DatasetError(
                f"{truth} has {len(boxes)} boxes; expected {len(frames)}, for frames {target.first} to {target.last} "
                f"of {target.folder}: the file is incomplete or of another version"
            )
        return annotated_sequence(name, frames[target.skipped :], boxes[target.skipped :], attributes=target.attributes)


class Otb100(OtbReader):
    """OTB-100: 100 targets in 98 folders. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("otb100", root, OTB100)


class Otb50(OtbReader):
    """OTB-50: the 50 harder targets of OTB-100. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("otb50", root, OTB50)


class Otb2013(OtbReader):
    """OTB-2013: 51 targets in 50 folders. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("otb2013", root, OTB2013)
