"""Driving a run: who is told what, and what a person sees without a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trackcli.cli import train_progress
from trackcli.cli.console import Console
from trackcli.cli.train_progress import Smoothed, format_seconds, progress_of
from trackcli.training.observe import MetricsLog, drive
from trackcli.training.validate import BestByValidation

if TYPE_CHECKING:
    from conftest import NewRun

    from trackcli.training.report import StepReport
    from trackcli.training.run import TrainingRun


class Diary:
    """Notes everything it is told."""

    def __init__(self, fail_at: int = 0) -> None:
        self.entries: list[object] = []
        self._fail_at = fail_at

    def on_step(self, run: TrainingRun, report: StepReport) -> None:
        self.entries.append(report.step)
        if report.step == self._fail_at:
            raise KeyboardInterrupt

    def on_validation(self, step: int, figures: dict[str, float]) -> None:
        self.entries.append((step, figures))

    def close(self) -> None:
        self.entries.append("closed")


def test_steps_and_validations_come_in_order_and_the_end_is_validated_once(
    new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([{"success_auc": 0.25}, {"success_auc": 0.5}])
    monkeypatch.setattr("trackcli.training.validate.validate", lambda tracker, root, device: next(figures))
    run, diary = new_run("train.steps=4", "train.validate_every=2"), Diary()
    driven = drive(run, [MetricsLog(run), diary], best=BestByValidation(run, tmp_path))
    assert diary.entries == [1, 2, (2, {"success_auc": 0.25}), 3, 4, (4, {"success_auc": 0.5}), "closed"]
    assert driven.last is not None and driven.last.step == 4
    assert driven.figures == {"success_auc": 0.5}
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 2, "validation.success_auc": 0.25}
    assert {"step", "epoch", "rate", "gradient_norm", "pairs_per_second", "waiting", "rpn.box"} <= lines[1].keys()
    assert lines[2] == {"step": 4, "validation.success_auc": 0.5}


def test_a_finished_run_is_validated_without_a_step(
    new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackcli.training.validate.validate", lambda tracker, root, device: {"success_auc": 0.5})
    run = new_run("train.steps=1")
    drive(run, [])
    driven = drive(run, [], best=BestByValidation(run, tmp_path))
    assert driven.last is None and driven.figures == {"success_auc": 0.5}


def test_an_interrupted_run_is_saved_and_its_observers_are_closed(new_run: NewRun) -> None:
    run, diary = new_run("train.steps=4"), Diary(fail_at=2)
    with pytest.raises(KeyboardInterrupt):
        drive(run, [diary])
    assert diary.entries == [1, 2, "closed"]
    assert (run.folder / "checkpoint-00000002.pt").is_file()


def test_without_a_terminal_a_line_comes_every_so_often(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_progress, "FIRST_LINE_S", 0.0)
    run = new_run("train.steps=3")
    with progress_of(run, Console()) as progress:
        drive(run, [progress])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("step 1/3  rpn.classification ")
    assert "pairs/s" in line and "% waiting" in line and line.endswith(" left")
    with progress_of(run, Console(quiet=True)) as progress:
        progress.on_validation(3, {"success_auc": 0.5})
    assert capsys.readouterr().err == ""


def test_means_forget_slowly() -> None:
    smoothed = Smoothed()
    assert smoothed.follow({"a": 1.0}) == {"a": 1.0}
    assert smoothed.follow({"a": 2.0}) == pytest.approx({"a": 1.1})


@pytest.mark.parametrize(("seconds", "text"), [(45.4, "45 s"), (600, "10 min"), (9000, "2.5 h")])
def test_time_left_is_short(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
