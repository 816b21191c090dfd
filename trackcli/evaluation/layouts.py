"""Where result files lie: the layouts in which people exchange them, written and recognised.

=========  ===========================================  ===========================================
layout     boxes                                        beside them
=========  ===========================================  ===========================================
``flat``   ``<sequence>.txt``                           ``<sequence>_time.txt`` (or in ``times/``)
``got10k`` ``<sequence>/<sequence>_001.txt``            ``<sequence>/<sequence>_time.txt``
``vot``    ``baseline/<sequence>/<sequence>_001.txt``   ``<sequence>_001_confidence.value``
=========  ===========================================  ===========================================

Scores are trackcli's own addition, ``<sequence>_confidence.txt``; other toolkits leave such files alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

VOT_EXPERIMENTS = ("baseline", "unsupervised", "longterm")
_OTB = frozenset({"otb100", "otb50", "otb2013"})
_PYTRACKING_PREFIXES = {"uav123": "uav_", "nfs": "nfs_"}


class Layout(Enum):
    """How the files of one tracker on one dataset are arranged."""

    FLAT = "flat"
    GOT10K = "got10k"
    VOT = "vot"

    def boxes(self, folder: Path, sequence: str, repetition: int = 0) -> Path:
        """Path of the boxes of one repetition, counted from 0."""
        if self is Layout.FLAT:
            return _flat_folder(folder, repetition) / f"{sequence}.txt"
        return self._home(folder, sequence) / f"{sequence}_{repetition + 1:03d}.txt"

    def seconds(self, folder: Path, sequence: str, repetition: int = 0) -> Path:
        """Path of the times; GOT-10k has one file for all repetitions, a column each."""
        if self is not Layout.FLAT:
            return self._home(folder, sequence) / f"{sequence}_time.txt"
        plain = _flat_folder(folder, repetition) / f"{sequence}_time.txt"
        apart = folder / "times" / plain.name
        return apart if repetition == 0 and apart.is_file() and not plain.is_file() else plain

    def scores(self, folder: Path, sequence: str, repetition: int = 0) -> Path:
        """Path of the tracker's scores."""
        if self is Layout.FLAT:
            return _flat_folder(folder, repetition) / f"{sequence}_confidence.txt"
        if self is Layout.GOT10K:  # GOT-10k's toolkit takes every <sequence>_<digit>*.txt for boxes
            return self._home(folder, sequence) / f"{sequence}_confidence.txt"
        return self._home(folder, sequence) / f"{sequence}_{repetition + 1:03d}_confidence.value"

    @property
    def columns_are_repetitions(self) -> bool:
        """Whether times and scores of all repetitions share one file."""
        return self is Layout.GOT10K

    def _home(self, folder: Path, sequence: str) -> Path:
        if self is Layout.GOT10K:
            return folder / sequence
        experiments = [name for name in VOT_EXPERIMENTS if (folder / name / sequence).is_dir()]
        return folder / (experiments or VOT_EXPERIMENTS)[0] / sequence


def other_names(sequence: str, dataset: str) -> Iterator[str]:
    """What other toolkits call a sequence of a dataset (its name, or ``distribution:name``) in their result files."""
    layout = dataset.rpartition(":")[2]
    if layout in _OTB and "." in sequence:  # the second target of Jogging
        yield sequence.replace(".", "-")  # pysot
        yield sequence.replace(".", "_")  # pytracking
    if layout in _PYTRACKING_PREFIXES:
        yield _PYTRACKING_PREFIXES[layout] + sequence


def looks_like_results(folder: Path) -> bool:
    """Whether a folder holds text files as results do, whatever the dataset: cheap, and no more than a hint."""
    if any(path.suffix == ".txt" for path in folder.iterdir()):
        return True
    parents = [folder, *(folder / name for name in VOT_EXPERIMENTS if (folder / name).is_dir())]
    homes = (home for parent in parents for home in parent.iterdir() if home.is_dir())
    return any((home / f"{home.name}_001.txt").is_file() for home in homes)


def _flat_folder(folder: Path, repetition: int) -> Path:
    return folder if repetition == 0 else folder / f"repeat_{repetition + 1:03d}"
