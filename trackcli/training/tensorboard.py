"""A run's curves and pictures for TensorBoard, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli.training.observe import is_logged
from trackcli.training.pictures import draw_snapshot
from trackcli.training.report import StepReport

if TYPE_CHECKING:
    from trackcli.training.run import TrainingRun

FOLDER = "tensorboard"
EVENTS = f"{FOLDER}/events.out.tfevents.*"
"""Inside a run folder: what an earlier run may have left."""

HOW_TO_INSTALL = "pip install 'trackcli[tensorboard]'"
FLUSH_EVERY_S = 10


def tensorboard_writer(folder: Path, step: int) -> Any | None:
    """A writer of events into a run folder; None where TensorBoard is not installed.

    Args:
        folder: The run folder.
        step: Steps done so far: curves beyond it, from before an interruption, are hidden.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / FOLDER), purge_step=step + 1 if step else None, flush_secs=FLUSH_EVERY_S)


class TensorBoardLog:
    """Writes scalars every 20 steps and pictures every ``train.pictures_every``.

    Tags: ``loss/<loss>.<term>`` and ``loss/total``, ``rate/<group>``, ``gradient_norm``, ``speed/pairs_per_second``,
    ``speed/waiting`` (share of the time), ``validation/<figure>``, ``pairs`` (pictures).

    Args:
        writer: A ``SummaryWriter``.
        pictures_every: Steps between pictures; 0: none.
    """

    def __init__(self, writer: Any, *, pictures_every: int) -> None:
        self._writer = writer
        self._pictures_every = pictures_every

    def on_step(self, run: TrainingRun, report: StepReport) -> None:
        """Scalars and pictures, where they are due; pictures also for the last step."""
        if is_logged(report):
            for tag, value in scalars_of(report).items():
                self._writer.add_scalar(tag, value, report.step)
        if self._pictures_every and (report.step % self._pictures_every == 0 or report.step == report.total):
            snapshot = run.snapshot()
            if snapshot is not None:
                self._writer.add_image("pairs", draw_snapshot(snapshot), report.step, dataformats="HWC")

    def on_validation(self, step: int, figures: dict[str, float]) -> None:
        """A point per figure."""
        for name, value in figures.items():
            self._writer.add_scalar(f"validation/{name}", value, step)

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()


def scalars_of(report: StepReport) -> dict[str, float]:
    """A step's numbers by tag."""
    return {
        **{f"loss/{name}": value for name, value in report.terms.items()},
        "loss/total": sum(report.terms.values()),
        **{f"rate/{group}": rate for group, rate in (report.rates or {"all": report.rate}).items()},
        "gradient_norm": report.gradient_norm,
        "speed/pairs_per_second": report.pairs_per_second,
        "speed/waiting": report.waiting,
    }
