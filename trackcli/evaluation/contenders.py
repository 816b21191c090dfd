"""Who is evaluated: ``--tracker`` values become trackers with a name of their own each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trackcli.errors import UsageError
from trackcli.evaluation.baselines import BASELINES
from trackcli.evaluation.runner import Tracker

_LABELLED = re.compile(r"([\w.+-]+)=(.+)")
_NOT_IN_FILE_NAMES = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, eq=False)
class Contender:
    """A tracker to be evaluated.

    Attributes:
        label: Its name in tables and result folders, unique in one evaluation, usable as a folder's name.
        source: What it was loaded from: a name, a file or a folder.
        fingerprint: Equal for equal weights.
        tracker: The tracker itself.
    """

    label: str
    source: str
    fingerprint: str
    tracker: Tracker


def load_contenders(sources: Sequence[str], *, device: str = "auto") -> list[Contender]:
    """Load trackers given as ``SOURCE`` or ``LABEL=SOURCE``; a source is a baseline, a tracker's name or its file.

    Raises:
        UsageError: if a tracker is not known, or two have one label.
    """
    contenders = [_load_contender(source, device) for source in sources]
    by_label: dict[str, Contender] = {}
    for contender in contenders:
        other = by_label.setdefault(contender.label, contender)
        if other is not contender:
            raise UsageError(
                f"--tracker {other.source} and --tracker {contender.source} are both called {contender.label}; "
                f"expected different names; write --tracker OTHER={contender.source}"
            )
    return contenders


def _load_contender(argument: str, device: str) -> Contender:
    label, source = _split_label(argument)
    if source in BASELINES:
        return Contender(_folder_name(label or source), source, source, BASELINES[source]())
    # The tracker API brings torch, which the baselines do without.
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file, load

    tracker = load(source, device=device)
    fingerprint = _hash_file(find_tracker_file(source, installed()))
    return Contender(_folder_name(label or _name_of(source)), source, fingerprint, tracker)


def _split_label(argument: str) -> tuple[str, str]:
    labelled = _LABELLED.fullmatch(argument)
    if labelled is None or Path(argument).exists():
        return "", argument
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


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
