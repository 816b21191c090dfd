"""What a person sees of a training run: a live line on a terminal, else a line every so often."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from trackcli.cli.console import Console
    from trackcli.training.report import StepReport
    from trackcli.training.run import TrainingRun

FIRST_LINE_S = 10.0
LINE_EVERY_S = 60.0
DETAIL_EVERY_S = 10.0
"""Between lines without a terminal; with ``-v`` they come more often."""

_SMOOTHING = 0.9


@dataclass
class Smoothed:
    """Means that forget slowly, so that a person can read them."""

    values: dict[str, float] = field(default_factory=dict)

    def follow(self, values: dict[str, float]) -> dict[str, float]:
        """The means after one more step."""
        self.values = {
            name: _SMOOTHING * self.values.get(name, value) + (1 - _SMOOTHING) * value for name, value in values.items()
        }
        return self.values


class TrainProgress:
    """Shows loss terms, pairs/s, the share of time spent waiting for data, and the time left.

    Args:
        progress: A live display; invisible where there is no terminal.
        task: Its task for the run.
        console: For lines.
        lines: Whether lines are printed.
        start: Steps done when the run began.
    """

    def __init__(self, progress: Progress, task: TaskID, console: Console, *, lines: bool, start: int) -> None:
        self._progress, self._task, self._console = progress, task, console
        self._lines, self._start = lines, start
        self._terms, self._speed = Smoothed(), Smoothed()
        self._began = time.monotonic()
        self._next_line = self._began + FIRST_LINE_S

    def on_step(self, run: TrainingRun, report: StepReport) -> None:
        """Show the step."""
        text = self._text(report)
        self._progress.update(self._task, completed=report.step, rate=text)
        now = time.monotonic()
        if self._lines and now >= self._next_line:
            self._next_line = now + (DETAIL_EVERY_S if self._console.verbose else LINE_EVERY_S)
            left = (now - self._began) / max(1, report.step - self._start) * (report.total - report.step)
            self._console.note(f"step {report.step}/{report.total}  {text}  {format_seconds(left)} left")

    def on_validation(self, step: int, figures: dict[str, float]) -> None:
        """A line that stays."""
        from trackcli.cli.train_run import format_figures

        self._console.note(f"step {step}: {format_figures(figures)}")

    def close(self) -> None:
        """The display is closed by whoever opened it."""

    def _text(self, report: StepReport) -> str:
        terms = "  ".join(f"{name} {value:.3f}" for name, value in self._terms.follow(report.terms).items())
        # Seconds per pair are what averages; pairs/s of uneven steps would not.
        speed = self._speed.follow({"seconds": 1 / max(report.pairs_per_second, 1e-9), "waiting": report.waiting})
        return f"{terms}  {1 / speed['seconds']:.0f} pairs/s  {speed['waiting']:.0%} waiting"


@contextmanager
def progress_of(run: TrainingRun, console: Console) -> Iterator[TrainProgress]:
    """A progress display for a run."""
    with console.progress() as progress:
        task = progress.add_task("training", total=run.total, completed=run.step, rate="")
        yield TrainProgress(progress, task, console, lines=progress.disable, start=run.step)


def format_seconds(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
