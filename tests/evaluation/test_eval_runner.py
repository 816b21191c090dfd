from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trackcli_cache.datasets import Mark

from trackcli.errors import InputDataError
from trackcli.evaluation.baselines import HoldTracker
from trackcli.evaluation.datasets import EvaluationSequence, load_folder_sequences
from trackcli.evaluation.results import ResultStore
from trackcli.evaluation.runner import SequenceResult, evaluate, run_tracker
from trackcli.evaluation.variants import find_variant
from trackcli.tracking.timing import StageTimer

LINES = ["1,2,8,6", "2,2,8,6", "nan,nan,nan,nan", "4,2,8,6"]


class ScriptedTracker:
    """Answers from a list and remembers what it was shown."""

    name = "scripted"

    def __init__(self, answers_xyxy: list[list[float]], *, seconds: float = 0) -> None:
        self.answers = answers_xyxy
        self.seconds = seconds
        self.shown: list[int] = []
        self.started: list[list[float]] = []

    def start(self, image: np.ndarray, boxes_xywh: np.ndarray) -> None:
        time.sleep(self.seconds)
        self.started += boxes_xywh.tolist()
        self.shown = [int(image[0, 0, 0])]
        boxes_xywh[:] = -1  # must not reach the ground truth

    def update(self, image: np.ndarray) -> SimpleNamespace:
        self.shown.append(int(image[0, 0, 0]))
        frame = len(self.shown) - 1
        return SimpleNamespace(boxes_xyxy=np.array([self.answers[frame - 1]]), scores=np.array([0.25 * frame]))


ANSWERS = [[2, 2, 10, 8], [3, 2, 11, 8], [8, 2, 16, 8]]


@pytest.fixture
def sequence(make_sequence) -> EvaluationSequence:
    return load_folder_sequences(make_sequence("clip", LINES))[0]


def test_one_pass_starts_with_the_first_box_and_is_never_helped(sequence) -> None:
    tracker = ScriptedTracker(ANSWERS)
    trajectory = run_tracker(tracker, sequence)
    assert tracker.started == [[1, 2, 8, 6]]
    assert tracker.shown == [0, 1, 2, 3]
    assert trajectory.boxes_xywh.tolist() == [[1, 2, 8, 6], [2, 2, 8, 6], [3, 2, 8, 6], [8, 2, 8, 6]]
    assert trajectory.scores.tolist() == [1, 0.25, 0.5, 0.75]


@pytest.fixture
def clock(monkeypatch) -> None:
    """Time passes in ``sleep`` only."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])


def test_the_time_of_frame_0_is_that_of_starting(sequence, clock) -> None:
    seconds = run_tracker(ScriptedTracker(ANSWERS, seconds=3), sequence).seconds
    assert seconds.tolist() == [3, 0, 0, 0]


def test_reading_images_is_timed_as_a_stage_of_its_own(sequence, monkeypatch, clock) -> None:
    def slow_read(path: Path) -> np.ndarray:
        time.sleep(2)
        return np.zeros((24, 32, 3), dtype=np.uint8)

    monkeypatch.setattr("trackcli.evaluation.one_pass.read_image", slow_read)
    timer = StageTimer()
    trajectory = run_tracker(HoldTracker(), sequence, timer=timer)
    assert timer.seconds("decode") == 4 * 2
    assert trajectory.total_seconds == 0


def test_answers_may_be_tensors(sequence) -> None:
    torch = pytest.importorskip("torch")
    tracker = ScriptedTracker(ANSWERS)
    numpy_update = tracker.update

    def update(image: np.ndarray) -> SimpleNamespace:
        answer = numpy_update(image)
        return SimpleNamespace(boxes_xyxy=torch.tensor(answer.boxes_xyxy), scores=torch.tensor(answer.scores))

    tracker.update = update  # type: ignore[method-assign]
    assert run_tracker(tracker, sequence).boxes_xywh[1].tolist() == [2, 2, 8, 6]


def test_holding_the_first_box_gives_its_overlaps(sequence) -> None:
    (result,) = evaluate(HoldTracker(), [sequence]).sequences
    assert result.score.mean_overlap == pytest.approx((42 / 54 + 30 / 66) / 2)  # shifted by 1 and by 3 of 8 pixels
    assert result.score.evaluated_frames == 2
    assert result.frames == 4


def test_the_mean_is_over_sequences_and_the_rate_over_all_frames(make_sequence, tmp_path) -> None:
    make_sequence("still", ["1,2,8,6"] * 3)
    make_sequence("gone", ["1,2,8,6", *["20,2,8,6"] * 7])
    result = evaluate(HoldTracker(), load_folder_sequences(tmp_path / "data"))
    assert result.score.mean_overlap == 0.5
    assert result.frames == 11
    assert result.fps == pytest.approx(11 / sum(one.seconds for one in result.sequences))


def test_a_sequence_of_which_a_variant_counts_nothing_is_named(sequence) -> None:
    marks = np.array([0, *[Mark.FULLY_OCCLUDED] * (len(sequence) - 1)], dtype=np.uint8)
    hidden = replace(sequence, marks=marks)
    with pytest.raises(InputDataError, match="sequence clip: with variant got10k no frame counts"):
        evaluate(HoldTracker(), [hidden], variant=find_variant("got10k", "folder"))
    assert evaluate(HoldTracker(), [hidden]).score.evaluated_frames == 2


def test_repetitions_are_of_the_same_frames(sequence) -> None:
    once, thrice = (evaluate(HoldTracker(), [sequence], repetitions=count) for count in (1, 3))
    assert thrice.sequences[0].repetitions == 3
    assert thrice.score.evaluated_frames == once.score.evaluated_frames == 2
    assert thrice.score.success_auc == once.score.success_auc


def test_a_tracker_s_own_timer_is_reported(sequence) -> None:
    tracker = HoldTracker()
    tracker.timer = StageTimer()  # type: ignore[attr-defined]
    tracker.timer.add("network", 0.5)  # type: ignore[attr-defined]
    assert evaluate(tracker, [sequence]).milliseconds["network"] == 500


def test_a_finished_result_is_reused_and_says_so(sequence, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out")
    with store.claimed("scripted"):
        first = evaluate(ScriptedTracker(ANSWERS), [sequence], store=store)
        again = evaluate(ScriptedTracker([]), [sequence], store=store)  # could not answer a single frame
    assert [first.sequences[0].reused, again.sequences[0].reused] == [False, True]
    assert again.score.success_curve.tolist() == first.score.success_curve.tolist()
    assert again.fps == first.fps
    assert again.milliseconds == {}


def test_an_interrupted_evaluation_goes_on_with_the_unfinished_sequence(make_sequence, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make_sequence(name, LINES)
    sequences = load_folder_sequences(tmp_path / "data")
    store = ResultStore(tmp_path / "out")

    def interrupt(result: SequenceResult) -> None:
        if result.name == "b":
            raise KeyboardInterrupt

    with store.claimed("hold"), pytest.raises(KeyboardInterrupt):
        evaluate(HoldTracker(), sequences, store=store, on_sequence=interrupt)
    with store.claimed("hold"):
        result = evaluate(HoldTracker(), sequences, store=store)
    assert [one.reused for one in result.sequences] == [True, True, False]


def test_force_tracks_again(sequence, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out")
    with store.claimed("x"):
        evaluate(HoldTracker(), [sequence], store=store)
        forced = evaluate(ScriptedTracker(ANSWERS), [sequence], store=store, force=True)
    assert not forced.sequences[0].reused
    assert store.read("clip", 4).boxes_xywh[1].tolist() == [2, 2, 8, 6]


def test_a_kept_result_that_begins_elsewhere_is_refused(sequence, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out")
    store.folder.mkdir()
    (store.folder / "clip.txt").write_text("2,3,8,6\n" * 4)
    with pytest.raises(InputDataError) as caught:
        evaluate(HoldTracker(), [sequence], store=store)
    assert str(caught.value) == (
        f"{store.folder / 'clip.txt'} begins at 2,3,8,6, but sequence clip at 1,2,8,6; expected results of this "
        "sequence; track it again with --force"
    )


def test_kept_results_without_times_have_no_rate(sequence, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out")
    store.folder.mkdir()
    (store.folder / "clip.txt").write_text("1,2,8,6\n" * 4)
    assert np.isnan(evaluate(HoldTracker(), [sequence], store=store).fps)


def test_an_unreadable_frame_is_named(sequence) -> None:
    broken = sequence.image_paths[2]
    broken.write_bytes(b"not an image")
    with pytest.raises(
        InputDataError, match=f"^image '{re.escape(str(broken))}' cannot be decoded; expected a whole JPEG"
    ):
        run_tracker(HoldTracker(), sequence)
