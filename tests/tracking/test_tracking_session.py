"""Sessions: batches equal single targets, frames of any size mix, restarts write their rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import trackcli
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State, take_rows, write_rows
from trackcli.errors import InputDataError, ShapeError, TrackcliError
from trackcli.tracking.session import Readout, Session
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import Tracker

Image = NDArray[np.uint8]

BOXES_XYXY = np.array([[60.0, 40.0, 100.0, 70.0], [150.5, 90.25, 180.0, 140.0], [-5.0, 100.0, 25.0, 130.0]])


def picture(height: int, width: int, seed: int) -> Image:
    """Smooth blobs, so that targets have something to be recognised by."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))[:height, :width])


FRAMES = [np.roll(picture(160, 240, seed=1), shift, axis=1) for shift in (0, 4, 8, 12)]


def compose(**changes: Any) -> Tracker:
    recipe: dict[str, Any] = {
        "backbone": {"name": "resnet18", "depth": 2},
        "matcher": {"name": "dw-xcorr", "channels": 16},
        "head": {"name": "rpn", "hidden": 16},
        "crop": {"template_size": 64, "search_size": 128},
        **changes,
    }
    return trackcli.compose(**recipe, device="cpu")


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return compose()


@pytest.fixture
def session(tracker: Tracker) -> Session:
    return Session(tracker.model, StageTimer())


def follow(session: Session, boxes_xyxy: NDArray[np.float64], frames: list[Image] = FRAMES) -> list[Readout]:
    """Start on the first frame, update with the others."""
    owners = [0] * len(boxes_xyxy)
    session.start([frames[0]], owners, boxes_xyxy)
    return [session.update([frame], owners) for frame in frames[1:]]


def assert_same(found: Readout, expected: Readout, rows: Any = slice(None)) -> None:
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy[rows], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores[rows], atol=1e-4)


def test_a_step_gives_a_box_and_a_confidence_per_target(session: Session) -> None:
    readouts = follow(session, BOXES_XYXY)
    for readout in readouts:
        assert readout.boxes_xyxy.shape == (3, 4) and readout.boxes_xyxy.dtype == np.float64
        assert readout.scores.shape == (3,) and readout.scores.dtype == np.float64
        assert (readout.boxes_xyxy[:, 2:] > readout.boxes_xyxy[:, :2]).all()
        assert ((readout.scores >= 0) & (readout.scores <= 1)).all()


def test_a_batch_of_targets_equals_single_ones(session: Session) -> None:
    together = follow(session, BOXES_XYXY)
    for row in range(3):
        alone = follow(session, BOXES_XYXY[row : row + 1])
        for found, expected in zip(alone, together, strict=True):
            assert_same(found, expected, slice(row, row + 1))


def test_frames_of_different_sizes_in_one_batch_equal_one_at_a_time(session: Session) -> None:
    first = [picture(160, 240, seed=2), picture(99, 131, seed=3), picture(300, 200, seed=4)]
    second = [picture(160, 240, seed=5), picture(120, 131, seed=6), picture(300, 201, seed=7)]
    boxes = np.array([[60.0, 40.0, 100.0, 70.0], [20.0, 30.0, 50.0, 70.0], [100.0, 200.0, 150.0, 260.0]])
    session.start(first, [0, 1, 2], boxes)
    together = session.update(second, [0, 1, 2])
    for row in range(3):
        session.start([first[row]], [0], boxes[row : row + 1])
        assert_same(session.update([second[row]], [0]), together, slice(row, row + 1))


def test_targets_may_share_some_frames_of_several(session: Session) -> None:
    frames = [picture(160, 240, seed=2), picture(99, 131, seed=3)]
    boxes = np.array([[20.0, 30.0, 50.0, 70.0], [60.0, 40.0, 100.0, 70.0], [60.0, 30.0, 90.0, 70.0]])
    session.start(frames, [1, 0, 1], boxes)
    together = session.update(frames, [1, 0, 1])
    session.start([frames[1]], [0, 0], boxes[[0, 2]])
    assert_same(session.update([frames[1]], [0, 0]), together, [0, 2])


def test_tracking_twice_gives_the_same_numbers(session: Session) -> None:
    first, second = follow(session, BOXES_XYXY), follow(session, BOXES_XYXY)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
        assert np.array_equal(one.scores, other.scores)


def test_restarting_a_target_makes_it_fresh_and_disturbs_no_other(session: Session) -> None:
    expected = follow(session, BOXES_XYXY)
    again = np.array([[30.0, 20.0, 60.0, 55.0]])
    session.start([FRAMES[0]], [0] * 3, BOXES_XYXY)
    session.update([FRAMES[1]], [0] * 3)
    session.restart([1], [FRAMES[1]], [0], again)
    after = [session.update([frame], [0] * 3) for frame in FRAMES[2:]]
    fresh = follow(session, again, FRAMES[1:])
    for step in range(2):
        assert after[step].boxes_xyxy.shape == (3, 4)
        for row, source in ((0, expected[step + 1]), (2, expected[step + 1])):
            np.testing.assert_allclose(after[step].boxes_xyxy[row], source.boxes_xyxy[row], atol=1e-3)
        np.testing.assert_allclose(after[step].boxes_xyxy[1], fresh[step].boxes_xyxy[0], atol=1e-3)


def test_several_targets_restart_in_their_own_order(session: Session) -> None:
    session.start([FRAMES[0]], [0] * 3, BOXES_XYXY)
    session.restart([2, 0], [FRAMES[1], FRAMES[2]], [1, 0], BOXES_XYXY[[0, 1]])
    readout = session.update([FRAMES[3]], [0] * 3)
    session.start([FRAMES[2]], [0], BOXES_XYXY[[0]])
    assert_same(session.update([FRAMES[3]], [0]), readout, [2])
    session.start([FRAMES[1]], [0], BOXES_XYXY[[1]])
    assert_same(session.update([FRAMES[3]], [0]), readout, [0])


def test_states_are_written_by_row_and_the_old_state_stays() -> None:
    state: State = {"memory": torch.zeros(3, 2), "count": torch.tensor([1, 2, 3])}
    new: State = {"memory": torch.ones(2, 2), "count": torch.tensor([8, 9])}
    written = write_rows(state, torch.tensor([2, 0]), new)
    assert written["memory"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert written["count"].tolist() == [9, 2, 8]
    assert state["count"].tolist() == [1, 2, 3]
    assert take_rows(written, torch.tensor([2, 1]))["count"].tolist() == [8, 2]


class WiderAfterLoss(TrackLink):
    """Asks for the second search size in rows and frames that the test names, and keeps what it saw."""

    def __init__(self, wide: dict[int, list[int]]) -> None:
        super().__init__()
        self.wide = wide
        self.seen: list[tuple[int, list[int]]] = []
        self.updated: list[tuple[list[int], list[bool]]] = []

    def start(self, context: StartContext) -> State:
        return {"row": torch.arange(len(context.boxes_xyxy)), "updates": torch.zeros(len(context.boxes_xyxy))}

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        assert context.frame_index is not None
        self.seen.append((context.search.images.shape[-1], state["row"].tolist()))
        now = self.wide.get(int(context.frame_index[0]), [])
        asks = torch.tensor([int(row in now) for row in state["row"].tolist()])
        return replace(selection, shape_index=asks, flags={"odd": state["row"] % 2 == 1}), state

    def rows_to_update(self, frame_index: Tensor, flags: dict[str, Tensor]) -> Tensor:
        self.updated.append((frame_index.tolist(), (flags["odd"] > 0).tolist()))
        return flags["odd"] > 0

    def update(self, state: State, context: Context, rows: Tensor) -> State:
        return {**state, "updates": state["updates"] + rows}


def session_with(link: WiderAfterLoss) -> Session:
    tracker = compose(crop={"template_size": 64, "search_size": 96, "larger_search_sizes": [160]})
    tracker.model.track_links["wider"] = link
    return Session(tracker.model, StageTimer())


def test_targets_that_ask_for_a_wider_search_get_it_one_frame_later_in_their_own_group() -> None:
    link = WiderAfterLoss({1: [1], 2: [0, 1, 2]})
    session = session_with(link)
    follow(session, BOXES_XYXY)
    assert link.seen == [
        (96, [0, 1, 2]),
        (96, [0, 2]),
        (160, [1]),
        (160, [0, 1, 2]),
    ]


def test_a_wider_search_shows_more_of_the_frame_at_the_same_scale(tracker: Tracker) -> None:
    model = compose(crop={"template_size": 64, "search_size": 96, "larger_search_sizes": [160]}).model
    assert model.crop == CropConfig(template_size=64, search_size=96, larger_search_sizes=(160,))
    session = Session(model, StageTimer())
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    maps = [session._windows(boxes, size) for size in (64, *model.crop.search_sizes)]
    # The context square of 40 × 40 has the side 80 and fills 64 pixels.
    assert [crop_map.scales.item() for crop_map in maps] == pytest.approx([80 / 64] * 3)
    assert maps[2].windows_xyxy[0].tolist() == pytest.approx([20 - 100, 20 - 100, 20 + 100, 20 + 100])


def test_a_group_with_another_search_size_gets_the_same_result_as_alone() -> None:
    together = follow(session_with(WiderAfterLoss({1: [1], 2: [1]})), BOXES_XYXY)
    alone = follow(session_with(WiderAfterLoss({1: [0], 2: [0]})), BOXES_XYXY[1:2])
    for found, expected in zip(alone, together, strict=True):
        assert_same(found, expected, slice(1, 2))


def test_a_restarted_target_searches_at_the_usual_size() -> None:
    link = WiderAfterLoss({1: [0, 1, 2]})
    session = session_with(link)
    session.start([FRAMES[0]], [0] * 3, BOXES_XYXY)
    session.update([FRAMES[1]], [0] * 3)
    session.restart([2], [FRAMES[1]], [0], BOXES_XYXY[2:])
    session.update([FRAMES[2]], [0] * 3)
    assert [(size, len(rows)) for size, rows in link.seen] == [(96, 3), (96, 1), (160, 2)]


def test_links_learn_between_frames_in_the_rows_their_flags_name() -> None:
    link = WiderAfterLoss({})
    session = session_with(link)
    follow(session, BOXES_XYXY)
    assert link.updated == [([frame] * 3, [False, True, False]) for frame in (1, 2, 3)]
    assert session._running().links["wider"]["updates"].tolist() == [0, 3, 0]


def test_update_before_start_says_what_to_do(session: Session) -> None:
    with pytest.raises(InputDataError) as caught:
        session.update([FRAMES[0]], [0])
    assert str(caught.value) == "update() was called before start(); call start(frame, boxes_xywh) first"


@pytest.mark.parametrize(
    ("frame", "given"),
    [
        (np.zeros((90, 120), dtype=np.uint8), "shape (90, 120) and type uint8"),
        (np.zeros((90, 120, 4), dtype=np.uint8), "shape (90, 120, 4) and type uint8"),
        (np.zeros((90, 120, 3), dtype=np.float32), "shape (90, 120, 3) and type float32"),
        (np.zeros((90, 120, 3), dtype=np.uint16), "shape (90, 120, 3) and type uint16"),
        (np.zeros(5, dtype=np.uint8), "shape (5,) and type uint8"),
        (np.zeros((0, 120, 3), dtype=np.uint8), "shape (0, 120, 3) and type uint8"),
    ],
)
def test_a_bad_frame_is_refused_at_start_and_update(session: Session, frame: Any, given: str) -> None:
    expected = f"frame has {given}; expected (H, W, 3) uint8 in RGB order"
    with pytest.raises(InputDataError) as caught:
        session.start([frame], [0], BOXES_XYXY[:1])
    assert str(caught.value) == expected
    session.start([FRAMES[0]], [0], BOXES_XYXY[:1])
    with pytest.raises(InputDataError) as caught:
        session.update([frame], [0])
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([10, 20, 10, 40], "box [10.0, 20.0, 10.0, 40.0] has no area; expected x1 > x0 and y1 > y0"),
        ([10, 20, 5, 40], "box [10.0, 20.0, 5.0, 40.0] has no area; expected x1 > x0 and y1 > y0"),
        ([10, 20, np.nan, 40], "box [10.0, 20.0, nan, 40.0] is not finite; expected x0,y0,x1,y1 in pixels"),
        ([10, 20, np.inf, 40], "box [10.0, 20.0, inf, 40.0] is not finite; expected x0,y0,x1,y1 in pixels"),
        (
            [240, 20, 260, 40],
            "box [240.0, 20.0, 260.0, 40.0] lies outside the 240x160 frame; expected one that overlaps it",
        ),
        (
            [-30, 20, 0, 40],
            "box [-30.0, 20.0, 0.0, 40.0] lies outside the 240x160 frame; expected one that overlaps it",
        ),
    ],
)
def test_a_bad_box_is_one_clear_line(session: Session, box: list[float], message: str) -> None:
    with pytest.raises(InputDataError) as caught:
        session.start([FRAMES[0]], [0], np.array([box], dtype=np.float64))
    assert str(caught.value) == message


def test_a_box_that_only_just_overlaps_the_frame_is_accepted(session: Session) -> None:
    session.start([FRAMES[0]], [0], np.array([[239.5, 159.0, 300.0, 200.0]]))
    assert np.isfinite(session.update([FRAMES[1]], [0]).boxes_xyxy).all()


def test_boxes_that_do_not_match_their_frames_are_refused(session: Session) -> None:
    with pytest.raises(ShapeError, match=r"^boxes_xyxy has shape \(3, 4\); expected \(2, 4\)$"):
        session.start([FRAMES[0]], [0, 0], BOXES_XYXY)


@pytest.fixture
def one_target(tracker: Tracker) -> Iterator[Tracker]:
    tracker.start(FRAMES[0], (60, 40, 40, 30))
    yield tracker


def test_a_tracker_takes_and_gives_x_y_w_h(one_target: Tracker) -> None:
    result = one_target.update(FRAMES[1])
    assert result.boxes_xywh.shape == (1, 4) and result.scores.shape == (1,)
    np.testing.assert_allclose(result.boxes_xywh[:, :2] + result.boxes_xywh[:, 2:], result.boxes_xyxy[:, 2:])


def test_a_tracker_follows_several_targets_through_frames_of_changing_size(tracker: Tracker) -> None:
    tracker.start(FRAMES[0], [[60, 40, 40, 30], [150, 90, 30, 50]])
    assert tracker.update(FRAMES[1]).boxes_xywh.shape == (2, 4)
    assert tracker.update(picture(80, 300, seed=9)).boxes_xywh.shape == (2, 4)


def test_a_tracker_equals_its_session(tracker: Tracker, session: Session) -> None:
    tracker.start(FRAMES[0], (60, 40, 40, 30))
    assert_same(follow(session, BOXES_XYXY[:1], FRAMES[:2])[0], Readout(*vars(tracker.update(FRAMES[1])).values()))


@pytest.mark.parametrize(
    ("boxes", "kind", "message"),
    [
        ((1, 2, 3), ShapeError, "boxes_xywh has shape (1, 3); expected (4,) or (B, 4)"),
        (np.ones((1, 4, 4)), ShapeError, "boxes_xywh has shape (1, 4, 4); expected (4,) or (B, 4)"),
        (np.zeros((0, 4)), InputDataError, "no boxes were given; expected at least one target"),
    ],
)
def test_boxes_of_another_shape_are_refused(
    tracker: Tracker, boxes: Any, kind: type[TrackcliError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        tracker.start(FRAMES[0], boxes)
    assert str(caught.value) == message


def test_a_refused_start_leaves_the_running_targets_alone(one_target: Tracker) -> None:
    with pytest.raises(InputDataError):
        one_target.start(FRAMES[0], [[60, 40, 40, 30], [0, 0, 0, 0]])
    assert one_target.update(FRAMES[1]).boxes_xyxy.shape == (1, 4)


def test_stages_are_timed(session: Session) -> None:
    follow(session, BOXES_XYXY)
    assert set(session.timer.milliseconds()) == {"upload", "start", "crop", "network", "read out", "update links"}
    assert all(value > 0 for value in session.timer.milliseconds().values())
