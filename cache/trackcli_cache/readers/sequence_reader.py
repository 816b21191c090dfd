"""What the readers of tracking datasets share: names, images derived from sequences, checks of what was read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence, Mark, SequenceDataset, SourceImage, sequence_images
from trackcli_cache.errors import DatasetError


class SequenceReader(ABC):
    """Base of the readers in this folder; a plugin's reader may use it too.

    Args:
        name: Name of the layout.
        root: Absolute folder that all paths lie under.
        names: All sequences, in the dataset's order.
    """

    def __init__(self, name: str, root: Path, names: Sequence[str]) -> None:
        self._name = name
        self._root = root
        self._names = tuple(names)
        self._known = frozenset(names)

    @property
    def name(self) -> str:
        """Name of the layout, as on the command line."""
        return self._name

    @property
    def root(self) -> Path:
        """The folder being read, absolute."""
        return self._root

    def sequence_names(self) -> Sequence[str]:
        """Names of all sequences, in the dataset's order."""
        return self._names

    def read_sequence(self, name: str) -> AnnotatedSequence:
        """Read one sequence.

        Raises:
            DatasetError: if there is none of that name, it is incomplete, or an annotation cannot be read.
        """
        if name not in self._known:
            raise unknown_sequence(name, self)
        return self._read(name)

    def images(self) -> Iterator[SourceImage]:
        """All frames, sequence by sequence; of a sequence whose truth is hidden only the first."""
        for name in self._names:
            sequence = self._read(name)
            yield from islice(sequence_images(sequence), 1 if sequence.truth_hidden else None)

    @abstractmethod
    def _read(self, name: str) -> AnnotatedSequence:
        """Read a sequence that is known to be in the list."""


def unknown_sequence(name: str, dataset: SequenceDataset) -> DatasetError:
    """An error for a name that is not in the dataset, with the nearest one that is."""
    names = dataset.sequence_names()
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {len(names)}" + (f", {names[0]} first" if names else "")
    return DatasetError(f"{dataset.name} in {dataset.root} has no sequence {name!r}; {hint}")


def list_folders(root: Path) -> list[Path]:
    """Folders in a folder, hidden ones left out, in no order.

    Raises:
        DatasetError: if it cannot be listed.
    """
    try:
        return [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError as error:
        raise DatasetError(
            f"cannot list {root}: {error.strerror or error}; expected a folder that you may read"
        ) from error


def require_truth(path: Path, sequence: str, dataset: SequenceReader) -> Path:
    """Return the file of boxes if it is there.

    Raises:
        DatasetError: if it is not: the dataset's list names the sequence, so that it may not be left out in silence.
    """
    if not path.is_file():
        raise DatasetError(
            f"{dataset.name}: sequence {sequence} has no {path.relative_to(dataset.root)} in {dataset.root}; "
            "unpack it again, or choose other sequences"
        )
    return path


def require_as_many(frames: Sequence[Path], boxes: NDArray[np.float64], truth: Path, images: Path) -> None:
    """Refuse a sequence that has not one box for each image.

    Raises:
        DatasetError: with both counts.
    """
    if len(frames) != len(boxes):
        raise DatasetError(
            f"{truth} has {len(boxes)} boxes for the {len(frames)} images in {images}; expected one line per image"
        )


def mark_where(marks: NDArray[np.uint8], where: NDArray[np.bool_], mark: Mark) -> None:
    """Set a mark in the frames ``where`` holds, in place."""
    marks[where] |= np.uint8(int(mark))
