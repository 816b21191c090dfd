"""Several processes and batched steps: other ways to the same results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import Future
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from trackcli.errors import InputDataError
from trackcli.evaluation import methods
from trackcli.evaluation.baselines import Held, HoldTracker
from trackcli.evaluation.batched import Batched
from trackcli.evaluation.contenders import make_tracker
from trackcli.evaluation.datasets import SequenceSet, load_folder_sequences
from trackcli.evaluation.methods import OneByOne, Processes, Task
from trackcli.evaluation.one_pass import TrackerFailedError, run_tracker
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.runner import evaluate
from trackcli.tracking.tracker import Tracker, load

LENGTHS = {"a": 4, "b": 9, "c": 2, "d": 6, "e": 3}


@pytest.fixture
def clips(tmp_path: Path) -> SequenceSet:
    """Five sequences of different lengths and sizes in which a textured square moves."""
    for seed, (name, frames) in enumerate(LENGTHS.items()):
        folder = tmp_path / "clips" / name
        (folder / "img").mkdir(parents=True)
        rng = np.random.default_rng(seed)
        height, width = 120 + 16 * seed, 200 - 12 * seed
        ground = cv2.resize(rng.integers(0, 255, (12, 20, 3), dtype=np.uint8), (width, height))
        target = rng.integers(0, 255, (30, 24, 3), dtype=np.uint8)
        for index in range(frames):
            image = ground.copy()
            image[40:70, 30 + 3 * index : 54 + 3 * index] = target
            cv2.imwrite(str(folder / "img" / f"{index:03d}.png"), image)
        boxes = [f"{30 + 3 * index},40,24,30" for index in range(frames)]
        (folder / "groundtruth.txt").write_text("\n".join(boxes) + "\n")
    return load_folder_sequences(tmp_path / "clips")


@pytest.fixture(scope="module")
def small(untrained_tracker: Path) -> Tracker:
    return load(untrained_tracker, device="cpu")


def run_all(method, clips: SequenceSet, repetitions: int = 1) -> dict[Task, Trajectory]:
    tasks = [Task(index, repetition) for index in range(len(clips)) for repetition in range(repetitions)]
    return dict(method.run(clips, tasks))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8])
def test_many_sequences_in_one_step_equal_one_at_a_time(clips: SequenceSet, small: Tracker, rows: int) -> None:
    """To float tolerance: sums over a batch may be added up in another order, and a tracker is fed what it said."""
    batched = run_all(Batched(small, rows), clips)
    for index, sequence in enumerate(clips):
        alone = run_tracker(small, sequence)
        np.testing.assert_allclose(batched[Task(index)].boxes_xywh, alone.boxes_xywh, atol=0.02, err_msg=sequence.name)
        np.testing.assert_allclose(batched[Task(index)].scores, alone.scores, atol=1e-3)


def test_rows_are_refilled_in_order_and_shorter_sequences_are_done_sooner(clips: SequenceSet, small: Tracker) -> None:
    done = [clips.names[task.index] for task, _ in Batched(small, 2).run(clips, [Task(index) for index in range(5)])]
    assert done == ["a", "c", "b", "d", "e"]  # c follows a in its row; d follows c while b goes on


def test_a_batched_step_is_shared_out_among_its_rows(clips: SequenceSet, small: Tracker) -> None:
    batched = run_all(Batched(small, 5), clips)
    assert all((run.seconds > 0).all() for run in batched.values())
    first = [run.seconds[1] for run in batched.values()]
    assert first == pytest.approx([first[0]] * 5)


def test_repetitions_of_a_sequence_may_share_a_batch(clips: SequenceSet, small: Tracker) -> None:
    batched = run_all(Batched(small, 4), clips[:2], repetitions=2)
    assert set(batched) == {Task(0, 0), Task(0, 1), Task(1, 0), Task(1, 1)}
    np.testing.assert_allclose(batched[Task(0, 0)].boxes_xywh, batched[Task(0, 1)].boxes_xywh, atol=0.02)


def all_end(others: set[BaseProcess]) -> bool:
    """Whether no process is left but those that others started; two threads may be about to see a process end."""
    deadline = time.monotonic() + 20
    while set(multiprocessing.active_children()) - others:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_two_processes_give_the_very_results_of_one(
    clips: SequenceSet, untrained_tracker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = set[BaseProcess](multiprocessing.active_children())
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = run_all(OneByOne(load(untrained_tracker, device="cpu")), clips)
    finally:
        torch.set_num_threads(threads)
    method = Processes(partial(make_tracker, str(untrained_tracker), "cpu"), 2)
    two = run_all(method, clips)
    assert set(two) == set(one)
    for task, trajectory in one.items():
        np.testing.assert_array_equal(two[task].boxes_xywh, trajectory.boxes_xywh)
        np.testing.assert_array_equal(two[task].scores, trajectory.scores)
    assert {"decode", "network", "start"} <= set(method.timer.milliseconds())
    assert all_end(others)


def test_a_process_that_fails_names_the_sequence_and_what_was_finished_is_kept(
    clips: SequenceSet, tmp_path: Path
) -> None:
    others = set[BaseProcess](multiprocessing.active_children())
    (tmp_path / "clips" / "d" / "img" / "004.png").write_bytes(b"no image")
    store = ResultStore(tmp_path / "out")
    method = Processes(partial(make_tracker, "hold", "cpu"), 1)
    with store.claimed("hold"), pytest.raises(InputDataError, match=r"clips/d/img/004\.png' cannot be decoded"):
        evaluate(method, clips, store=store)
    finished = [name for name in LENGTHS if store.has(name)]
    assert finished[:3] == ["a", "b", "c"] and "d" not in finished, "e may have been finished meanwhile"
    assert all_end(others)


class DeafTracker(HoldTracker):
    """Hangs on sequence b and does not hear SIGTERM; fails on the others as soon as it hangs."""

    def __init__(self, hangs: Path) -> None:
        super().__init__()
        self.hangs = hangs

    def start(self, image: np.ndarray, boxes_xywh: np.ndarray) -> None:
        if image.shape[0] == 136:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self.hangs.touch()
            time.sleep(120)
        while not self.hangs.exists():
            time.sleep(0.01)
        raise ZeroDivisionError("float division by zero")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere terminating a process is killing it")
def test_a_process_that_cannot_be_terminated_is_killed(
    clips: SequenceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = set[BaseProcess](multiprocessing.active_children())
    monkeypatch.setattr(methods, "_SECONDS_TO_END", 0.5)
    began = time.monotonic()
    with pytest.raises(TrackerFailedError, match="the tracker failed on sequence a: ZeroDivisionError"):
        run_all(Processes(partial(DeafTracker, tmp_path / "hangs"), 2), clips)
    assert (tmp_path / "hangs").exists()
    assert all_end(others)
    assert time.monotonic() - began < 60, "it waited for the process to end by itself"


class FailingTracker(HoldTracker):
    """Fails in its third frame."""

    def start(self, image: np.ndarray, boxes_xywh: np.ndarray) -> None:
        super().start(image, boxes_xywh)
        self.left = 2

    def update(self, image: np.ndarray):
        self.left -= 1
        if self.left == 0:
            raise ZeroDivisionError("float division by zero")
        return super().update(image)


def test_a_tracker_s_own_failure_names_the_sequence(clips: SequenceSet) -> None:
    with pytest.raises(TrackerFailedError) as caught:
        evaluate(FailingTracker(), clips)
    assert str(caught.value) == (
        "the tracker failed on sequence a: ZeroDivisionError: float division by zero; "
        "run again with --debug for the traceback, or leave it out with --sequences"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class WanderingTracker(HoldTracker):
    """Answers no number in its third frame."""

    def start(self, image: np.ndarray, boxes_xywh: np.ndarray) -> None:
        super().start(image, boxes_xywh)
        self.frame = 0

    def update(self, image: np.ndarray):
        self.frame += 1
        return Held(np.full((1, 4), np.nan), np.ones(1)) if self.frame == 2 else super().update(image)


def test_a_tracker_that_answers_no_numbers_is_stopped_with_sequence_and_frame(
    clips: SequenceSet, tmp_path: Path
) -> None:
    store = ResultStore(tmp_path / "out")
    with store.claimed("wandering"), pytest.raises(TrackerFailedError) as caught:
        evaluate(WanderingTracker(), clips, store=store)
    assert str(caught.value) == (
        "the tracker answered nan,nan,nan,nan on sequence a, frame 2; expected x,y,w,h in numbers (an empty box, where "
        "it finds nothing); leave the sequence out with --sequences"
    )
    assert not store.has("a")


def test_a_batch_names_the_sequence_in_which_no_numbers_are_answered(
    clips: SequenceSet, small: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = small.session.update

    def spoilt(images, frames):
        readout = update(images, frames)
        readout.boxes_xyxy[1] = np.inf
        return readout

    monkeypatch.setattr(small.session, "update", spoilt)
    with pytest.raises(TrackerFailedError, match=r"answered inf,inf,nan,nan on sequence b, frame 1"):
        run_all(Batched(small, 3), clips)


def test_a_batch_names_the_sequence_whose_image_is_broken(clips: SequenceSet, small: Tracker, tmp_path: Path) -> None:
    (tmp_path / "clips" / "b" / "img" / "003.png").write_bytes(b"no image")
    with pytest.raises(InputDataError, match=r"clips/b/img/003\.png' cannot be decoded"):
        run_all(Batched(small, 3), clips)


def test_what_ended_together_with_a_failure_is_handed_on_before_it() -> None:
    failed, finished = Future[Any](), Future[Any]()
    failed.set_exception(ZeroDivisionError())
    finished.set_result(None)
    assert sorted([failed, finished], key=methods._has_failed) == [finished, failed]


def test_processes_with_nothing_left_to_do_are_not_started(clips: SequenceSet) -> None:
    """All results are there already, and the command is called again."""
    assert list(Processes(HoldTracker, 2).run(clips, [])) == []
