"""One-pass evaluation: start a tracker with the first true box, never help it again, and score what it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError
from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.metrics import Floats, Score, mean_score, score_boxes
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.tracking.timing import StageTimer
from trackcli.video.images import read_image

DECODE_STAGE = "decode"
GIVEN_SCORE = 1.0
_SAME_BOX_PIXELS = 1e-3

Image = NDArray[np.uint8]


class Tracked(Protocol):
    """One answer of a tracker: ``boxes_xyxy`` ``(B, 4)`` image pixels and ``scores`` ``(B,)``, arrays or tensors."""

    @property
    def boxes_xyxy(self) -> Any:
        """``(B, 4)`` image pixels."""

    @property
    def scores(self) -> Any:
        """``(B,)`` confidence."""


class Tracker(Protocol):
    """What can be evaluated. A ``timer`` attribute (:class:`StageTimer`), where there is one, is reported."""

    @property
    def name(self) -> str:
        """Its name in tables and result folders."""

    def start(self, image: Image, boxes_xywh: Floats, /) -> None:
        """Begin with ``(H, W, 3)`` RGB uint8 and ``(B, 4)`` boxes in pixels."""

    def update(self, image: Image, /) -> Tracked:
        """Find the targets in the next frame, ``(H, W, 3)`` RGB uint8."""


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """One tracker on one sequence.

    Attributes:
        name: The sequence's.
        frames: Its length.
        score: Agreement with the ground truth.
        seconds: The tracker's own time for all frames; NaN if unknown.
        reused: Whether the trajectory was read from a result file.
    """

    name: str
    frames: int
    score: Score
    seconds: float
    reused: bool

    @property
    def fps(self) -> float:
        """Frames per second of the tracker alone; NaN if unknown."""
        return _rate(self.frames, self.seconds)


@dataclass(frozen=True, eq=False)
class TrackerResult:
    """One tracker on a dataset.

    Attributes:
        sequences: One result each, in the dataset's order.
        milliseconds: Mean time per call of each stage, over what was tracked now (nothing, if all was reused).
    """

    sequences: tuple[SequenceResult, ...]
    milliseconds: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> Score:
        """Mean over the sequences, each of equal weight."""
        return mean_score([result.score for result in self.sequences])

    @property
    def frames(self) -> int:
        """Frames of all sequences."""
        return sum(result.frames for result in self.sequences)

    @property
    def fps(self) -> float:
        """All frames over all seconds of the tracker alone; NaN if the time of any sequence is unknown."""
        return _rate(self.frames, sum(result.seconds for result in self.sequences))


def run_tracker(tracker: Tracker, sequence: EvaluationSequence, *, timer: StageTimer | None = None) -> Trajectory:
    """Track one sequence once, from its first true box.

    Args:
        tracker: Started anew.
        sequence: What to track.
        timer: Gets the time for reading images as stage ``decode``; this is not part of the trajectory's seconds.

    Returns:
        One row per frame. Row 0 is the true box with score 1, and its time is that of ``start``.

    Raises:
        InputDataError: if an image cannot be read.
    """
    timer = timer or StageTimer()
    frames = len(sequence)
    boxes, scores, seconds = np.empty((frames, 4)), np.empty(frames), np.empty(frames)
    for index, path in enumerate(sequence.image_paths):
        with timer.stage(DECODE_STAGE):
            image = read_image(path)
        began = time.perf_counter()
        if index == 0:
            tracker.start(image, sequence.boxes_xywh[:1].copy())
            boxes[0], scores[0] = sequence.boxes_xywh[0], GIVEN_SCORE
        else:
            boxes[index], scores[index] = _read_out(tracker.update(image))
        seconds[index] = time.perf_counter() - began
    return Trajectory(boxes, scores, seconds)


def evaluate(
    tracker: Tracker,
    sequences: Sequence[EvaluationSequence],
    *,
    store: ResultStore | None = None,
    force: bool = False,
    on_sequence: Callable[[SequenceResult], None] = lambda result: None,
) -> TrackerResult:
    """Evaluate one tracker on sequences; what ``store`` already holds is read instead of tracked again.

    Args:
        tracker: What to evaluate.
        sequences: On what; at least one.
        store: Where trajectories are kept, each as soon as it is finished; ``None`` keeps nothing.
        force: Track even what the store holds, and replace it.
        on_sequence: Called with each result as it is known.

    Raises:
        InputDataError: if an image or a kept result cannot be used.
        CacheError: if a result cannot be written.
    """
    timer = getattr(tracker, "timer", None) or StageTimer()
    results = []
    for sequence in sequences:
        reused = store is not None and not force and store.has(sequence.name)
        if store is not None and reused:
            trajectory = _read_kept(store, sequence)
        else:
            trajectory = run_tracker(tracker, sequence, timer=timer)
            if store is not None:
                store.write(sequence.name, trajectory)
        score = score_boxes(trajectory.boxes_xywh, sequence.boxes_xywh)
        result = SequenceResult(sequence.name, len(sequence), score, trajectory.total_seconds, reused)
        results.append(result)
        on_sequence(result)
    return TrackerResult(tuple(results), timer.milliseconds())


def _read_out(tracked: Tracked) -> tuple[Floats, float]:
    """The first target's box as ``(4,)`` xywh and its score, from whatever device they are on."""
    corners = _to_floats(tracked.boxes_xyxy)[0]
    return np.concatenate((corners[:2], corners[2:] - corners[:2])), float(_to_floats(tracked.scores)[0])


def _to_floats(values: Any) -> Floats:
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values, dtype=np.float64)


def _read_kept(store: ResultStore, sequence: EvaluationSequence) -> Trajectory:
    """Read a kept result and make sure that it begins where the sequence does."""
    trajectory = store.read(sequence.name, len(sequence))
    kept, given = trajectory.boxes_xywh[0], sequence.boxes_xywh[0]
    if not np.allclose(kept, given, rtol=0, atol=_SAME_BOX_PIXELS):
        raise InputDataError(
            f"{store.folder / sequence.name}.txt begins at {_show(kept)}, but sequence {sequence.name} at "
            f"{_show(given)}; expected results of this sequence; track it again with --force"
        )
    return trajectory


def _show(box_xywh: Floats) -> str:
    return ",".join(f"{value:g}" for value in box_xywh)


def _rate(frames: int, seconds: float) -> float:
    return frames / seconds if seconds > 0 else math.nan
