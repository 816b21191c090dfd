"""The run: schedule, checkpoints, resuming, and the command as users type it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from trackcli_cache.reader import CropCache

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.config.training import TrainConfig
from trackcli.errors import ConfigError, InputDataError, UsageError
from trackcli.host.registry import installed
from trackcli.training.checkpoint import load_latest, save_checkpoint
from trackcli.training.loader import PairLoader, make_loader
from trackcli.training.run import TrainingRun
from trackcli.training.schedule import rate_at, total_steps
from trackcli.training.setup import DataSource

SMALL = [
    "backbone.depth=2",
    "matcher.channels=8",
    "head.hidden=8",
    "crop.template_size=63",
    "crop.search_size=127",
    "train.batch=2",
    "train.workers=1",
]


ENOUGH = ("train", "--data", "cache", "-o", "run")


def make_run(cache: CropCache, folder: Path, *more: str) -> TrainingRun:
    registry = installed()
    planned = plan(complete({"matcher": {"name": "dw-xcorr"}}, registry, [*SMALL, *more]).recipe, registry)
    loader = make_loader(planned, [cache], [1.0], warn=lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    return TrainingRun(planned, loader, folder, torch.device("cpu"), registry, note=lambda text: None)


def run_cli(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackcli", *arguments]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert not check or result.returncode == 0, result.stderr
    return result


def small_options() -> list[str]:
    return [part for setting in SMALL for part in ("--set", setting)]


def test_epochs_are_counted_in_pairs() -> None:
    assert total_steps(TrainConfig(epochs=3, pairs_per_epoch=100, batch=16)) == 19
    assert total_steps(TrainConfig(epochs=3, steps=7)) == 7


@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_the_rate_warms_up_peaks_and_ends_where_it_should(schedule: str) -> None:
    config = TrainConfig(
        steps=101, warmup=0.1, warmup_rate=1e-4, learning_rate=1e-2, final_rate=1e-4, schedule=schedule
    )
    assert rate_at(0, config) == pytest.approx(1e-4)
    assert rate_at(5, config) == pytest.approx((1e-4 + 1e-2) / 2)
    assert rate_at(10, config) == pytest.approx(1e-2)
    assert rate_at(100, config) == pytest.approx(1e-4)
    middle = {"cosine": (1e-2 + 1e-4) / 2, "exponential": math.sqrt(1e-2 * 1e-4)}[schedule]
    assert rate_at(55, config) == pytest.approx(middle)


def test_a_stage_that_is_unfrozen_takes_the_deeper_ones_with_it(tiny_cache: CropCache, tmp_path: Path) -> None:
    run = make_run(tiny_cache, tmp_path, "train.steps=10", "train.unfreeze={layer1 = 0.5}")
    run.engine.apply(4)
    assert not any(parameter.requires_grad for parameter in run.model.backbone.parameters())
    run.engine.apply(5)
    learning = {name.split(".")[0] for name, p in run.model.backbone.named_parameters() if p.requires_grad}
    assert learning == {"layer1", "layer2"}


def test_an_unknown_stage_suggests_the_nearest_one(tiny_cache: CropCache, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^train\.unfreeze\.layr2 names no stage of the backbone; did you mean 'layer2'\?$"
    ):
        make_run(tiny_cache, tmp_path, "train.unfreeze.layr2=0.5")


def test_training_lowers_the_loss_on_one_batch_seen_again_and_again(tiny_cache: CropCache, tmp_path: Path) -> None:
    run = make_run(
        tiny_cache,
        tmp_path,
        "train.steps=25",
        "train.optimizer='adamw'",
        "train.learning_rate=0.003",
        "train.warmup=0.0",
        "sampler.negative=0.0",
    )
    (host,) = PairLoader(run.loader.maker, batch_size=4, workers=0).batches(0, 1)
    losses = [sum(run._learn(host).terms.values()) for _ in range(25)]
    assert losses[-1] < 0.6 * losses[0]


def test_resuming_gives_the_weights_of_the_uninterrupted_run_bit_for_bit(tiny_cache: CropCache, tmp_path: Path) -> None:
    settings = ("train.steps=6", "train.ema=0.9", "train.optimizer='adamw'", "train.unfreeze={layer2 = 0.4}")
    whole = make_run(tiny_cache, tmp_path / "whole", *settings)
    list(whole.steps())
    broken = make_run(tiny_cache, tmp_path / "broken", *settings)
    reports = broken.steps()
    for _ in range(3):
        next(reports)
    reports.close()
    resumed = make_run(tiny_cache, tmp_path / "broken", *settings)
    assert resumed.resume()
    assert resumed.step == 3
    list(resumed.steps())
    for expected, found in ((whole.model, resumed.model), (whole.best_model(), resumed.best_model())):
        for name, tensor in expected.state_dict().items():
            assert torch.equal(tensor, found.state_dict()[name]), name


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"value": torch.tensor(step)}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000002.pt", "checkpoint-00000003.pt"]
    newest = tmp_path / "checkpoint-00000003.pt"
    newest.write_bytes(newest.read_bytes()[:-40])
    state, complaints = load_latest(tmp_path)
    assert state is not None and state["step"] == 2
    assert len(complaints) == 1 and complaints[0].startswith("checkpoint-00000003.pt is damaged")


def test_only_damaged_checkpoints_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000001.pt").write_bytes(b"nothing")
    with pytest.raises(InputDataError, match=r"no checkpoint in .* can be read; start again with another -o"):
        load_latest(tmp_path)


def test_a_non_finite_loss_names_the_term_and_the_step_is_skipped(tiny_cache: CropCache, tmp_path: Path) -> None:
    run = make_run(tiny_cache, tmp_path, "train.steps=1")
    lines: list[str] = []
    run.note = lines.append
    with torch.no_grad():
        next(run.model.head.parameters()).fill_(float("nan"))
    weights = {name: tensor.clone() for name, tensor in run.model.matcher.state_dict().items()}
    list(run.steps())
    assert lines and "is not finite (samples 0–1); the step was skipped; saved in nonfinite-00000001.pt" in lines[0]
    after = run.model.matcher.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in weights.items())


def test_data_weights_are_parsed() -> None:
    assert DataSource.parse("caches/a=0.5") == DataSource(Path("caches/a"), 0.5)
    assert DataSource.parse("caches/a") == DataSource(Path("caches/a"), 1.0)
    with pytest.raises(UsageError, match="weight 'x' is no positive number; expected DIR=WEIGHT"):
        DataSource.parse("a=x")


def test_train_writes_a_tracker_that_track_and_load_take(tiny_cache_folder: Path, tmp_path: Path) -> None:
    import trackcli

    run = tmp_path / "run"
    options = (
        "--matcher",
        "dw-xcorr",
        "--head",
        "rpn",
        "--data",
        str(tiny_cache_folder),
        "-o",
        str(run),
        "--steps",
        "3",
    )
    result = run_cli(
        "train", *options, *small_options(), "--device", "cpu", "--json", "--val", str(_sequences(tiny_cache_folder))
    )
    summary = json.loads(result.stdout)
    assert summary["steps"] == 3
    assert 0 <= summary["validation"]["success_auc"] <= 1
    assert "preset siamrpn-pp: supplies what is not named" in result.stderr
    assert trackcli.load(run, device="cpu").plan.recipe.matcher.name == "dw-xcorr"
    again = run_cli("train", *options, *small_options(), check=False)
    assert again.returncode == 2
    assert "is not empty; use --resume to go on with it, --force to start over" in again.stderr


def _sequences(cache_folder: Path) -> Path:
    """The dataset's folder also holds stills; validation wants sequences only."""
    root = cache_folder.parent / "sequences"
    if not root.exists():
        root.mkdir()
        (root / "first").symlink_to(cache_folder.parent / "root" / "first")
    return root


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_weights(
    tiny_cache_folder: Path, tmp_path: Path
) -> None:
    import trackcli

    options = [
        "train", "--data", str(tiny_cache_folder), "--steps", "14", *small_options(), "--device", "cpu",
        "--set", "train.checkpoint_every=4",
    ]  # fmt: skip
    run_cli(*options, "-o", str(tmp_path / "whole"))
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "trackcli", *options, "-o", str(folder)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("checkpoint-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_cli(*options, "-o", str(folder), "--resume")
    whole, resumed = (trackcli.load(tmp_path / name, device="cpu").model for name in ("whole", "killed"))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send SIGTERM to one process")
def test_an_interrupted_run_saves_the_step_it_was_in_and_goes_on_from_there(
    tiny_cache_folder: Path, tmp_path: Path
) -> None:
    options = ["train", "--data", str(tiny_cache_folder), "--steps", "4000", *small_options(), "--device", "cpu"]
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "trackcli", *options, "--set", "train.checkpoint_every=99999", "-o", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert stderr.splitlines()[-1] == "terminated"
    state, complaints = load_latest(folder)
    assert state is not None and complaints == []
    assert state["step"] >= 20  # the first line of metrics.jsonl, and no checkpoint was due by then
    assert not list(folder.glob("*.part"))


def test_an_interrupt_while_a_checkpoint_is_written_waits_for_it(
    tiny_cache: CropCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tiny_cache, tmp_path / "run", "train.steps=4")
    monkeypatch.setattr("trackcli.training.checkpoint.os.fsync", lambda descriptor: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run.checkpoint()
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint-00000000.pt", "tracker.safetensors"]
    assert load_latest(run.folder)[1] == []


def test_validation_sequences_that_are_not_there_stop_before_the_run_begins(
    tiny_cache_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = run_cli(
        "train", "--data", str(tiny_cache_folder), "-o", str(run), "--val", str(tmp_path / "nowhere"), check=False
    )
    assert result.returncode == 3
    assert "nowhere is not a folder; expected one that holds" in result.stderr
    assert not run.exists()
