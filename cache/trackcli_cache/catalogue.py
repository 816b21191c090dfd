"""The dataset layouts that can be read, by name; nothing is imported before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from trackcli_cache.entry import DatasetEntry
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.entries_detection import DETECTION
from trackcli_cache.readers.entries_generic import GENERIC
from trackcli_cache.readers.entries_tracking import TRACKING

if TYPE_CHECKING:
    from trackcli_cache.datasets import DatasetReader

DATASETS: Mapping[str, DatasetEntry] = MappingProxyType(
    {entry.name: entry for entry in (*GENERIC, *DETECTION, *TRACKING)}
)
"""The layouts of this distribution; plugins of trackcli add others."""


def open_dataset(name: str, root: Path, split: str | None = None) -> DatasetReader:
    """Return the reader of a layout for a folder.

    Raises:
        DatasetError: if there is no such layout or split, or the folder does not have it.
    """
    if name not in DATASETS:
        raise DatasetError(f"--dataset {name!r} is unknown; choose one of: {', '.join(sorted(DATASETS))}")
    return DATASETS[name].open(root, split)
