"""The example plugin, as a stranger uses it: built, installed far from the checkout, trained with, tracked with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "third_party_plugin"
PROJECTS = {ROOT: "trackcli", ROOT / "cache": "trackcli_cache", EXAMPLE: "trackcli_diou"}
MOST_LINES = 150
SMALL = ("backbone.depth=2", "matcher.channels=16", "head.hidden=16", "crop.template_size=64", "crop.search_size=128")

pytestmark = pytest.mark.slow


def run(*command, cwd):
    """Run a program with nothing of ours on the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(part) for part in command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, cwd=cwd, env=environment | {"COLUMNS": "200"}
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def wheel_of(project, package, folder):
    """Build from a copy, so that the checkout stays clean."""
    source = folder / f"source-{package}"
    shutil.copytree(project / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (project / name).exists():
            shutil.copy(project / name, source)
    out = folder / f"wheel-{package}"
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=folder)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Folder of a fresh environment with core, cache and the example; heavy dependencies are lent."""
    folder = tmp_path_factory.mktemp("third-party")
    wheels = [wheel_of(project, package, folder) for project, package in PROJECTS.items()]
    place = folder / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", *wheels, cwd=folder)
    (packages,) = place.glob("lib/python*/site-packages")
    lent = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "lent.pth").write_text("\n".join(lent) + "\n")
    return place


def test_it_trains_and_tracks_from_the_command_line(environment, tmp_path):
    program = environment / "bin" / "trackcli"
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


def test_its_own_tests_pass_where_it_is_installed(environment, tmp_path):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shown = run(environment / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    assert " passed" in shown


def test_it_is_small():
    lines = [line for path in EXAMPLE.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) <= MOST_LINES
