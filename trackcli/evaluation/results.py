"""Result files as people exchange them: ``<output>/<dataset>/<tracker>/<sequence>.txt`` and its companions.

====================================  =========================================================
``<sequence>.txt``                    one ``x,y,w,h`` per frame, pixels, 0-based, decimals kept
``<sequence>_time.txt``               seconds the tracker took for each frame
``<sequence>_confidence.txt``         its score for each frame
``tracker.json``                      whose results these are
====================================  =========================================================

Written numbers are read back to the last bit, so a resumed evaluation reports what an uninterrupted one would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.files import only_writer, write_whole

from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.datasets import BOX_COLUMNS
from trackcli.evaluation.text_tables import read_table, write_table

IDENTITY_FILE = "tracker.json"
FORMAT = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a tracker answered on one sequence.

    Attributes:
        boxes_xywh: ``(T, 4)`` float64, image pixels, 0-based top-left; row 0 is the box it was given.
        scores: ``(T,)`` its confidence; NaN where unknown.
        seconds: ``(T,)`` its own time for each frame, without reading the image; NaN where unknown.

    Raises:
        ShapeError: if the lengths differ.
    """

    boxes_xywh: Floats
    scores: Floats
    seconds: Floats

    def __post_init__(self) -> None:
        frames = len(self.boxes_xywh)
        if self.boxes_xywh.shape != (frames, 4) or self.scores.shape != (frames,) or self.seconds.shape != (frames,):
            raise ShapeError(
                f"a trajectory of boxes {self.boxes_xywh.shape}, scores {self.scores.shape} and seconds "
                f"{self.seconds.shape} does not fit together; expected (T, 4), (T,) and (T,)"
            )

    @property
    def total_seconds(self) -> float:
        """Time for the whole sequence; NaN if that of any frame is unknown."""
        return float(self.seconds.sum())


@dataclass(frozen=True)
class ResultStore:
    """The result files of one tracker on one dataset.

    Attributes:
        folder: ``<output>/<dataset>/<tracker>``; :meth:`claimed` makes it.
    """

    folder: Path

    @contextmanager
    def claimed(self, fingerprint: str, *, replace: bool = False) -> Iterator[None]:
        """Be the only one to write to the folder while the block runs, and note in it whose results it holds.

        The note keeps results of two trackers from being mixed. Results without one, as other toolkits leave them,
        are taken as this tracker's.

        Args:
            fingerprint: Equal for equal trackers.
            replace: Remove the results of another tracker instead of refusing to go on.

        Raises:
            UsageError: if the folder holds results of another tracker.
            InputDataError: if the note cannot be read.
            CacheError: if the folder cannot be written to, or another process does so.
        """
        with only_writer(self.folder):
            self._note_owner(fingerprint, replace=replace)
            yield

    def has(self, sequence: str) -> bool:
        """Whether the sequence is finished: its boxes are written last."""
        return self._boxes_path(sequence).is_file()

    def write(self, sequence: str, trajectory: Trajectory) -> None:
        """Write one sequence's files, each of them whole, into the folder of :meth:`claimed`.

        Raises:
            CacheError: if they cannot be written.
        """
        write_table(self._time_path(sequence), trajectory.seconds[:, None])
        write_table(self._confidence_path(sequence), trajectory.scores[:, None])
        write_table(self._boxes_path(sequence), trajectory.boxes_xywh)

    def read(self, sequence: str, frames: int) -> Trajectory:
        """Read one sequence's files; without times or scores these are NaN.

        Args:
            sequence: Its name.
            frames: How many rows there must be.

        Raises:
            InputDataError: if a file cannot be read or has another number of rows.
        """
        return Trajectory(
            boxes_xywh=_read_rows(self._boxes_path(sequence), BOX_COLUMNS, frames),
            scores=_read_optional(self._confidence_path(sequence), "score", frames),
            seconds=_read_optional(self._time_path(sequence), "seconds", frames),
        )

    def _note_owner(self, fingerprint: str, *, replace: bool) -> None:
        path = self.folder / IDENTITY_FILE
        noted = _read_identity(path) if path.is_file() else fingerprint
        if noted != fingerprint and not replace:
            raise UsageError(
                f"{self.folder} holds results of another tracker of this name; expected the same weights as before; "
                "choose another --output, name this one with --tracker NAME=FILE, or replace them with --force"
            )
        if noted != fingerprint:
            self._remove_results()
        write_whole(path, (json.dumps({"format": FORMAT, "fingerprint": fingerprint}) + "\n").encode())

    def _boxes_path(self, sequence: str) -> Path:
        return self.folder / f"{sequence}.txt"

    def _time_path(self, sequence: str) -> Path:
        return self.folder / f"{sequence}_time.txt"

    def _confidence_path(self, sequence: str) -> Path:
        return self.folder / f"{sequence}_confidence.txt"

    def _remove_results(self) -> None:
        for path in self.folder.glob("*.txt"):
            path.unlink()


def _read_rows(path: Path, columns: Sequence[str], frames: int) -> Floats:
    rows = read_table(path, columns)
    if len(rows) != frames:
        found = f"{len(rows)} {'line' if len(rows) == 1 else 'lines'}"
        raise InputDataError(
            f"{path} has {found}; expected {frames}, one per frame of the sequence; "
            "complete it, or track the sequence again with --force"
        )
    return rows


def _read_optional(path: Path, column: str, frames: int) -> Floats:
    return _read_rows(path, (column,), frames)[:, 0] if path.is_file() else np.full(frames, np.nan)


def _read_identity(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputDataError(
            f"{path} does not say whose results are beside it; expected what an earlier trackcli eval wrote there; "
            "remove it to take them as they are"
        ) from error
