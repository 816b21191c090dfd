"""Small real datasets: folders of images with ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

MakeSequence = Callable[..., Path]


@pytest.fixture
def make_sequence(tmp_path: Path) -> MakeSequence:
    """Write ``<tmp_path>/data/<name>/{img/*.png, groundtruth.txt}``; every image is a flat colour, its frame number."""

    def make(name: str, lines: Sequence[str], *, images: int | None = None) -> Path:
        folder = tmp_path / "data" / name
        (folder / "img").mkdir(parents=True)
        for index in range(len(lines) if images is None else images):
            picture = np.full((24, 32, 3), index, dtype=np.uint8)
            cv2.imwrite(str(folder / "img" / f"img{index + 1}.png"), picture)
        (folder / "groundtruth.txt").write_text("\n".join(lines) + "\n")
        return folder

    return make
