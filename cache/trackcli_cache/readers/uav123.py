"""UAV123 and UAV20L: 123 videos from low-flying drones, and 20 of them uncut.

Boxes are kept in the file's numbers, as pytracking and the got10k toolkit do. ``NaN`` means that the target is hidden
altogether or out of view; the files do not say which, so there is no mark beside being absent. The category is the
first word of the name (``person14_2`` is a person).

Source: Mueller, Smith and Ghanem, A Benchmark and Simulator for UAV Tracking, ECCV 2016; layout of
``Dataset_UAV123.zip``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from trackcli_cache.datasets import AnnotatedSequence
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import open_root, wrong_root
from trackcli_cache.readers.sequence_reader import SequenceReader, require_truth
from trackcli_cache.readers.sequence_tables import named_attributes
from trackcli_cache.readers.trees_tracking import UAV20L, UAV123
from trackcli_cache.readers.uav123_sequences import ATTRIBUTES, UAV20L_SEQUENCES, UAV123_SEQUENCES, UavSequence
from trackcli_cache.sequences import annotated_sequence, numbered_frames
from trackcli_cache.tables import read_boxes


class UavReader(SequenceReader):
    """Reads the sequences of one of the two benchmarks; both use the images of ``data_seq/UAV123``.

    Args:
        name: Name of the layout.
        root: The folder that holds ``data_seq/`` and ``anno/``.
        annotations: Folder of the boxes in ``anno/``.
        sequences: The benchmark's sequences.
        tree: The expected tree, for messages.

    Raises:
        DatasetError: if none of the sequences' files of boxes is there.
    """

    def __init__(
        self, name: str, root: Path, annotations: str, sequences: Mapping[str, UavSequence], tree: str
    ) -> None:
        folder = open_root(root, tree, ("UAV123", "Dataset_UAV123"))
        self._annotations = folder / "anno" / annotations
        if not any((self._annotations / f"{sequence}.txt").is_file() for sequence in sequences):
            raise wrong_root(f"anno/{annotations}/<sequence>.txt", folder, tree)
        super().__init__(name, folder, list(sequences))
        self._sequences = sequences

    def _read(self, name: str) -> AnnotatedSequence:
        sequence = self._sequences[name]
        truth = require_truth(self._annotations / f"{name}.txt", name, self)
        boxes = read_boxes(truth)
        frames = numbered_frames(self.root / "data_seq" / "UAV123" / sequence.folder, sequence.first, sequence.last)
        if len(boxes) != len(frames):
            raise DatasetError(
                f"{truth} has {len(boxes)} boxes; expected {len(frames)}, for frames {sequence.first} to "
                f"{sequence.last} of {sequence.folder}: the file is incomplete or of another version"
            )
        attributes = self._annotations / "att" / f"{name}.txt"
        return annotated_sequence(
            name,
            frames,
            boxes,
            category=re.sub(r"[0-9].*", "", name),
            attributes=named_attributes(attributes, ATTRIBUTES) if attributes.is_file() else (),
        )


class Uav123(UavReader):
    """UAV123. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("uav123", root, "UAV123", UAV123_SEQUENCES, UAV123)


class Uav20L(UavReader):
    """UAV20L. ``split``: there are none."""

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        super().__init__("uav20l", root, "UAV20L", UAV20L_SEQUENCES, UAV20L)
