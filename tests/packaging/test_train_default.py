"""The commands that train the default tracker, on a little made-up data with tiny settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.composition.files import read_header
from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_default" / "train.sh"
TINY = (
    "--steps 2 --batch 2 --device cpu -q --set train.precision=fp32 "
    "--set backbone.norm=batch --set matcher.channels=8 --set head.channels=8 --set head.depth=1 "
    "--set crop.template_size=64 --set crop.search_size=128 --set sampler.search.shift=20"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty photographs, each with an outlined square of one of four kinds, and two videos, one of them held back."""
    folder = tmp_path / "data" / "train" / "images" / "things"
    (folder / "img").mkdir(parents=True)
    boxes, polygons = {}, {}
    for number in range(40):
        picture = np.random.default_rng(number).integers(0, 255, (160, 200, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "img" / f"{number}.png"), picture)
        boxes[f"{number}.png"] = [[60, 50, 60, 60, f"kind {number // 10}"]]
        polygons[f"{number}.png"] = [[[60, 50, 120, 50, 120, 110, 60, 110]]]
    (folder / "boxes.json").write_text(json.dumps(boxes))
    (folder / "polys.json").write_text(json.dumps(polygons))
    scene = SceneSettings(frames=4, size_wh=(160, 120), seed=3, occluders=0)
    for name in ("otb_Man", "other"):
        write_sequence(make_sequence(scene), tmp_path / "data" / "train" / "video" / name, video=False)
    return tmp_path / "data"


def test_the_commands_of_the_default_tracker_run_from_data_to_figures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BACKBONE": "",
        "DEV_OPTIONS": "--sequences 1 --frames 3",
        "TRAIN_OPTIONS": TINY,
        "EVAL_OPTIONS": "-q --device cpu",
        "GONE_OPTIONS": "--scenes 1 --threads 1",
    }
    done = subprocess.run(
        ["bash", SCRIPT, data, out], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    header = read_header(out / "default.safetensors")
    assert header.recipe.preset == "default"
    assert header.provenance["averaged"] == [str(out / run / "tracker.safetensors") for run in ("second", "first")]
    assert read_header(out / "first" / "tracker.safetensors").recipe.sampler.settings["search"]["rotation"] == 15
    assert header.recipe.train.seed == 1
    assert set(json.loads((out / "split.json").read_text())["videos"]) == {"otb_Man"}
    assert json.loads((out / "gone.json").read_text())["score"]["all"]["clips"] == 2
    assert any((out / "results").rglob("*.json")) or any((out / "results").rglob("*.csv"))
