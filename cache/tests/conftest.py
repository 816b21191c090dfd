"""Small real datasets, written to disk, that the cache's tests share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from trackcli_cache.datasets import SourceImage

IMAGE_WH = (96, 64)


def _write_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = IMAGE_WH
    rough = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def video_root(tmp_path: Path) -> Path:
    """One sequence of six frames, numbered 2, 4, … 12; absent in the third, with a mask in the first."""
    folder = tmp_path / "videos" / "walk"
    boxes = ["10,20,16,12", "11.5\t20\t16\t12", "nan,nan,nan,nan", "13 20 16 12", "14, 20, 16, 12", "15,20,16,12"]
    for index in range(6):
        _write_image(folder / "img" / f"f{2 * index + 2}.jpg", seed=index)
    (folder / "groundtruth.txt").write_text("\n".join(boxes) + "\n")
    mask = np.zeros(IMAGE_WH[::-1], np.uint8)
    mask[20:32, 10:26] = 1
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "f2.png"), mask)
    return folder.parent


@pytest.fixture
def stills_root(tmp_path: Path) -> Path:
    """One collection of two images: three objects (one with an outline, one tiny) and one."""
    folder = tmp_path / "stills" / "zoo"
    for index, name in enumerate(("a2.jpg", "a10.jpg")):
        _write_image(folder / "img" / name, seed=10 + index)
    boxes = {
        "a10.jpg": [[40, 10, 20, 20, "cat"]],
        "a2.jpg": [[10, 20, 16, 12, "dog"], [30, 20, 16, 12, "cat"], [60, 5, 3, 3, "bird"]],
    }
    (folder / "boxes.json").write_text(json.dumps(boxes))
    outlines = {"a2.jpg": [[[10, 20, 26, 20, 26, 32], [11, 30, 14, 30, 11, 32]], None, None]}
    (folder / "polys.json").write_text(json.dumps(outlines))
    return folder.parent


class GivenReader:
    """A dataset that is known beforehand."""

    name = "given"

    def __init__(self, root: Path, images: Iterable[SourceImage]) -> None:
        self.root = root
        self._images = tuple(images)

    def images(self) -> Iterator[SourceImage]:
        return iter(self._images)


@pytest.fixture
def given_reader() -> type[GivenReader]:
    """A reader of whatever images a test makes up: ``given_reader(root, images)``."""
    return GivenReader


@pytest.fixture
def noise_image(tmp_path: Path) -> Path:
    """An image file of 96x64 pixels in a folder of its own."""
    path = tmp_path / "data" / "noise.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    return path
