"""``trackcli train --dry-run``, ``--overfit`` and ``--replay``: the command as users type it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from trackcli_cache.reader import CropCache

if TYPE_CHECKING:
    from conftest import TrainCommand

SETTINGS = ("backbone.depth=2", "matcher.channels=8", "head.hidden=8", "train.workers=0")
SIZES = ("crop.template_size=63", "crop.search_size=127", "head.scale=4.0")
SMALL = ("--matcher", "dw-xcorr", "--head", "rpn", *(word for each in (*SETTINGS, *SIZES) for word in ("--set", each)))


def test_a_dry_run_tells_what_a_run_takes_and_writes_nothing(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    words = (*SMALL, "--data", clip_cache, "--steps", 100, "--batch", 8, "-o", "run", "--dry-run")
    found = json.loads(train(*words, "--json").stdout)
    assert list(tmp_path.iterdir()) == []
    assert (found["steps"], found["batch"], found["pairs"]) == (100, 8, 4)
    assert found["records"] == {str(clip_cache): len(CropCache.open(clip_cache))}
    backbone = next(part for part in found["parts"] if part["part"] == "backbone")
    # conv1 and layer1, layer2 of ResNet-18: 9408 + 128, 2 · 73984, 230144 + 295424 (torchvision's counts)
    assert backbone == {
        "part": "backbone",
        "name": "resnet18",
        "parameters": 683_072,
        "at_start": 683_072,
        "at_most": 683_072,
    }
    assert 0 < found["flops_forward"] < found["flops"] < 4 * found["flops_forward"]
    assert found["hours"] == pytest.approx(found["seconds_per_pair"] * 8 * 100 / 3600)
    assert found["memory_bytes"] > 3 * 4 * 683_072  # weights, gradients and momentum at least
    assert all(value == value for value in found["terms"].values())  # noqa: PLR0124  # not NaN
    shown = train(*words).stdout
    assert "backbone resnet18             683,072         683,072      683,072\n" in shown
    assert "for 100 steps of 8 pairs" in shown


def test_a_dry_run_refuses_what_the_run_would_refuse(train: TrainCommand, clip_cache: Path, tmp_path: Path) -> None:
    done = train(*SMALL, "--data", "nowhere", "--dry-run", code=3)
    assert done.stderr.splitlines()[-1].startswith("error: ")
    done = train(*SMALL, "--data", clip_cache, "--val", "nowhere", "--dry-run", code=3)
    assert "nowhere is not a folder" in done.stderr
    done = train(*SMALL, "--data", clip_cache, "--set", "train.warmup=9 epochs", "--steps", 2, "--dry-run", code=2)
    assert "train.warmup" in done.stderr
    done = train("--dry-run", "--overfit", 2, code=2)
    assert done.stderr == "error: --dry-run, --overfit and --print-config exclude one another; give one of them\n"


def test_two_pairs_are_learnt_by_heart_and_nothing_is_written(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    rate = ("--set", "train.optimizer=adamw", "--set", "train.learning_rate=3e-3", "--set", "train.backbone_factor=1")
    words = (*SMALL, *rate, "--data", clip_cache, "--overfit", 2)
    found = json.loads(train(*words, "--json").stdout)
    assert found["reached"] is True, found
    assert sum(found["last"].values()) <= 0.05 * sum(found["first"].values())
    assert found["pairs"] == 2 and 1 < found["steps"] <= 300
    shown = train(*words, "--steps", 2).stdout
    assert "2 pairs, 2 steps: loss " in shown
    assert "not learnt by heart" in shown and "try more --steps" in shown
    assert list(tmp_path.iterdir()) == []


def test_replay_makes_a_bad_step_again(train: TrainCommand, clip_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = (*SMALL, "--data", clip_cache, "--batch", 2, "--set", "train.checkpoint_every=1", "-o", run)
    train(*words, "--steps", 1)
    _poison(run / "checkpoint-00000001.pt")
    done = train("--resume", "-o", run, "--steps", 2)
    assert "saved in nonfinite-00000002.pt" in done.stderr
    shown = train("--replay", run / "nonfinite-00000002.pt").stdout
    assert shown.startswith("step 2\n")
    assert "not finite before the step: " in shown
    found = json.loads(train("--replay", run / "nonfinite-00000002.pt", "--json").stdout)
    assert found["step"] == 2 and found["weights"]
    assert None in found["terms"].values()
    done = train("--replay", "none.pt", code=3)
    assert done.stderr == "error: none.pt does not exist; expected a nonfinite-<step>.pt of a run folder\n"


def _poison(path: Path) -> None:
    from trackcli.training.checkpoint import read_state, write_state

    state = read_state(path)
    name = next(name for name, value in state["model"].items() if name.startswith("head.") and value.ndim == 4)
    state["model"][name].view(-1)[0] = torch.nan
    write_state(path, state)
