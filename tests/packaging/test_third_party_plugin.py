"""The example plugin, as a stranger uses it: built, installed far from the checkout, trained with, tracked with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "third_party_plugin"
MOST_LINES = 150
SMALL = ("backbone.depth=2", "matcher.channels=16", "head.hidden=16", "crop.template_size=64", "crop.search_size=128")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(user_environment, build_wheel, tmp_path_factory):
    """The user's environment with the example in it."""
    user_environment.install(build_wheel(EXAMPLE, "trackcli_diou", tmp_path_factory.mktemp("third-party")))
    return user_environment


def test_it_trains_and_tracks_from_the_command_line(environment, run, tmp_path):
    program = environment.trackcli
    run(program, "synth", "-o", "clips", "--frames", 8, "--size", "160x120", "-q", cwd=tmp_path)
    run(program, "cache", "build", "--root", "clips", "-o", "cache", "-q", cwd=tmp_path)
    small = [part for setting in SMALL for part in ("--set", setting)]
    losses = ["--loss", "rpn", "--loss", "diou", "--set", "loss.rpn.box_weight=0", "--set", "loss.diou.weight=2"]
    device = ["--device", "cpu", "-q"]
    run(
        *(program, "train", *losses, *small, "--data", "cache", "-o", "run", "--steps", 2, "--batch", 2, *device),
        cwd=tmp_path,
    )
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert {loss["name"]: loss["weight"] for loss in recipe["loss"]} == {"rpn": 1.0, "diou": 2.0}
    frames = "clips/synth_00000/img"
    run(
        *(program, "track", frames, "--tracker", "run", "--init", "60,40,30,30", "-o", "boxes.csv", *device),
        cwd=tmp_path,
    )
    assert len((tmp_path / "boxes.csv").read_text().splitlines()) == 1 + 8


def test_its_own_tests_pass_where_it_is_installed(environment, run, tmp_path):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shown = run(environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    assert " passed" in shown


def test_it_is_small():
    lines = [line for path in EXAMPLE.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) <= MOST_LINES
