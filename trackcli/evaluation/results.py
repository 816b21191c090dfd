"""The result files of one tracker on one dataset: written whole, read back to the last bit, never cut to integers.

``docs/evaluation.md`` describes them; :mod:`trackcli.evaluation.layouts` knows their names,
:mod:`trackcli.evaluation.ownership` whose results they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.errors import CacheError
from trackcli_cache.files import only_writer

from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.ownership import OWNER_FILE, Owner, read_owner, write_owner
from trackcli.evaluation.text_tables import read_table, write_table

BOX_COLUMNS = ("x", "y", "w", "h")
MAX_REPETITIONS = 999
"""What three digits can number."""

_SAME_BOX_PIXELS = 1e-3
_ROUNDED_PIXELS = 1.0
_FROM_ONE = np.array([1.0, 1.0, 0.0, 0.0])

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a tracker answered on one sequence.

    Attributes:
        boxes_xywh: ``(T, 4)`` float64, image pixels, 0-based top-left; row 0 is the box it was given.
        scores: ``(T,)`` its confidence; NaN where unknown.
        seconds: ``(T,)`` its own time for each frame, without reading the image; NaN where unknown.
        shifted: Its file counts pixels from 1; the boxes here are shifted to count from 0.

    Raises:
        ShapeError: if the lengths differ.
    """

    boxes_xywh: Floats
    scores: Floats
    seconds: Floats
    shifted: bool = False

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
        layout: How the files are arranged in it.
        foreign: Other toolkits wrote them: whole pixels, or pixels counted from 1, are nothing unusual.
        names: What the files call sequences that they call otherwise.
    """

    folder: Path
    layout: Layout = Layout.FLAT
    foreign: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether ``trackcli eval`` wrote to the folder, rather than another toolkit."""
        return (self.folder / OWNER_FILE).is_file()

    @property
    def root(self) -> Path | None:
        """Where the data lay that the results are of; ``None`` if there is no note of it.

        Raises:
            InputDataError: if the note cannot be read.
        """
        owner = read_owner(self.folder)
        return None if owner is None else owner.root

    @contextmanager
    def claimed(self, fingerprint: str, root: Path | None = None, *, replace: bool = False) -> Iterator[None]:
        """Be the only one to write to the folder while the block runs, and note in it whose results it holds.

        The note keeps results of two trackers, or on two sets of data, from being mixed. Results without one, as other
        toolkits leave them, are taken as this tracker's on this data.

        Args:
            fingerprint: Equal for equal trackers.
            root: The dataset, absolute; ``None`` leaves it unsaid.
            replace: Remove the results of another tracker or on other data instead of refusing to go on.

        Raises:
            UsageError: if the folder holds results of another tracker, or on other data that is still there.
            InputDataError: if the note cannot be read.
            CacheError: if the folder cannot be written to, or another process does so.
        """
        with only_writer(self.folder):
            self._note_owner(Owner(fingerprint, root), replace=replace)
            yield

    def refuse_another(self, fingerprint: str, root: Path | None = None) -> None:
        """Say at once what :meth:`claimed` would say later.

        Raises:
            UsageError: if the folder holds results of another tracker, or on other data that is still there.
            InputDataError: if the note cannot be read.
        """
        objection = self._objection(Owner(fingerprint, root))
        if objection is not None:
            raise UsageError(f"{self.folder} holds results {objection}, or replace them with --force")

    def _objection(self, now: Owner) -> str | None:
        """Why results may not be added to those in the folder, and what to do."""
        noted = read_owner(self.folder)
        return None if noted is None else noted.objection_to(now)

    def has(self, sequence: str, repetitions: int = 1) -> bool:
        """Whether the sequence is finished: its boxes are written last."""
        return all(self.boxes_path(sequence, index).is_file() for index in range(repetitions))

    def boxes_path(self, sequence: str, repetition: int = 0) -> Path:
        """Path of the boxes of one repetition, counted from 0."""
        return self.layout.boxes(self.folder, self._name_of(sequence), repetition)

    def _name_of(self, sequence: str) -> str:
        return self.names.get(sequence, sequence)

    def repetitions(self, sequence: str) -> int:
        """How often the sequence was tracked: boxes numbered without a gap."""
        found = 0
        while found < MAX_REPETITIONS and self.boxes_path(sequence, found).is_file():
            found += 1
        return found

    def write(self, sequence: str, *trajectories: Trajectory) -> None:
        """Write one sequence's files, each of them whole, into the folder of :meth:`claimed`.

        More repetitions than these, of an earlier time, are removed.

        Args:
            sequence: Its name.
            trajectories: One per repetition, of equal lengths.

        Raises:
            CacheError: if they cannot be written.
        """
        self._remove_repetitions(sequence, len(trajectories))
        by_column = self.layout.columns_are_repetitions
        groups = [trajectories] if by_column else [(trajectory,) for trajectory in trajectories]
        for index, group in enumerate(groups):
            _write(self.layout.seconds(self.folder, sequence, index), np.stack([one.seconds for one in group], axis=1))
            _write(self.layout.scores(self.folder, sequence, index), np.stack([one.scores for one in group], axis=1))
        for index, trajectory in reversed(list(enumerate(trajectories))):
            _write(self.boxes_path(sequence, index), trajectory.boxes_xywh)

    def _remove_repetitions(self, sequence: str, first: int) -> None:
        """Remove repetitions from ``first`` on, the last first, so that an interrupted removal leaves no gap."""
        for index in reversed(range(first, self.repetitions(sequence))):
            self.boxes_path(sequence, index).unlink()
            if not self.layout.columns_are_repetitions:
                self.layout.seconds(self.folder, sequence, index).unlink(missing_ok=True)
                self.layout.scores(self.folder, sequence, index).unlink(missing_ok=True)

    def read(self, sequence: str, frames: int, repetition: int = 0) -> Trajectory:
        """Read one sequence's files; without times or scores these are NaN.

        Args:
            sequence: Its name.
            frames: How many rows there must be.
            repetition: Which of several runs, from 0.

        Raises:
            InputDataError: if a file cannot be read, has another number of rows, or a box that is not finite.
        """
        name, column = self._name_of(sequence), repetition if self.layout.columns_are_repetitions else 0
        return Trajectory(
            boxes_xywh=self._read_boxes(sequence, frames, repetition),
            scores=self._read_column(self.layout.scores(self.folder, name, repetition), "score", frames, column),
            seconds=self._read_column(self.layout.seconds(self.folder, name, repetition), "seconds", frames, column),
        )

    def read_from(self, sequence: str, first_box_xywh: Floats, frames: int, repetition: int = 0) -> Trajectory:
        """Read one sequence's files and make sure that they begin where the sequence does.

        Foreign results may begin up to a pixel off, as some toolkits write whole pixels. If they begin exactly one
        pixel right and below, they count pixels from 1, as OTB's annotations do, and are shifted back.

        Raises:
            InputDataError: if they do not, or cannot be read.
        """
        trajectory = self.read(sequence, frames, repetition)
        kept = trajectory.boxes_xywh[0]
        if self.layout is Layout.VOT and np.isnan(kept).all():
            trajectory.boxes_xywh[0] = first_box_xywh
        elif self.foreign and _is_near(kept, first_box_xywh + _FROM_ONE, _SAME_BOX_PIXELS):
            return replace(trajectory, boxes_xywh=trajectory.boxes_xywh - _FROM_ONE, shifted=True)
        elif not _is_near(kept, first_box_xywh, _ROUNDED_PIXELS if self.foreign else _SAME_BOX_PIXELS):
            raise InputDataError(
                f"{self.boxes_path(sequence, repetition)} begins at {_show(kept)}, but sequence "
                f"{sequence} at {_show(first_box_xywh)}; expected results of this sequence; {self._remedy}"
            )
        return trajectory

    def _read_boxes(self, sequence: str, frames: int, repetition: int) -> Floats:
        path = self.boxes_path(sequence, repetition)
        rows = read_table(path, BOX_COLUMNS, start_code=self.layout is Layout.VOT, finite=True)
        self._check_length(path, rows, frames)
        return rows

    def _read_column(self, path: Path, name: str, frames: int, column: int) -> Floats:
        """One column of a file with one number per repetition on each line; NaN if there is no such file or column."""
        if not path.is_file():
            return np.full(frames, np.nan)
        rows = read_table(path, (name,), repeated=True)
        self._check_length(path, rows, frames)
        return np.asarray(rows[:, column]) if column < rows.shape[1] else np.full(frames, np.nan)

    def _check_length(self, path: Path, rows: Floats, frames: int) -> None:
        if len(rows) != frames:
            found = f"{len(rows)} {'line' if len(rows) == 1 else 'lines'}"
            raise InputDataError(
                f"{path} has {found}; expected {frames}, one per frame of the sequence; {self._remedy}"
            )

    @property
    def _remedy(self) -> str:
        """What to do about a file that cannot be used."""
        return "correct it, or choose others with --sequences" if self.foreign else "track it again with --force"

    def _note_owner(self, now: Owner, *, replace: bool) -> None:
        if not replace:
            self.refuse_another(now.fingerprint, now.root)
        elif self._objection(now) is not None:
            self._remove_results()
        write_owner(self.folder, now)

    def _remove_results(self) -> None:
        for path in (*self.folder.glob("*.txt"), *self.folder.glob("*/*.txt")):
            path.unlink()


def _write(path: Path, rows: Floats) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(f"cannot make {path.parent}: {error.strerror}; choose another --output") from error
    write_table(path, rows)


def _is_near(box_xywh: Floats, other_xywh: Floats, pixels: float) -> bool:
    return bool(np.allclose(box_xywh, other_xywh, rtol=0, atol=pixels))


def _show(box_xywh: Floats) -> str:
    return ",".join(f"{value:g}" for value in box_xywh)
