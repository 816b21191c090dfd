"""A tiny cache, made by the real builder from a synthetic dataset, for all training tests."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.reader import CropCache


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
