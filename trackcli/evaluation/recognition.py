"""Folders of results as any toolkit writes them: their layout, and what they call the sequences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trackcli.evaluation.layouts import Layout, other_names
from trackcli.evaluation.results import ResultStore


def recognise_results(
    folder: Path, sequences: Sequence[str], dataset: str, preferred: Layout = Layout.FLAT
) -> ResultStore | None:
    """Results as any toolkit writes them, in the layout in which a folder holds the most of the sequences.

    Args:
        folder: One tracker's results on one dataset.
        sequences: Names of the sequences that are asked for.
        dataset: The dataset's name: other toolkits call some of its sequences otherwise.
        preferred: The layout of choice where two hold equally many.

    Returns:
        Where they are read; ``None`` if there are none of these sequences.
    """
    stores = [
        ResultStore(folder, layout, foreign=True, names=_names_in_files(folder, layout, sequences, dataset))
        for layout in Layout
    ]
    best = max(stores, key=lambda store: (sum(map(store.has, sequences)), store.layout is preferred))
    return best if any(map(best.has, sequences)) else None


def _names_in_files(folder: Path, layout: Layout, sequences: Sequence[str], dataset: str) -> dict[str, str]:
    """The other names under which there are results of sequences that have none under their own."""
    missing = [name for name in sequences if not layout.boxes(folder, name).is_file()]
    found = {
        name: [other for other in other_names(name, dataset) if layout.boxes(folder, other).is_file()]
        for name in missing
    }
    return {name: others[0] for name, others in found.items() if others}
