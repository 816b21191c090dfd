"""Validation by really tracking: the figures of one-pass evaluation on a folder of sequences."""

from __future__ import annotations

from pathlib import Path

from trackcli.evaluation.datasets import load_folder_sequences
from trackcli.evaluation.one_pass import AnswerNotFiniteError
from trackcli.evaluation.runner import evaluate
from trackcli.tracking.tracker import RUN_TRACKER, load
from trackcli.training.best import BEST_TRACKER, DECISIVE, VALIDATION, best_figure
from trackcli.training.run import TrainingRun


def validate(tracker_file: Path, root: Path, *, device: str) -> dict[str, float]:
    """Track every sequence under ``root`` once.

    Args:
        tracker_file: The tracker to validate.
        root: ``ROOT/<sequence>/{img/*, groundtruth.txt}``.
        device: Where to track.

    Returns:
        ``success_auc``, ``precision_20`` and ``mean_overlap``, means over sequences, in 0..1.

    Raises:
        InputDataError: if the sequences cannot be read.
        AnswerNotFiniteError: if the tracker answers NaN or infinity.
    """
    score = evaluate(load(tracker_file, device=device), load_folder_sequences(root)).score
    return {
        "success_auc": score.success_auc,
        "precision_20": score.precision,
        "mean_overlap": score.mean_overlap,
    }


class BestByValidation:
    """Validates a run on its way and keeps the tracker with the highest success AUC as ``best.safetensors``.

    Its checkpoint is kept too. What was best before an interruption still counts.
    """

    def __init__(self, run: TrainingRun, root: Path) -> None:
        self._run = run
        self._root = root

    def is_due(self, step: int) -> bool:
        """Whether ``train.validate_every`` asks for a validation at this step."""
        every = self._run.timeline.steps_in(self._run.config.validate_every)
        return every > 0 and step % every == 0

    def validate(self) -> dict[str, float]:
        """Write the tracker as it stands, track with it, keep it if it is the best so far.

        The first process does it while the others wait; all of them get the figures. There are none if the tracker's
        answers are not finite, which is said: days of training are not to end with it.
        """
        figures = self._validate() if self._run.world.is_first else {}
        result: dict[str, float] = self._run.world.from_first(figures)
        return result

    def _validate(self) -> dict[str, float]:
        run, best = self._run, self._run.folder / BEST_TRACKER
        run.checkpoint()
        try:
            figures = validate(run.folder / RUN_TRACKER, self._root, device=str(run.device))
        except AnswerNotFiniteError as error:
            run.note(f"step {run.step}: no validation: {error}")
            return {}
        if figures[DECISIVE] > best_figure(best):
            run.save_tracker(BEST_TRACKER, **{VALIDATION: figures})
        return figures
