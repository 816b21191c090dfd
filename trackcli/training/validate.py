"""Validation by really tracking: the figures of one-pass evaluation on a folder of sequences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from trackcli.evaluation.datasets import load_folder_sequences
from trackcli.evaluation.runner import evaluate
from trackcli.tracking.tracker import RUN_TRACKER, load
from trackcli.training.run import METRICS_FILE, VALIDATION_PREFIX, TrainingRun

BEST_TRACKER = "best.safetensors"


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
    """
    score = evaluate(load(tracker_file, device=device), load_folder_sequences(root)).score
    return {
        "success_auc": score.success_auc,
        "precision_20": score.precision,
        "mean_overlap": score.mean_overlap,
    }


class BestByValidation:
    """Validates a run on its way and keeps the tracker with the highest success AUC as ``best.safetensors``."""

    def __init__(self, run: TrainingRun, root: Path) -> None:
        self._run = run
        self._root = root
        self._highest = _highest_so_far(run.folder / METRICS_FILE)

    def is_due(self, step: int) -> bool:
        """Whether ``train.validate_every`` asks for a validation at this step."""
        every = self._run.config.validate_every
        return every > 0 and step % every == 0

    def validate(self) -> dict[str, float]:
        """Write the tracker as it stands, track with it, keep it if it is the best so far."""
        self._run.checkpoint()
        tracker = self._run.folder / RUN_TRACKER
        figures = validate(tracker, self._root, device=str(self._run.device))
        if figures["success_auc"] > self._highest:
            self._highest = figures["success_auc"]
            shutil.copyfile(tracker, self._run.folder / BEST_TRACKER)
        return figures


def _highest_so_far(metrics: Path) -> float:
    """The best success AUC that an interrupted run had reached; -1 for a fresh run."""
    if not metrics.is_file():
        return -1.0
    lines = (json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines())
    return max((line.get(f"{VALIDATION_PREFIX}success_auc", -1.0) for line in lines), default=-1.0)
