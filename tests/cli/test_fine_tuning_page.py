"""docs/fine-tuning.md followed with clips of our own: every command it gives runs, with a tiny budget."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings

if TYPE_CHECKING:
    from conftest import TrainCommand

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fine-tuning.md"

QUICKER = {
    "train": ["--device", "cpu", "--steps", "2", "--batch", "2", "--set", "train.workers=0"],
    "eval": ["--device", "cpu", "--json"],
    "track": ["--device", "cpu", "-q"],
    "cache": ["--jobs", "1"],
}


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def write_clips(root: Path) -> None:
    for index, name in enumerate(("train/street-1", "train/street-2", "test/street-9")):
        scene = SceneSettings(frames=4, size_wh=(160, 120), seed=index, look_alikes=0, occluders=0)
        write_sequence(make_sequence(scene), root / name, video=False)


def test_its_commands_fine_tune_the_default_tracker(trackcli_here: TrainCommand, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips")
    given = commands()
    assert [words[1] for words in given] == ["cache", "train", "train", "eval", "track"]
    printed = {}
    for program, command, *rest in given:
        assert program == "trackcli"
        if command == "track":  # looks at the streams of its process
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            words = [sys.executable, "-m", "trackcli", command, *rest, *QUICKER[command]]
            subprocess.run(words, check=True, cwd=tmp_path, env=environment, capture_output=True)
            continue
        printed[command] = trackcli_here(command, *rest, *QUICKER[command])
        if "--dry-run" in rest:
            assert not (tmp_path / "runs").exists()
    trackers = json.loads(printed["eval"].stdout)["trackers"]
    assert [tracker["tracker"] for tracker in trackers] == ["default", "clips"]
    assert all(0 <= tracker["success_auc"] <= 1 for tracker in trackers)
    assert "from default: backbone resnet18: 30 tensors loaded" in printed["train"].stderr
