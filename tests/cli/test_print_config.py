"""``trackcli train --print-config``, and training with nothing named. Real subprocesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

SETTINGS = ("backbone.depth=2", "matcher.channels=8", "head.hidden=8", "train.workers=1")
SMALL = ("--batch", "2", *(part for setting in SETTINGS for part in ("--set", setting)))


def trackcli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRACKCLI_CACHE_DIR": str(cwd / "user-cache")}
    command = [sys.executable, "-m", "trackcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False)


def test_the_printed_recipe_is_valid_input_and_prints_itself(tmp_path: Path) -> None:
    hostile = tmp_path / "mine [red] # \n x = 1.toml"
    hostile.write_text("[train]\nbatch = 3\nunfreeze = {}\n", encoding="utf-8")
    first = trackcli("train", "--matcher", "xcorr", "--config", hostile, "--steps", 7, "--print-config", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert 'preset = "siamrpn-pp"  # home preset of matcher xcorr\n' in first.stdout
    assert 'name = "xcorr"  # --matcher xcorr\n' in first.stdout
    assert "steps = 7  # --set train.steps=7\n" in first.stdout
    assert f"batch = 3  # --config {str(hostile).replace(chr(10), '?')}\n" in first.stdout
    printed = tmp_path / "printed.toml"
    printed.write_text(first.stdout, encoding="utf-8")
    second = trackcli("train", "--config", printed, "--print-config", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert second.stderr == "", "nothing was filled in"
    assert tomllib.loads(second.stdout) == tomllib.loads(first.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([hostile.name, "printed.toml"])


def test_a_preset_beside_a_whole_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("complete = true\n", encoding="utf-8")
    done = trackcli("train", "--preset", "fast", "--config", "recipe.toml", "--print-config", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "error: --preset fast has no effect: --config recipe.toml is a whole recipe; leave one of them out\n",
    )


def test_in_json_recipe_and_origins_are_one_object(tmp_path: Path) -> None:
    done = trackcli("train", "--head", "rpn", "--set", "loss.rpn.weight=2", "--print-config", "--json", cwd=tmp_path)
    content = json.loads(done.stdout)
    assert content["recipe"]["loss"][0]["weight"] == 2
    assert content["origins"]["loss.rpn.weight"] == "--set loss.rpn.weight=2"
    assert content["origins"]["preset"] == "nothing else was named"


def test_epochs_on_the_command_line_win_over_a_presets_steps(tmp_path: Path) -> None:
    done = trackcli("train", "--preset", "default", "--epochs", 2, "--print-config", cwd=tmp_path)
    settings = tomllib.loads(done.stdout)["train"]
    assert settings["epochs"] == 2
    assert "steps" not in settings


def test_training_with_nothing_named_is_a_smoke_run_that_says_so(tmp_path: Path) -> None:
    arguments = ("train", "--matcher", "dw-xcorr", "--head", "rpn", *SMALL, "--steps", 2)
    first, second = trackcli(*arguments, cwd=tmp_path), trackcli(*arguments, "-q", cwd=tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert f"smoke run, not a real training, on synthetic sequences in {tmp_path / 'user-cache'}" in first.stderr
    assert "no -o given: the run goes to runs/siamrpn-pp-1\n" in first.stderr
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["siamrpn-pp-1", "siamrpn-pp-2"]
    config = tomllib.loads((tmp_path / "runs" / "siamrpn-pp-1" / "config.toml").read_text(encoding="utf-8"))
    assert (config["complete"], config["train"]["steps"], config["matcher"]["channels"]) == (True, 2, 8)


def test_a_mistyped_setting_suggests_the_nearest_one(tmp_path: Path) -> None:
    done = trackcli("train", "--set", "sampler.search.blurr=1", "--print-config", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith("error: sampler.search.blurr is unknown; did you mean 'blur'?\n")
