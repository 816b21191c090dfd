"""A tiny cache, made by the real builder from a synthetic dataset, and tiny runs on it, for all training tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.reader import CropCache

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.host.registry import installed
from trackcli.training.loader import make_loader
from trackcli.training.run import TrainingRun

SMALL = (
    "backbone.depth=2",
    "matcher.channels=8",
    "head.hidden=8",
    "head.scale=4.0",
    "crop.template_size=63",
    "crop.search_size=127",
    "train.batch=2",
    "train.workers=1",
)
"""Settings of a composition that trains in milliseconds; its anchors are as large as the targets."""

NewRun = Callable[..., TrainingRun]
Cli = Callable[..., subprocess.CompletedProcess[str]]


def write_dataset(root: Path) -> None:
    """Two sequences of a moving disc, and six stills with two outlined objects each."""
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        folder = root / name / "img"
        folder.mkdir(parents=True)
        lines = []
        for index in range(6):
            image = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
            x, y = 40 + 6 * index, 50
            cv2.circle(image, (x, y), 15, (20, 200, 60), -1)
            cv2.imwrite(str(folder / f"{index:05d}.jpg"), image)
            lines.append(f"{x - 15},{y - 15},30,30")
        (root / name / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    stills = root / "stills"
    (stills / "img").mkdir(parents=True)
    boxes, polygons = {}, {}
    for index in range(6):
        image = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        cv2.rectangle(image, (30, 30), (69, 59), (200, 30, 30), -1)
        cv2.rectangle(image, (100, 60), (129, 99), (30, 30, 200), -1)
        name = f"{index}.jpg"
        cv2.imwrite(str(stills / "img" / name), image)
        boxes[name] = [[30, 30, 40, 30, "brick"], [100, 60, 30, 40, "person"]]
        polygons[name] = [[[30, 30, 70, 30, 70, 60, 30, 60]], [[100, 60, 130, 60, 130, 100, 100, 100]]]
    (stills / "boxes.json").write_text(json.dumps(boxes))
    (stills / "polys.json").write_text(json.dumps(polygons))


@pytest.fixture(scope="session")
def tiny_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "root")
    build_cache(open_dataset("folder", folder / "root"), folder / "cache")
    return folder / "cache"


@pytest.fixture(scope="session")
def tiny_cache(tiny_cache_folder: Path) -> CropCache:
    return CropCache.open(tiny_cache_folder)


@pytest.fixture
def new_run(tiny_cache: CropCache, tmp_path: Path) -> NewRun:
    """``new_run("train.steps=3", folder="a")``: a run of the tiny composition."""

    def make(*settings: str, folder: str = "run", head: str = "rpn") -> TrainingRun:
        registry = installed()
        named = {"matcher": {"name": "dw-xcorr"}, "head": {"name": head}}
        small = [setting for setting in SMALL if head == "rpn" or not setting.startswith("head.")]
        planned = plan(complete(named, registry, [*small, *settings]).recipe, registry)
        loader = make_loader(planned, [tiny_cache], [1.0], warn=lambda text: None)
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        return TrainingRun(planned, loader, path, torch.device("cpu"), registry, note=lambda text: None)

    return make


@pytest.fixture(scope="session")
def train_options(tiny_cache_folder: Path) -> list[str]:
    """``trackcli train`` of the tiny composition on the CPU."""
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return ["train", "--data", str(tiny_cache_folder), "--device", "cpu", *settings]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """``cli("train", …)``: the command in a process of its own, or in two with ``processes=2``."""

    def run(*arguments: str, processes: int = 1, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        start = [] if processes == 1 else torchrun
        result = subprocess.run(
            [sys.executable, *start, "-m", "trackcli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert code is None or result.returncode == code, result.stderr
        return result

    return run
