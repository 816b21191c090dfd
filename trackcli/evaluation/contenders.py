"""Who is evaluated: ``--tracker`` values become trackers, or results to read, with a name of their own each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trackcli.config.precision import check_precision
from trackcli.errors import InputDataError, UsageError
from trackcli.evaluation.baselines import BASELINES
from trackcli.evaluation.layouts import Layout, looks_like_results
from trackcli.evaluation.recognition import recognise_results
from trackcli.evaluation.results import ResultStore
from trackcli.evaluation.runner import Tracker

_LABELLED = re.compile(r"([\w.+-]+)=(.+)")
_NOT_IN_FILE_NAMES = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, eq=False)
class Contender:
    """A tracker to be evaluated, or its results.

    Attributes:
        label: Its name in tables and result folders, unique in one evaluation, usable as a folder's name.
        source: What it was loaded from: a name, a file or a folder.
        fingerprint: Equal for equal trackers.
        tracker: The tracker itself; ``None`` if there are only results of it.
        results: The folder of results that is read instead of tracking.
    """

    label: str
    source: str
    fingerprint: str
    tracker: Tracker | None = None
    results: Path | None = None

    @property
    def deterministic(self) -> bool:
        """Whether a second run would give the same boxes: so unless the tracker says otherwise."""
        return bool(getattr(self.tracker, "deterministic", True))


def load_contenders(sources: Sequence[str], *, device: str = "auto", precision: str = "fp32") -> list[Contender]:
    """Load trackers given as ``SOURCE`` or ``LABEL=SOURCE``.

    A source is a baseline, a tracker's name, its file, a run folder, or a folder of results of any toolkit. The
    precision is that of composed trackers; others have no choice.

    Raises:
        UsageError: if a tracker or the precision is not known, or two trackers have one label.
    """
    check_precision(precision)
    contenders = [load_contender(source, device=device, precision=precision) for source in sources]
    by_label: dict[str, Contender] = {}
    for contender in contenders:
        other = by_label.setdefault(contender.label, contender)
        if other is not contender:
            raise UsageError(
                f"--tracker {other.source} and --tracker {contender.source} are both called {contender.label}; "
                f"expected different names; write --tracker OTHER={contender.source}"
            )
    return contenders


def load_contender(argument: str, *, device: str = "auto", precision: str = "fp32") -> Contender:
    """Load one tracker given as ``SOURCE`` or ``LABEL=SOURCE``; see :func:`load_contenders`.

    Raises:
        UsageError: if the tracker or the precision is not known, or the label holds what it may not.
    """
    label, source = _split_label(argument)
    if source in BASELINES:
        return Contender(_folder_name(label or source), source, source, BASELINES[source]())
    if _is_result_folder(Path(source)):
        named = label or Path(source).resolve().name
        return Contender(_folder_name(named), source, f"results:{source}", results=Path(source))
    # The tracker API brings torch, which baselines and results do without.
    from trackcli.foreign.loading import load_foreign_tracker

    foreign = load_foreign_tracker(source)
    if foreign is not None:
        return Contender(_folder_name(label or source.partition("@")[0]), source, foreign[1], foreign[0])
    from trackcli.composition.raw_header import tracker_hash
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file, load

    path = find_tracker_file(source, installed(), also=BASELINES)
    tracker = load(source, device=device, precision=precision)
    rounded = "" if precision == "fp32" else f"@{precision}"
    fingerprint = tracker_hash(path) + rounded
    return Contender(_folder_name(label or _name_of(source)), source, fingerprint, tracker)


def make_tracker(argument: str, device: str, precision: str = "fp32") -> Tracker:
    """The tracker of a ``--tracker`` value alone, as a worker process needs it.

    Raises:
        UsageError: if it names results, or nothing known.
    """
    tracker = load_contender(argument, device=device, precision=precision).tracker
    if tracker is None:
        raise UsageError(f"--tracker {argument} is a folder of results; expected a tracker that can be run")
    return tracker


def find_results(
    folder: Path, sequences: Sequence[str], dataset: str = "folder", preferred: Layout = Layout.FLAT
) -> ResultStore:
    """Recognise the layout of a folder of results, and make sure that no sequence is missing.

    Args:
        folder: One tracker's results on one dataset.
        sequences: Names of the sequences to be evaluated.
        dataset: The dataset's name: other toolkits call some of its sequences otherwise.
        preferred: The layout of choice where a folder holds as many results in another.

    Raises:
        InputDataError: if it holds results of none of them, or not of all.
    """
    store = recognise_results(folder, sequences, dataset, preferred)
    if store is None:
        raise InputDataError(
            f"{folder} holds no results of the {len(sequences)} sequences ({sequences[0]}, …); expected "
            f"{sequences[0]}.txt, {sequences[0]}/{sequences[0]}_001.txt or, as VOT has it, the latter in baseline/"
        )
    missing = [name for name in sequences if not store.has(name)]
    if missing:
        raise InputDataError(
            f"{folder} lacks results of {len(missing)} of {len(sequences)} sequences, first "
            f"{store.boxes_path(missing[0])}; add them, or choose sequences with --sequences"
        )
    return store


def _is_result_folder(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    from trackcli.tracking.tracker import RUN_TRACKER

    return not (folder / RUN_TRACKER).is_file() and looks_like_results(folder)


def _split_label(argument: str) -> tuple[str, str]:
    before, equals, _ = argument.partition("=")
    if not equals or "@" in before or Path(argument).exists():  # NAME@OPTION=VALUE is a foreign tracker
        return "", argument
    labelled = _LABELLED.fullmatch(argument)
    if labelled is None:
        raise UsageError(
            f"--tracker {argument} is neither a file nor LABEL=TRACKER; expected a label of letters, digits "
            "and . _ + - only, and a tracker behind it"
        )
    return labelled[1], labelled[2]


def _name_of(source: str) -> str:
    """The part of a path that tells trackers apart: in a run folder every file has the same name."""
    from trackcli.tracking.tracker import RUN_TRACKER

    path = Path(source).resolve()
    if path.is_dir():
        return path.name
    if path.is_file():
        return path.parent.name if path.name == RUN_TRACKER else path.stem
    return source


def _folder_name(label: str) -> str:
    """A name fit for a results folder: foreign text must not lead out of it."""
    return _NOT_IN_FILE_NAMES.sub("_", label).strip(".") or "tracker"
