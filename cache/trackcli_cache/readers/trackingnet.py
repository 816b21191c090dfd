"""TrackingNet: 30,132 training videos in twelve chunks and 511 test videos whose truth is on the authors' server.

Boxes are kept in the file's numbers (fractions; the server compares them as they are). The training boxes were drawn
once a second and followed in between by a tracker, so they may reach over the border and are at times wrong; those two
that users reported as wrong throughout (SilvioGiancola/TrackingNet-devkit, issue 5) are left out: :data:`KNOWN_BAD`.

Frames are numbered from 0 without leading zeros. There are no marks and no categories in the files.

Source: Müller et al., TrackingNet, ECCV 2018; layout as the authors' devkit writes it.
"""

from __future__ import annotations

from pathlib import Path

from trackcli_cache.datasets import AnnotatedSequence
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import files_with, open_root, wrong_root
from trackcli_cache.readers.sequence_reader import SequenceReader, require_as_many, require_truth
from trackcli_cache.readers.trees_tracking import TRACKINGNET
from trackcli_cache.sequences import annotated_sequence, list_images
from trackcli_cache.tables import read_boxes

CHUNKS = 12

SPLITS = ("train", "test", *(f"train-{chunk}" for chunk in range(CHUNKS)))
"""``train`` is all chunks that are there; ``train-3`` is ``TRAIN_3`` alone."""

KNOWN_BAD = frozenset({"A63BoLTUNAM_0", "a1qoB1eERn0_0"})
"""Training sequences whose boxes miss the target throughout."""


class TrackingNet(SequenceReader):
    """Reads one split; a chunk's sequences in alphabetical order, without :data:`KNOWN_BAD`.

    Args:
        root: The folder that holds ``TRAIN_0/`` … ``TRAIN_11/`` and ``TEST/``.
        split: One of :data:`SPLITS`.

    Raises:
        DatasetError: if no chunk of the split is there, or two hold a sequence of one name.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        split = split or SPLITS[0]
        folder = open_root(root, TRACKINGNET, ("TrackingNet",))
        chunks = [folder / name for name in _chunk_names(split) if (folder / name / "anno").is_dir()]
        if not chunks:
            raise wrong_root(f"{_chunk_names(split)[0]}/anno/", folder, TRACKINGNET)
        self._chunks: dict[str, Path] = {}
        for chunk in chunks:
            self._add_chunk(chunk)
        if not self._chunks:
            raise wrong_root(f"{chunks[0].name}/anno/<sequence>.txt", folder, TRACKINGNET)
        super().__init__("trackingnet", folder, list(self._chunks))
        self._hidden = split == "test"

    def _add_chunk(self, chunk: Path) -> None:
        names = sorted(path.stem for path in files_with(chunk / "anno", ".txt") if path.name[0] != ".")
        for name in names:
            if name in self._chunks:
                raise DatasetError(
                    f"{chunk.name} and {self._chunks[name].name} in {chunk.parent} both hold a sequence {name}; "
                    "expected every name once: remove one of them"
                )
            if name not in KNOWN_BAD:
                self._chunks[name] = chunk

    def _read(self, name: str) -> AnnotatedSequence:
        chunk = self._chunks[name]
        truth = require_truth(chunk / "anno" / f"{name}.txt", name, self)
        frames, boxes = list_images(chunk / "frames" / name), read_boxes(truth)
        if not frames:
            raise DatasetError(
                f"there are no images for {truth} in {chunk / 'frames' / name}; unpack zips/{name}.zip there"
            )
        if self._hidden and len(boxes) == 1:
            return annotated_sequence(name, frames, boxes, truth_hidden=len(frames) > 1)
        require_as_many(frames, boxes, truth, chunk / "frames" / name)
        return annotated_sequence(name, frames, boxes)


def _chunk_names(split: str) -> list[str]:
    if split == "test":
        return ["TEST"]
    return [f"TRAIN_{chunk}" for chunk in range(CHUNKS) if split in {"train", f"train-{chunk}"}]
