"""Datasets by name: those of trackcli-cache and those of plugins, found and opened in one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trackcli.host.data_specs import DatasetSpec
from trackcli.host.registry import Registry, installed

if TYPE_CHECKING:
    from trackcli_cache.datasets import DatasetReader


def dataset_specs(registry: Registry | None = None) -> dict[str, DatasetSpec]:
    """All dataset layouts that can be read, by the name that finds them; sorted.

    Args:
        registry: Where to look; everything installed if None.
    """
    known = installed() if registry is None else registry
    return {
        known.label(entry): entry.spec for entry in known.of_kind(DatasetSpec) if isinstance(entry.spec, DatasetSpec)
    }


def open_dataset(name: str, root: Path, split: str | None = None, registry: Registry | None = None) -> DatasetReader:
    """Return the reader of a dataset's folder.

    Args:
        name: Name of the layout, or ``distribution:name``.
        root: The dataset's folder.
        split: One of the dataset's own splits; None for its first.
        registry: Where to look; everything installed if None.

    Raises:
        UnknownNameError: if nobody provides the layout; the nearest names are suggested.
        AmbiguousNameError: if several plugins do.
        UsageError: if the dataset has no such split.
        DatasetError: if the folder does not have this layout.
        InputDataError: if the folder cannot be read.
        PluginError: if the plugin that provides the reader is broken.
    """
    known = installed() if registry is None else registry
    return known.find(DatasetSpec, name).open(root, split)
