"""What a report on an evaluation is made of: the kept results of all trackers, scored anew against the dataset."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trackcli_cache.errors import CacheError

from trackcli.errors import InputDataError, UsageError
from trackcli.evaluation.datasets import SequenceSet, evaluation_split, load_sequences
from trackcli.evaluation.ownership import is_other_data
from trackcli.evaluation.protocols import Measure, Protocol, find_protocol
from trackcli.evaluation.recognition import recognise_results
from trackcli.evaluation.results import ResultStore
from trackcli.evaluation.runner import TrackerResult, read_results
from trackcli.evaluation.variants import Variant, find_variant
from trackcli.reporting.manifest import MANIFEST_FILE, Manifest, read_manifest

_NAMED = 3
"""How many names a note shows before it says how many more there are."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """One tracker in a report.

    Attributes:
        label: Its name.
        store: Its result files.
        result: Its scores on the sequences that all trackers have.
        style: Number of its colour in every chart, its rank.
    """

    label: str
    store: ResultStore
    result: TrackerResult
    style: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Trackers compared on one dataset.

    Attributes:
        manifest: What was evaluated.
        protocol: Which measures are shown; the first ranks.
        variant: How frames were counted.
        sequences: Those that every tracker has results of and whose truth is public.
        entrants: The trackers, best first.
        notes: What the reader must know: what was left out, one line each.
    """

    manifest: Manifest
    protocol: Protocol
    variant: Variant
    sequences: SequenceSet
    entrants: tuple[Entrant, ...]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Measure:
        """The measure that ranks."""
        return self.protocol.measures[0]


def find_evaluations(folder: Path) -> list[Path]:
    """The parts of a results folder that ``trackcli eval -o`` noted: itself, or its sub-folders in order of name."""
    if (folder / MANIFEST_FILE).is_file():
        return [folder]
    return sorted(path for path in folder.iterdir() if path.is_dir() and (path / MANIFEST_FILE).is_file())


def gather(
    folder: Path,
    *,
    root: Path | None = None,
    dataset: str | None = None,
    split: str | None = None,
    variant: str | None = None,
) -> Evaluation:
    """Read and score the results in ``<output>/<dataset>``.

    Args:
        folder: One dataset's results: a sub-folder per tracker.
        root: Where the dataset is, if not where it was; needed where ``trackcli eval`` left no note.
        dataset: Its layout, if there is no note; ``folder`` by default.
        split: Its split, if there is no note; as in ``trackcli eval`` by default.
        variant: Count frames so, instead of as noted.

    Raises:
        InputDataError: if the dataset or the results are not there or cannot be used.
        UsageError: for an unknown variant or dataset.
    """
    noted = _read_note(folder, damaged_is_none=root is not None)
    manifest = _foreign_manifest(folder, root, dataset, split) if noted is None else _moved(noted, root)
    protocol = find_protocol(manifest.protocol, manifest.dataset)
    counted = find_variant(variant or manifest.variant, manifest.dataset)
    stores = _find_stores(folder, manifest)
    notes = [] if noted is None else [*_unused(noted, dataset, split), *_leave_out_other_data(stores, noted)]
    if not stores:
        raise InputDataError(
            f"{folder} holds no results of {manifest.sequences[0]} or the other sequences; expected a folder per "
            f"tracker with {manifest.sequences[0]}.txt in it, as trackcli eval -o writes them"
            + "".join(f"; {note}" for note in notes)
        )
    common, lacking = _common_sequences(stores, manifest.sequences, folder)
    notes += lacking
    sequences = _load(manifest, common, root is not None)
    public = [sequence.name for sequence in sequences if not sequence.truth_hidden]
    if not public:
        raise InputDataError(
            f"the ground truth of {manifest.dataset} {manifest.split or ''} is not public: there is nothing to compare "
            "with; make a file for its server with trackcli eval --submit"
        )
    if len(public) < len(common):
        notes.append(f"{len(common) - len(public)} sequences without public ground truth are left out")
        sequences = _load(manifest, public, root is not None)
    scored = [(label, store, read_results(store, sequences, variant=counted)) for label, store in stores.items()]
    scored.sort(key=lambda entry: -protocol.measures[0].read(entry[2].score))
    entrants = tuple(Entrant(label, store, result, rank) for rank, (label, store, result) in enumerate(scored))
    return Evaluation(manifest, protocol, counted, sequences, entrants, tuple(notes))


def _read_note(folder: Path, *, damaged_is_none: bool) -> Manifest | None:
    if not (folder / MANIFEST_FILE).is_file():
        return None
    try:
        return read_manifest(folder)
    except InputDataError:
        if damaged_is_none:
            return None
        raise


def _moved(noted: Manifest, root: Path | None) -> Manifest:
    return noted if root is None else replace(noted, root=root)


def _foreign_manifest(folder: Path, root: Path | None, dataset: str | None, split: str | None) -> Manifest:
    """What results without a note are taken for."""
    if root is None:
        raise InputDataError(f"{folder} has no {MANIFEST_FILE}; say where the dataset is with --root DIR")
    name = dataset or "folder"
    split = split or evaluation_split(name)
    protocol = find_protocol(None, name)
    names = load_sequences(name, root, split=split).names
    return Manifest(name, root, split, protocol.name, protocol.variant, names)


def _unused(noted: Manifest, dataset: str | None, split: str | None) -> list[str]:
    """What was asked for but is not done, since the note says otherwise."""
    asked = {"dataset": (dataset, noted.dataset), "split": (split, noted.split)}
    return [
        f"--{name} {given} is not used: {MANIFEST_FILE} beside the results says {kept or 'that there is none'}"
        for name, (given, kept) in asked.items()
        if given is not None and given != kept
    ]


def _leave_out_other_data(stores: dict[str, ResultStore], noted: Manifest) -> list[str]:
    """Take out trackers evaluated on data in another place than the latest, though names are the same."""
    roots = {label: _noted_root(store) for label, store in stores.items() if label not in noted.elsewhere}
    others = {label: root for label, root in roots.items() if root is not None and is_other_data(root, noted.root)}
    for label in others:
        del stores[label]
    return [
        f"{label} is left out: its results are on {root}, not on {noted.root}; run trackcli eval for it on the latter"
        for label, root in others.items()
    ]


def _noted_root(store: ResultStore) -> Path | None:
    with suppress(InputDataError):  # a damaged note keeps nobody from the numbers
        return store.root
    return None


def _find_stores(folder: Path, manifest: Manifest) -> dict[str, ResultStore]:
    """A store per tracker, by label: the sub-folders, and results that were read from elsewhere."""
    folders = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()} | dict(manifest.elsewhere)
    preferred = find_protocol(manifest.protocol, manifest.dataset).layout
    found = {
        label: recognise_results(path, manifest.sequences, manifest.dataset, preferred)
        for label, path in folders.items()
        if path.is_dir()
    }
    return {label: replace(store, foreign=not store.is_ours) for label, store in found.items() if store is not None}


def _common_sequences(
    stores: dict[str, ResultStore], sequences: Sequence[str], folder: Path
) -> tuple[list[str], list[str]]:
    """The sequences that all have, since means over different sequences compare nothing; and who lacks which."""
    notes = []
    missing = {label: [name for name in sequences if not store.has(name)] for label, store in stores.items()}
    common = [name for name in sequences if not any(name in lacking for lacking in missing.values())]
    for label, lacking in missing.items():
        if lacking:
            named = ", ".join(lacking[:_NAMED]) + (
                f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            )
            notes.append(f"{label} lacks {len(lacking)} of {len(sequences)} sequences: {named}")
    if not common:
        raise InputDataError(
            f"{folder}: no sequence has results of all {len(stores)} trackers ({'; '.join(notes)}); "
            "finish them with trackcli eval, or move unfinished trackers' folders away"
        )
    if notes:
        notes.append(f"all trackers are compared on the {len(common)} sequences that each of them has")
    return common, notes


def _load(manifest: Manifest, names: Sequence[str], moved: bool) -> SequenceSet:
    patterns = [glob.escape(name) for name in names]
    try:
        return load_sequences(manifest.dataset, manifest.root, patterns, split=manifest.split)
    except (CacheError, InputDataError, UsageError) as error:
        if not manifest.root.is_dir() and not moved:
            raise InputDataError(
                f"dataset {manifest.dataset} is no longer at {manifest.root}; say where it is with --root DIR"
            ) from error
        raise InputDataError(f"the dataset does not fit the results: {error}") from error
