"""The run: going on after a pause, interrupts, and the command as users type it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from trackcli.errors import InputDataError, UsageError
from trackcli.training.checkpoint import load_latest
from trackcli.training.setup import DataSource

if TYPE_CHECKING:
    from conftest import Cli, NewRun

ENOUGH = ("train", "--data", "cache", "-o", "run")


def test_resuming_gives_the_weights_of_the_uninterrupted_run_bit_for_bit(new_run: NewRun) -> None:
    settings = ("train.steps=6", "train.ema=0.9", "train.optimizer='adamw'", "train.unfreeze={layer2 = 0.4}")
    whole = new_run(*settings, folder="whole")
    list(whole.steps())
    broken = new_run(*settings, folder="broken")
    reports = broken.steps()
    for _ in range(3):
        next(reports)
    reports.close()
    resumed = new_run(*settings, folder="broken")
    assert resumed.resume()
    assert resumed.step == 3
    list(resumed.steps())
    for expected, found in ((whole.model, resumed.model), (whole.best_model(), resumed.best_model())):
        for name, tensor in expected.state_dict().items():
            assert torch.equal(tensor, found.state_dict()[name]), name


def test_settings_of_the_optimiser_may_change_on_the_way(new_run: NewRun) -> None:
    before = new_run("train.steps=2", "train.momentum=0.9", "train.weight_decay=0.1", "train.backbone_factor=0.5")
    list(before.steps())
    momenta = len(before.engine.optimizer.state)
    after = new_run("train.steps=4", "train.momentum=0", "train.weight_decay=0", "train.backbone_factor=0.25")
    assert after.resume()
    assert {group["momentum"] for group in after.engine.optimizer.param_groups} == {0}
    assert {group["weight_decay"] for group in after.engine.optimizer.param_groups} == {0}
    assert {group["factor"] for group in after.engine.optimizer.param_groups} == {0.25, 1.0}
    assert len(after.engine.optimizer.state) == momenta > 0
    with pytest.raises(InputDataError, match=r"does not fit this recipe \(its optimiser is sgd\)"):
        new_run("train.steps=4", "train.optimizer=adamw").resume()


def test_data_weights_are_parsed() -> None:
    assert DataSource.parse("caches/a=0.5") == DataSource(Path("caches/a"), 0.5)
    assert DataSource.parse("caches/a") == DataSource(Path("caches/a"), 1.0)
    with pytest.raises(UsageError, match="weight 'x' is no positive number; expected DIR=WEIGHT"):
        DataSource.parse("a=x")


def test_train_writes_a_tracker_that_track_and_load_take(
    train_options: list[str], tiny_cache_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    import trackcli

    run = tmp_path / "run"
    options = [*train_options, "--matcher", "dw-xcorr", "--head", "rpn", "-o", str(run), "--steps", "3"]
    result = cli(*options, "--json", "--val", str(_sequences(tiny_cache_folder)))
    summary = json.loads(result.stdout)
    assert summary["steps"] == 3
    assert 0 <= summary["validation"]["success_auc"] <= 1
    assert "preset siamrpn-pp: supplies what is not named" in result.stderr
    assert trackcli.load(run, device="cpu").plan.recipe.matcher.name == "dw-xcorr"
    again = cli(*options, code=2)
    assert "is not empty; use --resume to go on with it, --force to start over" in again.stderr


def _sequences(cache_folder: Path) -> Path:
    """The dataset's folder also holds stills; validation wants sequences only."""
    root = cache_folder.parent / "sequences"
    if not root.exists():
        root.mkdir()
        (root / "first").symlink_to(cache_folder.parent / "root" / "first")
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--resume"), "error: --resume without -o; expected the folder of the run to go on with"),
        ((*ENOUGH, "--matcher", "dw-xcor"), "error: unknown matcher 'dw-xcor'; did you mean 'dw-xcorr'?"),
        ((*ENOUGH, "--set", "matcher.chanels=3"), "error: matcher.chanels is unknown; did you mean 'channels'?"),
        ((*ENOUGH, "--set", "matcher"), "error: --set matcher is no assignment; expected key=value"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "trackcli", *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send these signals to one process")
@pytest.mark.parametrize(
    ("number", "ending"), [(signal.SIGINT, (130, "interrupted")), (signal.SIGTERM, (143, "terminated"))]
)
def test_an_interrupted_run_saves_the_step_it_was_in_and_says_how_to_go_on(
    train_options: list[str], tmp_path: Path, cli: Cli, number: signal.Signals, ending: tuple[int, str]
) -> None:
    folder = tmp_path / "my run"
    options = [*train_options, "--steps", "4000", "--set", "train.checkpoint_every=99999", "-o", str(folder)]
    command = [sys.executable, "-m", "trackcli", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    state, complaints = load_latest(folder)
    assert state is not None and complaints == []
    step = state["step"]
    assert step >= 20  # the first line of metrics.jsonl, and no checkpoint was due by then
    assert not list(folder.glob("*.part"))
    *_, advice, last = stderr.splitlines()
    assert (process.returncode, last) == ending
    assert advice == (
        f"stopped after step {step} of 4000; to go on: trackcli train --resume -o '{folder}' --device cpu"
    )
    program, *words = shlex.split(advice.partition("to go on: ")[2])
    assert program == "trackcli"
    assert f"resuming at step {step}" in cli(*words, "--steps", str(step + 2)).stderr
    assert (folder / f"checkpoint-{step + 2:08d}.pt").is_file()


def test_an_interrupt_while_a_checkpoint_is_written_waits_for_it(
    new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run("train.steps=4")
    monkeypatch.setattr("trackcli.training.checkpoint.os.fsync", lambda descriptor: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run.checkpoint()
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint-00000000.pt", "tracker.safetensors"]
    assert load_latest(run.folder)[1] == []


def test_validation_sequences_that_are_not_there_stop_before_the_run_begins(
    train_options: list[str], tmp_path: Path, cli: Cli
) -> None:
    run = tmp_path / "run"
    result = cli(*train_options, "-o", str(run), "--val", str(tmp_path / "nowhere"), code=3)
    assert "nowhere is not a folder; expected one that holds" in result.stderr
    assert not run.exists()
