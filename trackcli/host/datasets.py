"""Datasets by name: those of trackcli-cache and those of plugins, found and opened in one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trackcli.errors import UsageError
from trackcli.host.data_specs import DatasetSpec
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import load_reference

if TYPE_CHECKING:
    from trackcli.host.readers import GuardedReader


def dataset_specs(registry: Registry | None = None) -> dict[str, DatasetSpec]:
    """All dataset layouts that can be read, by the name that finds them; sorted.

    Args:
        registry: Where to look; everything installed if None.
    """
    known = installed() if registry is None else registry
    return {
        known.label(entry): entry.spec for entry in known.of_kind(DatasetSpec) if isinstance(entry.spec, DatasetSpec)
    }


def find_dataset(name: str, registry: Registry | None = None) -> DatasetSpec:
    """A dataset layout by its name, or ``distribution:name``.

    Raises:
        UnknownNameError: if nobody provides it; the nearest names are suggested.
        AmbiguousNameError: if several plugins do.
    """
    known = installed() if registry is None else registry
    spec = known.find_provided(DatasetSpec, name).spec
    assert isinstance(spec, DatasetSpec)
    return spec


def open_dataset(name: str, root: Path, split: str | None = None, registry: Registry | None = None) -> GuardedReader:
    """Return the reader of a dataset's folder; one of sequences if the layout has them.

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
        PluginError: if the plugin that provides the reader is broken. The reader raises the same, whenever it fails.
    """
    from trackcli.host.readers import GuardedReader, GuardedSequences, ReaderOrigin

    known = installed() if registry is None else registry
    entry = known.find_provided(DatasetSpec, name)
    spec = entry.spec
    assert isinstance(spec, DatasetSpec)
    if split is not None and split not in spec.splits:
        expected = f"expected one of: {', '.join(spec.splits)}" if spec.splits else "this dataset has no splits"
        raise UsageError(f"split {split!r} is unknown for dataset {spec.name!r}; {expected}")
    make = load_reference(spec.reader)
    origin = ReaderOrigin(spec.name, f"{entry.distribution} {entry.version}".strip(), root)
    with origin.guard():
        reader = make(root, split or (spec.splits[0] if spec.splits else None))
        _check(reader, spec)
    return (GuardedSequences if spec.sequences else GuardedReader)(reader, origin)


def _check(reader: object, spec: DatasetSpec) -> None:
    wanted = ("name", "root", "images", *(("sequence_names", "read_sequence") if spec.sequences else ()))
    missing = [name for name in wanted if not hasattr(reader, name)]
    if missing:
        raise TypeError(f"{spec.reader} gave a {type(reader).__name__} without {', '.join(missing)}")
