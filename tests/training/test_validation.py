"""Validation on the way: the best tracker and its checkpoint are kept, across interruptions too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from trackcli.composition.files import read_header
from trackcli.evaluation.one_pass import check_answer
from trackcli.training.best import best_figure, best_step
from trackcli.training.observe import MetricsLog
from trackcli.training.observe import drive as observed
from trackcli.training.validate import BestByValidation

if TYPE_CHECKING:
    from conftest import NewRun

EVERY = ("train.steps=6", "train.validate_every=1", "train.checkpoint_every=1", "train.keep=1")


def validate_with(figures: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracking for real is tested elsewhere; here the figures matter, in order."""
    stream = iter(figures)
    monkeypatch.setattr(
        "trackcli.training.validate.validate", lambda tracker, root, device: {"success_auc": next(stream)}
    )


def drive(run: object, root: Path, *, stop: int) -> None:
    best = BestByValidation(run, root)  # type: ignore[arg-type]
    for report in run.steps():  # type: ignore[attr-defined]
        if best.is_due(report.step):
            best.validate()
        if report.step == stop:
            break


def test_the_best_tracker_and_its_checkpoint_survive_later_ones_and_a_resume(
    new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate_with([0.2, 0.5, 0.4, 0.3, 0.45, 0.1], monkeypatch)
    drive(new_run(*EVERY), tmp_path, stop=3)
    resumed = new_run(*EVERY)
    assert resumed.resume() and resumed.step == 3
    drive(resumed, tmp_path, stop=6)
    best = resumed.folder / "best.safetensors"
    assert (best_step(best), best_figure(best)) == (2, 0.5)
    assert read_header(best).provenance["validation"] == {"success_auc": 0.5}
    assert sorted(path.name for path in resumed.folder.glob("checkpoint-*.pt")) == [
        "checkpoint-00000002.pt",
        "checkpoint-00000006.pt",
    ]


def test_a_tracker_that_answers_no_numbers_is_not_the_best_and_the_run_goes_on(
    new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(tracker: Path, root: Path, *, device: str) -> dict[str, float]:
        number = int(read_header(tracker).provenance["steps"])
        if number == 2:
            check_answer(np.full(4, np.nan), "clip", 7)
        return {"success_auc": number / 10}

    monkeypatch.setattr("trackcli.training.validate.validate", validate)
    run = new_run("train.steps=3", "train.validate_every=1")
    notes: list[str] = []
    run.note = notes.append
    driven = observed(run, [MetricsLog(run)], best=BestByValidation(run, tmp_path))
    assert driven.figures == {"success_auc": 0.3}
    (note,) = notes
    assert note.startswith("step 2: no validation: the tracker answered nan,nan,nan,nan on sequence clip, frame 7")
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation.success_auc" in line] == [1, 3]


def test_a_damaged_best_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    assert (best_step(path), best_figure(path)) == (None, -1.0)
    path.write_bytes(b"damaged")
    assert (best_step(path), best_figure(path)) == (None, -1.0)


def test_validation_is_due_in_epochs_or_steps_or_never(new_run: NewRun, tmp_path: Path) -> None:
    epochs = BestByValidation(new_run("train.validate_every='2 epochs'", "train.pairs_per_epoch=10"), tmp_path)
    assert [step for step in range(1, 31) if epochs.is_due(step)] == [10, 20, 30]
    never = BestByValidation(new_run(), tmp_path)
    assert not any(never.is_due(step) for step in range(1, 31))
