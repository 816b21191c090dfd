"""The dataset layouts that can be read, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from trackcli_cache.datasets import DatasetReader
from trackcli_cache.errors import DatasetError
from trackcli_cache.folder import FolderDataset

READERS: Mapping[str, Callable[[Path], DatasetReader]] = MappingProxyType({"folder": FolderDataset})


def open_dataset(name: str, root: Path) -> DatasetReader:
    """Return the reader of a layout for a folder.

    Raises:
        DatasetError: if there is no such layout, or the folder does not have it.
    """
    if name not in READERS:
        raise DatasetError(f"--dataset {name!r} is unknown; choose one of: {', '.join(sorted(READERS))}")
    return READERS[name](root)
