"""What the catalogue says about a dataset layout before its reader is imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli_cache.errors import DatasetError

if TYPE_CHECKING:
    from trackcli_cache.datasets import DatasetReader


@dataclass(frozen=True)
class DatasetEntry:
    """One layout.

    Attributes:
        name: As on the command line.
        summary: One line: what it is.
        reader: ``"package.module:Class"``; called with the root and the split.
        splits: The dataset's own split names; the first is the default. Empty: it has none.
        tree: The expected folders and files, several lines, for messages and docs.
        sequences: The reader has ``sequence_names`` and ``read_sequence``: trackers can be evaluated on it.
    """

    name: str
    summary: str
    reader: str
    splits: tuple[str, ...] = ()
    tree: str = ""
    sequences: bool = False

    def open(self, root: Path, split: str | None = None) -> DatasetReader:
        """Return the reader of a folder.

        Raises:
            DatasetError: if there is no such split, or the folder does not have this layout.
        """
        if split is not None and split not in self.splits:
            known = f"expected one of: {', '.join(self.splits)}" if self.splits else "this dataset has no splits"
            raise DatasetError(f"--split {split!r} is unknown for --dataset {self.name}; {known}")
        module, _, name = self.reader.partition(":")
        make: Any = getattr(import_module(module), name)
        reader: DatasetReader = make(root, split or (self.splits[0] if self.splits else None))
        return reader
