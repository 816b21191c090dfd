"""Driving a run: observers see every step's report and every validation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

from trackcli.training.report import StepReport
from trackcli.training.run import TrainingRun
from trackcli.training.validate import BestByValidation

LOG_EVERY = 20
"""Steps between two lines of ``metrics.jsonl``, and between two points of TensorBoard's curves."""


class RunObserver(Protocol):
    """Told what a run does. Only the first of several processes has observers."""

    def on_step(self, run: TrainingRun, report: StepReport) -> None:
        """A step is done; ``run.snapshot()`` shows what the network makes of its pairs."""

    def on_validation(self, step: int, figures: dict[str, float]) -> None:
        """A validation is done."""

    def close(self) -> None:
        """The run is over, or was interrupted."""


@dataclass(frozen=True)
class Driven:
    """How a run ended.

    Attributes:
        last: The report of its last step; None if there was nothing left to do.
        figures: Those of the finished tracker, if it was validated; empty if that failed.
    """

    last: StepReport | None
    figures: dict[str, float] | None


def drive(run: TrainingRun, observers: Sequence[RunObserver], *, best: BestByValidation | None = None) -> Driven:
    """Train to the end.

    Args:
        run: What to drive.
        observers: Told after each step, in order; closed at the end and when the run is interrupted.
        best: Validates on the way and at the end.
    """
    watching = observers if run.world.is_first else ()
    last, figures, validated = None, None, -1
    with ExitStack() as stack:
        for observer in watching:
            stack.callback(observer.close)
        for last in stack.enter_context(closing(run.steps())):
            for observer in watching:
                observer.on_step(run, last)
            if best is not None and best.is_due(last.step):
                figures, validated = _validate(best, last.step, watching), last.step
        if best is not None and validated != run.step:
            figures = _validate(best, run.step, watching)
    return Driven(last, figures)


def _validate(best: BestByValidation, step: int, observers: Sequence[RunObserver]) -> dict[str, float]:
    figures = best.validate()
    for observer in observers if figures else ():
        observer.on_validation(step, figures)
    return figures


def is_logged(report: StepReport) -> bool:
    """Whether a step is one of those that are put on record."""
    return report.step % LOG_EVERY == 0 or report.step == report.total


class MetricsLog:
    """Writes ``metrics.jsonl``."""

    def __init__(self, run: TrainingRun) -> None:
        self._metrics = run.metrics

    def on_step(self, run: TrainingRun, report: StepReport) -> None:
        """A line every 20 steps, and one for the last."""
        if is_logged(report):
            self._metrics.write(report)

    def on_validation(self, step: int, figures: dict[str, float]) -> None:
        """A line of its own."""
        self._metrics.write_validation(step, figures)

    def close(self) -> None:
        """Nothing is held open."""
