"""Evaluation of one tracker on a dataset: run what is not there yet, keep it, score all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from trackcli.errors import InputDataError
from trackcli.evaluation.datasets import EvaluationSequence, names_of
from trackcli.evaluation.methods import Method, OneByOne, Task
from trackcli.evaluation.metrics import Score, has_counted_frames, mean_score, score_boxes
from trackcli.evaluation.one_pass import DECODE_STAGE, Tracked, Tracker, TrackerFailedError, run_tracker
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.variants import TRACKCLI, Variant
from trackcli.video.images import read_image

__all__ = [
    "DECODE_STAGE",
    "SequenceResult",
    "Tracked",
    "Tracker",
    "TrackerFailedError",
    "TrackerResult",
    "evaluate",
    "read_results",
    "run_tracker",
]


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """One tracker on one sequence.

    Attributes:
        name: The sequence's.
        frames: Its length.
        score: Agreement with the ground truth, the mean over repetitions; ``None`` if the truth is not public.
        seconds: The tracker's own time for all frames, the mean over repetitions; NaN if unknown.
        reused: Whether the trajectory was read from a result file.
        attributes: What makes the sequence hard.
        repetitions: How often it was tracked.
        shifted: The result file counts pixels from 1.
    """

    name: str
    frames: int
    score: Score | None
    seconds: float
    reused: bool
    attributes: tuple[str, ...] = ()
    repetitions: int = 1
    shifted: bool = False

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
    def scored(self) -> tuple[SequenceResult, ...]:
        """Those whose ground truth is public."""
        return tuple(result for result in self.sequences if result.score is not None)

    @property
    def score(self) -> Score:
        """Mean over the sequences.

        Raises:
            ValueError: if none could be scored.
        """
        return mean_score([result.score for result in self.sequences if result.score is not None])

    @property
    def frames(self) -> int:
        """Frames of all sequences."""
        return sum(result.frames for result in self.sequences)

    @property
    def fps(self) -> float:
        """All frames over all seconds of the tracker alone; NaN if the time of any sequence is unknown."""
        return _rate(self.frames, sum(result.seconds for result in self.sequences))


def evaluate(
    tracker: Tracker | Method,
    sequences: Sequence[EvaluationSequence],
    *,
    store: ResultStore | None = None,
    force: bool = False,
    on_sequence: Callable[[SequenceResult], None] = lambda result: None,
    variant: Variant = TRACKCLI,
    repetitions: int = 1,
    read_more: bool = False,
) -> TrackerResult:
    """Evaluate one tracker on sequences; what ``store`` already holds is read instead of tracked again.

    Args:
        tracker: What to evaluate, or how to get its runs done.
        sequences: On what; at least one.
        store: Where trajectories are kept, each as soon as it is finished; ``None`` keeps nothing.
        force: Track even what the store holds, and replace it.
        on_sequence: Called with each result as it is known.
        variant: How frames are counted.
        repetitions: How often each sequence is tracked.
        read_more: Read all repetitions that ``store`` holds, as :func:`read_results` does, even if they are more.

    Raises:
        InputDataError: if an image or a kept result cannot be used.
        CacheError: if a result cannot be written.
        TrackerFailedError: if the tracker fails.
    """
    method = tracker if isinstance(tracker, Method) else OneByOne(tracker)
    results: dict[int, SequenceResult] = {}

    def finish(index: int, trajectories: Sequence[Trajectory], *, reused: bool) -> None:
        results[index] = _score(sequences[index], trajectories, variant, reused=reused)
        on_sequence(results[index])

    fresh = []
    for index, name in enumerate(names_of(sequences)):
        kept = 0 if store is None or force else store.repetitions(name)
        if store is not None and kept >= repetitions:
            finish(index, _read_all(store, sequences[index], kept if read_more else repetitions), reused=True)
        else:
            fresh.append(index)
    tasks = [Task(index, repetition) for index in fresh for repetition in range(repetitions)]
    unfinished: dict[int, dict[int, Trajectory]] = {}
    for task, trajectory in method.run(sequences, tasks):
        runs = unfinished.setdefault(task.index, {})
        runs[task.repetition] = trajectory
        if len(runs) == repetitions:
            ordered = [runs[repetition] for repetition in range(repetitions)]
            if store is not None:
                store.write(sequences[task.index].name, *ordered)
            finish(task.index, ordered, reused=False)
            del unfinished[task.index]
    return TrackerResult(tuple(results[index] for index in range(len(sequences))), method.timer.milliseconds())


def read_results(
    store: ResultStore,
    sequences: Sequence[EvaluationSequence],
    *,
    variant: Variant = TRACKCLI,
    on_sequence: Callable[[SequenceResult], None] = lambda result: None,
) -> TrackerResult:
    """Evaluate results that are there already, all repetitions that are found.

    Raises:
        InputDataError: if one is missing or cannot be used.
    """
    results = []
    for sequence in sequences:
        trajectories = _read_all(store, sequence, max(store.repetitions(sequence.name), 1))
        results.append(_score(sequence, trajectories, variant, reused=True))
        on_sequence(results[-1])
    return TrackerResult(tuple(results))


def _read_all(store: ResultStore, sequence: EvaluationSequence, repetitions: int) -> list[Trajectory]:
    first = sequence.boxes_xywh[0]
    return [store.read_from(sequence.name, first, len(sequence), index) for index in range(repetitions)]


def _score(
    sequence: EvaluationSequence, trajectories: Sequence[Trajectory], variant: Variant, *, reused: bool
) -> SequenceResult:
    score = None
    if not sequence.truth_hidden:
        height, width = read_image(sequence.image_paths[0]).shape[:2] if variant.move_into_image else (0, 0)
        size_wh = (width, height) if variant.move_into_image else None
        marked = sequence.marked(variant.marks)
        if not has_counted_frames(sequence.boxes_xywh, variant, marked):
            raise InputDataError(
                f"sequence {sequence.name}: with variant {variant.name} no frame counts, since the target is absent or "
                "marked as hidden in all but the first; leave it out with --sequences, or choose another --variant"
            )
        scores = [
            score_boxes(one.boxes_xywh, sequence.boxes_xywh, variant=variant, hidden=marked, size_wh=size_wh)
            for one in trajectories
        ]
        # Repetitions are of the same frames: a sequence does not count for more because it was tracked more often.
        score = replace(mean_score(scores), evaluated_frames=scores[0].evaluated_frames)
    return SequenceResult(
        name=sequence.name,
        frames=len(sequence),
        score=score,
        seconds=sum(one.total_seconds for one in trajectories) / len(trajectories),
        reused=reused,
        attributes=sequence.attributes,
        repetitions=len(trajectories),
        shifted=any(one.shifted for one in trajectories),
    )


def _rate(frames: int, seconds: float) -> float:
    return frames / seconds if seconds > 0 else math.nan
