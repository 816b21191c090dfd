"""Writers of small files for trees of the published layouts."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from trackcli_cache.build import build_cache
from trackcli_cache.datasets import DatasetReader
from trackcli_cache.manifest import Manifest


class Tree:
    """A dataset being written: folders appear as they are needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def text(self, name: str, content: str) -> Path:
        self.path(name).write_text(content)
        return self.root / name

    def json(self, name: str, content: object) -> Path:
        return self.text(name, json.dumps(content))

    def image(self, name: str, width: int = 96, height: int = 64) -> Path:
        """A rough picture; the same for the same name."""
        seed = zlib.crc32(name.encode())
        rough = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        picture = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
        good, data = cv2.imencode(Path(name).suffix.lower().replace("jpeg", "jpg"), picture)
        assert good
        self.path(name).write_bytes(data.tobytes())
        return self.root / name

    def mask(self, name: str, labels: np.ndarray, palette: list[tuple[int, int, int]]) -> Path:
        """An indexed PNG: one byte per pixel, and colours."""
        height, width = labels.shape
        rows = b"".join(b"\0" + row.tobytes() for row in labels.astype(np.uint8))
        chunks = (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", bytes(value for colour in palette for value in colour)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
        data = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
            for kind, content in chunks
        )
        self.path(name).write_bytes(data)
        return self.root / name


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "dataset")


@pytest.fixture
def build(tmp_path: Path) -> Callable[[DatasetReader], Manifest]:
    """Builds a cache of the first images that a reader yields."""

    def build_some(reader: DatasetReader, limit: int = 4) -> Manifest:
        manifest = build_cache(reader, tmp_path / "cache", limit=limit).manifest
        assert not manifest.skipped.images
        return manifest

    return build_some


@pytest.fixture
def voc_palette() -> list[tuple[int, int, int]]:
    """The beginning of the colour map that PASCAL VOC publishes, as its development kit prints it."""
    return [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
