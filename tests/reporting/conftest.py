"""A small evaluation on disk: real images, real result files, the note that ``trackcli eval`` leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.reporting.manifest import Manifest, note_evaluation

Boxes = Sequence[tuple[float, float, float, float]]


class Bench:
    """Makes a dataset and results of it.

    Attributes:
        truth: Boxes of four frames in which the target stands still.
    """

    truth: Boxes = ((20.0, 20.0, 16.0, 12.0),) * 4

    def __init__(self, folder: Path) -> None:
        self.root = folder / "data"
        self.results = folder / "results" / "folder"
        self.sequences: list[str] = []

    @classmethod
    def shifted(cls, *offsets: float) -> Boxes:
        """The true boxes, moved to the right by so many pixels in each frame; the first frame's box is given."""
        return [cls.truth[0], *((20.0 + offset, 20.0, 16.0, 12.0) for offset in offsets)]

    def sequence(self, name: str, truth: Boxes = truth) -> None:
        folder = self.root / name
        (folder / "img").mkdir(parents=True)
        for index in range(len(truth)):
            picture = np.random.default_rng(index).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / "img" / f"{index:04d}.jpg"), picture)
        (folder / "groundtruth.txt").write_text("".join(",".join(map(str, box)) + "\n" for box in truth))
        self.sequences.append(name)

    def result(self, tracker: str, sequence: str, boxes: Boxes, seconds: float = 0.01) -> None:
        trajectory = Trajectory(np.array(boxes), np.ones(len(boxes)), np.full(len(boxes), seconds))
        ResultStore(self.results / tracker).write(sequence, trajectory)

    def claim(self, tracker: str, root: Path) -> None:
        """Note whose results these are, and on which data, as ``trackcli eval`` does."""
        with ResultStore(self.results / tracker).claimed(tracker, root):
            pass

    def note(self) -> Path:
        manifest = Manifest("folder", self.root, None, "ope", "trackcli", tuple(self.sequences))
        note_evaluation(self.results, manifest)
        return self.results


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def results(bench: Bench) -> Path:
    """Two trackers on two sequences: ``good`` is always right, ``poor`` loses the target in one of them."""
    bench.sequence("calm")
    bench.sequence("wild")
    bench.result("good", "calm", bench.truth)
    bench.result("good", "wild", bench.shifted(0, 4, 0))
    bench.result("poor", "calm", bench.shifted(8, 8, 8), seconds=0.001)
    bench.result("poor", "wild", bench.shifted(0, 100, 100), seconds=0.001)
    return bench.note()
