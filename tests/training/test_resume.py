"""Killed at any moment and resumed, a run ends with the weights of the uninterrupted one, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from trackcli.errors import InputDataError
from trackcli.training.checkpoint import load_latest

if TYPE_CHECKING:
    from conftest import NewRun

LENGTH = ("--steps", "9", "--set", "train.checkpoint_every=3", "--set", "train.ema=0.9", "--set", "train.keep=2")

CASES = {
    "whole": ("never", 1, 0),
    "step": ("in a step", 5, 3),
    "optimiser": ("in the optimiser", 8, 6),
    "half-a-checkpoint": ("writing a checkpoint", 2, 3),
    "half-the-first": ("writing a checkpoint", 1, 0),
    "before-the-rename": ("before the rename", 2, 3),
    "after-the-rename": ("after the rename", 2, 6),
    "tracker": ("writing the tracker", 2, 6),
    "damage": ("in a step", 8, 3),
}
"""By name: the moment at which the run is killed, the how many-th such moment, and the step it can go on from."""


def final_state(folder: Path) -> dict[str, Any]:
    state, complaints = load_latest(folder)
    assert state is not None and state["step"] == 9 and complaints == []
    return state


def assert_same(first: Any, second: Any, where: str = "state") -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for name, value in first.items():
            assert_same(value, second[name], f"{where}.{name}")
    elif isinstance(first, list):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_same(one, other, f"{where}.{index}")
    else:
        assert first == second, where


@pytest.fixture(scope="module")
def runs(train_options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run for every case, killed and resumed, but for the whole one."""
    if os.name == "nt":
        pytest.skip("Windows has neither fork nor SIGKILL")
    folder = tmp_path_factory.mktemp("runs")
    cases = {name: (moment, nth) for name, (moment, nth, _) in CASES.items()}
    order = json.dumps({"options": [*train_options, *LENGTH], "cases": cases})
    program = [sys.executable, str(Path(__file__).with_name("killing.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(program, input=order, text=True, check=True, cwd=folder, env=environment)
    return folder


@pytest.mark.parametrize("name", [name for name in CASES if name != "whole"])
def test_a_killed_run_ends_as_the_uninterrupted_one(name: str, runs: Path) -> None:
    outcome = json.loads((runs / f"{name}.json").read_text())
    assert (outcome["ended"], outcome["resumed"]) == (-signal.SIGKILL, 0), outcome["said"]
    step = CASES[name][2]
    said = outcome["said"].splitlines()
    assert (f"resuming at step {step}" if step else "nothing to resume: starting at step 0") in said
    assert_same(final_state(runs / "whole"), final_state(runs / name))
    trackers = (load_file(runs / run / "tracker.safetensors") for run in ("whole", name))
    assert_same(*trackers)
    assert not list((runs / name).glob("*.part"))


def test_a_damaged_checkpoint_is_said(runs: Path) -> None:
    said = json.loads((runs / "damage.json").read_text())["said"].splitlines()
    assert "checkpoint-00000006.pt is damaged (ValueError); using the one before" in said


def test_metrics_have_every_step_once_after_a_resume(new_run: NewRun) -> None:
    settings = ("train.steps=6", "train.checkpoint_every=2")
    broken = new_run(*settings)
    for report in broken.steps():
        broken.metrics.write(report)
        if report.step == 4:
            broken._between_steps = False  # as if killed: no checkpoint at the exit
            break
    (broken.folder / "checkpoint-00000004.pt").unlink()
    with (broken.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "ra')
    resumed = new_run(*settings)
    assert resumed.resume()
    for report in resumed.steps():
        resumed.metrics.write(report)
    lines = (resumed.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_another_batch_size_is_said(new_run: NewRun) -> None:
    list(new_run("train.steps=2").steps())
    resumed = new_run("train.steps=2", "train.batch=4")
    lines: list[str] = []
    resumed.note = lines.append
    assert resumed.resume()
    assert lines == ["train.batch was 2 and is now 4: from here on the run sees other pairs than it would have"]


def test_a_checkpoint_of_another_composition_is_refused(new_run: NewRun) -> None:
    list(new_run("train.steps=2").steps())
    with pytest.raises(InputDataError, match=r"^the checkpoint does not fit this recipe \(.*\); resume with the run's"):
        new_run("train.steps=2", "matcher.channels=16").resume()


def test_what_had_no_weights_is_remembered(new_run: NewRun) -> None:
    run = new_run("train.steps=2")
    run.start_from(frozenset({"backbone.conv1.weight"}))
    next(reports := run.steps())
    reports.close()
    resumed = new_run("train.steps=2")
    assert resumed.resume()
    assert resumed.engine.fresh == {"backbone.conv1.weight"}
