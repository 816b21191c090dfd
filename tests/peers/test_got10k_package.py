"""The official ``got10k`` package and trackcli score the same result files: the numbers agree to 1e-6.

``make test-peers`` makes the environment that the package needs; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from trackcli.evaluation.contenders import find_results
from trackcli.evaluation.datasets import EvaluationSequence, load_sequences
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.metrics import score_boxes
from trackcli.evaluation.overlaps import center_errors, iou_xywh, move_into_image
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.runner import TrackerResult, read_results
from trackcli.evaluation.text_tables import read_table
from trackcli.evaluation.variants import GOT10K, OTB, PYSOT, TRACKCLI, Variant

HERE = Path(__file__).resolve().parent
PYTHON = Path(os.environ.get("TRACKCLI_PEERS", HERE.parents[1] / ".venv-peers")) / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="no environment of peers; make test-peers makes it")

SIZE_WH = (320, 240)
TRACKERS = ("perfect", "jitter", "drift", "random", "border", "empty", "boundary")
NO_BOX = [np.nan] * 4


@dataclass(frozen=True)
class Peers:
    """What both sides saw, and what the package said."""

    folder: Path
    numbers: dict[str, Any]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    folder = tmp_path_factory.mktemp("peers")
    rng = np.random.default_rng(7)
    write_got10k(folder, rng)
    write_one_pass(folder, "otb", rng, with_absences=False)
    write_one_pass(folder, "uav123", rng, with_absences=True)
    a, b = random_boxes(rng, 2000), random_boxes(rng, 2000)
    np.savez(folder / "pairs.npz", a=a, b=np.where(rng.random((2000, 1)) < 0.5, a + rng.normal(0, 5, a.shape), b))
    command = [str(PYTHON), str(HERE / "measure_with_got10k.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Peers(folder, json.loads((folder / "numbers.json").read_text()))


def test_overlaps_of_single_boxes_agree(peers: Peers) -> None:
    pairs, theirs = np.load(peers.folder / "pairs.npz"), peers.numbers["pairs"]
    a, b = pairs["a"], pairs["b"]
    np.testing.assert_allclose(iou_xywh(a, b), theirs["overlaps"], atol=1e-12)
    moved = iou_xywh(move_into_image(a, SIZE_WH), move_into_image(b, SIZE_WH))
    np.testing.assert_allclose(moved, theirs["overlaps_in_image"], atol=1e-12)


def test_centre_errors_agree_as_the_pixel_that_the_package_subtracts_cancels_out(peers: Peers) -> None:
    pairs = np.load(peers.folder / "pairs.npz")
    ours = center_errors(pairs["a"], pairs["b"], measure_empty=True)
    np.testing.assert_allclose(ours, peers.numbers["pairs"]["center_errors"], atol=1e-9)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_got10k_average_overlap_and_success_rates_agree(peers: Peers, tracker: str) -> None:
    result, theirs = score(peers, "got10k", tracker, GOT10K), peers.numbers["got10k"][tracker]
    assert result.score.mean_overlap == pytest.approx(theirs["overall"]["ao"], abs=1e-6)
    assert result.score.success_50 == pytest.approx(theirs["overall"]["sr"], abs=1e-6)
    np.testing.assert_allclose(result.score.success_curve, theirs["overall"]["succ_curve"], atol=1e-6)
    assert result.score.success_75 == pytest.approx(theirs["overall"]["succ_curve"][75], abs=1e-6)
    for one in result.sequences:
        assert one.score is not None
        assert one.score.mean_overlap == pytest.approx(theirs["seq_wise"][one.name]["ao"], abs=1e-6)
        assert one.score.success_50 == pytest.approx(theirs["seq_wise"][one.name]["sr"], abs=1e-6)


@pytest.mark.parametrize("dataset", ["otb", "uav123"])
@pytest.mark.parametrize("tracker", TRACKERS)
def test_one_pass_success_and_precision_agree(peers: Peers, dataset: str, tracker: str) -> None:
    result, theirs = score(peers, dataset, tracker, OTB), peers.numbers[dataset][tracker]["overall"]
    np.testing.assert_allclose(result.score.success_curve, theirs["success_curve"], atol=1e-6)
    np.testing.assert_allclose(result.score.precision_curve, theirs["precision_curve"], atol=1e-6)
    assert result.score.success_auc == pytest.approx(theirs["success_score"], abs=1e-6)
    assert result.score.precision == pytest.approx(theirs["precision_score"], abs=1e-6)


@pytest.mark.parametrize("tracker", ["jitter", "drift"])
def test_our_own_numbers_differ_by_frame_0_alone_where_all_boxes_are_good(peers: Peers, tracker: str) -> None:
    """The explained difference: the package counts frame 0 with overlap 1, which is above 20 of 21 thresholds."""
    ours, theirs = score(peers, "otb", tracker, TRACKCLI), peers.numbers["otb"][tracker]["seq_wise"]
    for one in ours.sequences:
        assert one.score is not None
        with_frame_0 = (
            one.score.success_curve * (one.frames - 1) + (one.score.variant.success_thresholds < 1)
        ) / one.frames
        np.testing.assert_allclose(with_frame_0, theirs[one.name]["success_curve"], atol=1e-6)


def test_pysot_keeps_absent_frames_which_the_package_drops(peers: Peers) -> None:
    """The explained difference between the toolkits: absent frames are misses in one and do not count in the other."""
    for path in sorted((peers.folder / "uav123").glob("*.txt")):
        truth = read_table(path, "xywh")
        perfect = np.where(np.isnan(truth), 1.0, truth)
        present = ~np.isnan(truth).any(axis=1)
        ours = score_boxes(perfect, truth, variant=PYSOT).success_curve
        np.testing.assert_allclose(ours, score_boxes(perfect, truth, variant=OTB).success_curve * present.mean())


def score(peers: Peers, dataset: str, tracker: str, variant: Variant) -> TrackerResult:
    if dataset == "got10k":
        sequences = load_sequences("got10k", peers.folder / "got10k", split="val")
        store = find_results(peers.folder / "results" / "GOT-10k" / tracker, sequences.names)
        assert store.layout is Layout.GOT10K
        return read_results(store, sequences, variant=variant)
    truths = sorted((peers.folder / dataset).glob("*.txt"))
    known = [one_pass_sequence(path) for path in truths]
    store = find_results(peers.folder / "results" / dataset / tracker, [one.name for one in known])
    assert store.layout is Layout.FLAT
    return read_results(store, known, variant=variant)


def one_pass_sequence(path: Path) -> EvaluationSequence:
    truth = read_table(path, "xywh")
    return EvaluationSequence(path.stem, (path,) * len(truth), truth)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes in, across and outside a 320×240 image."""
    return np.concatenate((rng.uniform(-60, 300, (count, 2)), rng.uniform(1, 120, (count, 2))), axis=1)


def random_walk(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A target that moves about and grows, mostly inside the image."""
    start = np.array([120.0, 90, 60, 40])
    walk = start + np.cumsum(rng.normal(0, [4, 3, 1, 1], (frames, 4)), axis=0)
    walk[:, 2:] = np.clip(walk[:, 2:], 8, 150)
    return walk.round(2)


def answers(name: str, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a tracker of this character says."""
    filled = np.where(np.isnan(truth), 50.0, truth)
    frames = len(truth)
    if name == "boundary":  # overlaps of exactly 1/4, 1/2, 3/4 and 1, errors of exactly 20 pixels
        shares = np.resize([0.25, 0.5, 0.75, 1], frames)
        boxes = np.column_stack((filled[:, :3], filled[:, 3] * shares))
        boxes[::5] = filled[::5] + np.array([20, 0, 0, 0])
    else:
        boxes = {
            "perfect": filled.copy,
            "jitter": lambda: filled + rng.normal(0, 3, (frames, 4)),
            "drift": lambda: filled + np.arange(frames)[:, None] * np.array([1.5, 1, 0, 0]),
            "random": lambda: random_boxes(rng, frames),
            "border": lambda: filled + np.array([-140.0, -100, 30, 10]),  # over the left and the upper border
            "empty": lambda: np.where(rng.random((frames, 1)) < 0.3, filled * [1, 1, 0, 1], filled),
        }[name]()
    boxes[0] = filled[0]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0)
    return boxes


def truth_of(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Multiples of 1/4, so that the boundary cases are exact in floating point."""
    return np.asarray((random_walk(rng, frames) * 4).round() / 4)


def trajectory(boxes: np.ndarray) -> Trajectory:
    return Trajectory(boxes, np.full(len(boxes), 0.5), np.full(len(boxes), 0.02))


def write_got10k(folder: Path, rng: np.random.Generator) -> None:
    """A validation set with absent and hidden frames, and results of several repetitions."""
    names = [f"GOT-10k_Val_{number:06d}" for number in range(1, 5)]
    root = folder / "got10k" / "val"
    for name, frames in zip(names, (12, 25, 40, 33), strict=True):
        home = root / name
        home.mkdir(parents=True)
        truth = truth_of(rng, frames)
        cover = rng.integers(1, 9, frames)
        cover[rng.random(frames) < 0.2] = 0
        cover[0] = 8
        picture = np.full((SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
        for index in range(frames):
            cv2.imwrite(str(home / f"{index + 1:08d}.jpg"), picture)
        np.savetxt(home / "groundtruth.txt", truth, fmt="%.4f", delimiter=",")
        np.savetxt(home / "cover.label", cover, fmt="%d")
        absence = (cover == 0) | (np.arange(frames) == 5)  # the package does not read it
        np.savetxt(home / "absence.label", absence.astype(int), fmt="%d")
        np.savetxt(home / "cut_by_image.label", np.zeros(frames, int), fmt="%d")
        (home / "meta_info.ini").write_text(
            "[METAINFO]\nurl: none\nbegin: 00:00:00\nend: 00:00:01\nanno_fps: 10Hz\nobject_class: cat\n"
            f"resolution: ({SIZE_WH[0]}, {SIZE_WH[1]})\n"
        )
        for tracker in TRACKERS:
            store = ResultStore(folder / "results" / "GOT-10k" / tracker, Layout.GOT10K)
            repetitions = 3 if tracker in {"jitter", "random"} else 1
            store.write(name, *(trajectory(answers(tracker, truth, rng)) for _ in range(repetitions)))
    (root / "list.txt").write_text("\n".join(names) + "\n")


def write_one_pass(folder: Path, dataset: str, rng: np.random.Generator, *, with_absences: bool) -> None:
    (folder / dataset).mkdir()
    for name, frames in (("Basketball", 20), ("Bolt", 37), ("Walking", 64)):
        truth = truth_of(rng, frames)
        if with_absences:
            truth[rng.random(frames) < 0.2] = NO_BOX
            truth[0] = [120, 90, 60, 40]
        np.savetxt(folder / dataset / f"{name}.txt", truth, fmt="%.4f", delimiter=",")
        for tracker in TRACKERS:
            store = ResultStore(folder / "results" / dataset / tracker)
            store.write(name, trajectory(answers(tracker, truth, rng)))
