"""Caches of small real datasets for sampling and reading, built by the real builder."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.reader import CropCache

GRADIENT_SIDE = 256
GRADIENT_SLOPE = 0.77


def write_videos(root: Path) -> Path:
    """Two sequences of twelve frames of a moving disc."""
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        folder = root / name / "img"
        folder.mkdir(parents=True)
        lines = []
        for index in range(12):
            image = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
            x, y = 40 + 5 * index, 50
            cv2.circle(image, (x, y), 15, (20, 200, 60), -1)
            cv2.imwrite(str(folder / f"{index:05d}.jpg"), image)
            lines.append(f"{x - 15},{y - 15},30,30")
        (root / name / "groundtruth.txt").write_text("\n".join(lines) + "\n")
    return root


def write_stills(root: Path) -> Path:
    """Eight photographs, each with two outlined bricks (BGR 200, 30, 30) and a person."""
    rng = np.random.default_rng(1)
    (root / "stills" / "img").mkdir(parents=True)
    boxes, polygons = {}, {}
    for index in range(8):
        image = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        rectangles = [(30, 30, 40, 30), (80, 20, 30, 20), (100, 60, 30, 40)]
        for (x, y, w, h), color in zip(rectangles, [(200, 30, 30), (200, 30, 30), (30, 30, 200)], strict=True):
            cv2.rectangle(image, (x, y), (x + w - 1, y + h - 1), color, -1)
        cv2.imwrite(str(root / "stills" / "img" / f"{index}.png"), image)
        names = ["brick", "brick", "person"]
        boxes[f"{index}.png"] = [[*rectangle, name] for rectangle, name in zip(rectangles, names, strict=True)]
        polygons[f"{index}.png"] = [[[x, y, x + w, y, x + w, y + h, x, y + h]] for x, y, w, h in rectangles]
    (root / "stills" / "boxes.json").write_text(json.dumps(boxes))
    (root / "stills" / "polys.json").write_text(json.dumps(polygons))
    return root


def write_gradients(root: Path) -> Path:
    """Pictures whose red grows by 0.77 a column and green a row, with boxes of all sizes, over the borders too."""
    rng = np.random.default_rng(2)
    (root / "gradients" / "img").mkdir(parents=True)
    rows, columns = np.rint(GRADIENT_SLOPE * np.mgrid[:GRADIENT_SIDE, :GRADIENT_SIDE]).astype(np.uint8)
    picture = np.stack((np.full_like(rows, 128), rows, columns), axis=2)  # BGR
    boxes = {}
    for index in range(10):
        cv2.imwrite(str(root / "gradients" / "img" / f"{index}.png"), picture)
        sizes = np.exp(rng.uniform(np.log(6), np.log(120), (5, 2)))
        corners = rng.uniform(-20, GRADIENT_SIDE - 10, (5, 2))
        boxes[f"{index}.png"] = [[*corner, *size, "thing"] for corner, size in zip(corners, sizes, strict=True)]
    (root / "gradients" / "boxes.json").write_text(json.dumps(boxes, default=float))
    return root


def build(root: Path, output: Path, codec: str = "jpeg") -> CropCache:
    build_cache(open_dataset("folder", root), output, codec="raw" if codec == "raw" else "jpeg")
    return CropCache.open(output)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    folder = tmp_path_factory.mktemp("videos")
    return build(write_videos(folder / "root"), folder / "clips")


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    folder = tmp_path_factory.mktemp("stills")
    return build(write_stills(folder / "root"), folder / "photos")


@pytest.fixture(scope="session")
def gradients(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    folder = tmp_path_factory.mktemp("gradients")
    return build(write_gradients(folder / "root"), folder / "ramps", codec="raw")
