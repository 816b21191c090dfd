"""Sessions: batches equal single targets, frames of any size mix, restarts write their rows alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State, take_rows, write_rows
from trackcli.tracking.session import Readout, Session
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import Tracker

Image = NDArray[np.uint8]
TrackerMaker = Callable[..., Tracker]
PictureMaker = Callable[[int, int, int], Image]

BOXES_XYXY = np.array([[60.0, 40.0, 100.0, 70.0], [150.5, 90.25, 180.0, 140.0], [-5.0, 100.0, 25.0, 130.0]])


def follow(session: Session, boxes_xyxy: NDArray[np.float64], frames: list[Image]) -> list[Readout]:
    """Start on the first frame, update with the others."""
    owners = [0] * len(boxes_xyxy)
    session.start([frames[0]], owners, boxes_xyxy)
    return [session.update([frame], owners) for frame in frames[1:]]


def assert_same(found: Readout, expected: Readout, rows: Any = slice(None)) -> None:
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy[rows], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores[rows], atol=1e-4)


def test_a_step_gives_a_box_and_a_confidence_per_target(session: Session, frames: list[Image]) -> None:
    readouts = follow(session, BOXES_XYXY, frames)
    for readout in readouts:
        assert readout.boxes_xyxy.shape == (3, 4) and readout.boxes_xyxy.dtype == np.float64
        assert readout.scores.shape == (3,) and readout.scores.dtype == np.float64
        assert (readout.boxes_xyxy[:, 2:] > readout.boxes_xyxy[:, :2]).all()
        assert ((readout.scores >= 0) & (readout.scores <= 1)).all()


def test_a_batch_of_targets_equals_single_ones(session: Session, frames: list[Image]) -> None:
    together = follow(session, BOXES_XYXY, frames)
    for row in range(3):
        alone = follow(session, BOXES_XYXY[row : row + 1], frames)
        for found, expected in zip(alone, together, strict=True):
            assert_same(found, expected, slice(row, row + 1))


def test_frames_of_different_sizes_in_one_batch_equal_one_at_a_time(session: Session, picture: PictureMaker) -> None:
    first = [picture(160, 240, 2), picture(99, 131, 3), picture(300, 200, 4)]
    second = [picture(160, 240, 5), picture(120, 131, 6), picture(300, 201, 7)]
    boxes = np.array([[60.0, 40.0, 100.0, 70.0], [20.0, 30.0, 50.0, 70.0], [100.0, 200.0, 150.0, 260.0]])
    session.start(first, [0, 1, 2], boxes)
    together = session.update(second, [0, 1, 2])
    for row in range(3):
        session.start([first[row]], [0], boxes[row : row + 1])
        assert_same(session.update([second[row]], [0]), together, slice(row, row + 1))


def test_targets_may_share_some_frames_of_several(session: Session, picture: PictureMaker) -> None:
    frames = [picture(160, 240, 2), picture(99, 131, 3)]
    boxes = np.array([[20.0, 30.0, 50.0, 70.0], [60.0, 40.0, 100.0, 70.0], [60.0, 30.0, 90.0, 70.0]])
    session.start(frames, [1, 0, 1], boxes)
    together = session.update(frames, [1, 0, 1])
    session.start([frames[1]], [0, 0], boxes[[0, 2]])
    assert_same(session.update([frames[1]], [0, 0]), together, [0, 2])


def test_tracking_twice_gives_the_same_numbers(session: Session, frames: list[Image]) -> None:
    first, second = follow(session, BOXES_XYXY, frames), follow(session, BOXES_XYXY, frames)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.boxes_xyxy, other.boxes_xyxy)
        assert np.array_equal(one.scores, other.scores)


def test_restarting_a_target_makes_it_fresh_and_disturbs_no_other(session: Session, frames: list[Image]) -> None:
    expected = follow(session, BOXES_XYXY, frames)
    again = np.array([[30.0, 20.0, 60.0, 55.0]])
    session.start([frames[0]], [0] * 3, BOXES_XYXY)
    session.update([frames[1]], [0] * 3)
    session.restart([1], [frames[1]], [0], again)
    after = [session.update([frame], [0] * 3) for frame in frames[2:]]
    fresh = follow(session, again, frames[1:])
    for step in range(2):
        assert after[step].boxes_xyxy.shape == (3, 4)
        for row, source in ((0, expected[step + 1]), (2, expected[step + 1])):
            np.testing.assert_allclose(after[step].boxes_xyxy[row], source.boxes_xyxy[row], atol=1e-3)
        np.testing.assert_allclose(after[step].boxes_xyxy[1], fresh[step].boxes_xyxy[0], atol=1e-3)


def test_several_targets_restart_in_their_own_order(session: Session, frames: list[Image]) -> None:
    session.start([frames[0]], [0] * 3, BOXES_XYXY)
    session.restart([2, 0], [frames[1], frames[2]], [1, 0], BOXES_XYXY[[0, 1]])
    readout = session.update([frames[3]], [0] * 3)
    session.start([frames[2]], [0], BOXES_XYXY[[0]])
    assert_same(session.update([frames[3]], [0]), readout, [2])
    session.start([frames[1]], [0], BOXES_XYXY[[1]])
    assert_same(session.update([frames[3]], [0]), readout, [0])


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

    def update(self, state: State, selection: Selection, context: Context, rows: Tensor) -> State:
        assert context.geometry is not None and selection.boxes_xyxy.shape == (len(rows), 4)
        return {**state, "updates": state["updates"] + rows}


def session_with(make_tracker: TrackerMaker, link: WiderAfterLoss) -> Session:
    tracker = make_tracker(crop={"template_size": 64, "search_size": 96, "larger_search_sizes": [160]})
    tracker.model.track_links["wider"] = link
    return Session(tracker.model, StageTimer())


def test_targets_that_ask_for_a_wider_search_get_it_one_frame_later_in_their_own_group(
    make_tracker: TrackerMaker, frames: list[Image]
) -> None:
    link = WiderAfterLoss({1: [1], 2: [0, 1, 2]})
    session = session_with(make_tracker, link)
    follow(session, BOXES_XYXY, frames)
    assert link.seen == [
        (96, [0, 1, 2]),
        (96, [0, 2]),
        (160, [1]),
        (160, [0, 1, 2]),
    ]


def test_a_wider_search_shows_more_of_the_frame_at_the_same_scale(tracker: Tracker, make_tracker: TrackerMaker) -> None:
    model = make_tracker(crop={"template_size": 64, "search_size": 96, "larger_search_sizes": [160]}).model
    assert model.crop == CropConfig(template_size=64, search_size=96, larger_search_sizes=(160,))
    session = Session(model, StageTimer())
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    maps = [session._windows(boxes, size) for size in (64, *model.crop.search_sizes)]
    # The context square of 40 × 40 has the side 80 and fills 64 pixels.
    assert [crop_map.scales.item() for crop_map in maps] == pytest.approx([80 / 64] * 3)
    assert maps[2].windows_xyxy[0].tolist() == pytest.approx([20 - 100, 20 - 100, 20 + 100, 20 + 100])


def test_the_scale_of_both_crops_can_be_chosen_apart_from_the_templates_size(make_tracker: TrackerMaker) -> None:
    model = make_tracker(crop={"template_size": 96, "search_size": 96, "context_size": 40, "context": 0}).model
    session = Session(model, StageTimer())
    # 40 × 10 without context: the square of side 20 fills 40 of the 96 pixels.
    crop_map = session._windows(torch.tensor([[0.0, 0.0, 40.0, 10.0]]), 96)
    assert crop_map.scales.item() == pytest.approx(0.5)
    assert crop_map.windows_xyxy[0].tolist() == pytest.approx([20 - 24, 5 - 24, 20 + 24, 5 + 24])


def test_a_group_with_another_search_size_gets_the_same_result_as_alone(
    make_tracker: TrackerMaker, frames: list[Image]
) -> None:
    together = follow(session_with(make_tracker, WiderAfterLoss({1: [1], 2: [1]})), BOXES_XYXY, frames)
    alone = follow(session_with(make_tracker, WiderAfterLoss({1: [0], 2: [0]})), BOXES_XYXY[1:2], frames)
    for found, expected in zip(alone, together, strict=True):
        assert_same(found, expected, slice(1, 2))


def test_a_restarted_target_searches_at_the_usual_size(make_tracker: TrackerMaker, frames: list[Image]) -> None:
    link = WiderAfterLoss({1: [0, 1, 2]})
    session = session_with(make_tracker, link)
    session.start([frames[0]], [0] * 3, BOXES_XYXY)
    session.update([frames[1]], [0] * 3)
    session.restart([2], [frames[1]], [0], BOXES_XYXY[2:])
    session.update([frames[2]], [0] * 3)
    assert [(size, len(rows)) for size, rows in link.seen] == [(96, 3), (96, 1), (160, 2)]


def test_links_learn_between_frames_in_the_rows_their_flags_name(
    make_tracker: TrackerMaker, frames: list[Image]
) -> None:
    link = WiderAfterLoss({})
    session = session_with(make_tracker, link)
    follow(session, BOXES_XYXY, frames)
    assert link.updated == [([frame] * 3, [False, True, False]) for frame in (1, 2, 3)]
    assert session._running().links["wider"]["updates"].tolist() == [0, 3, 0]


def test_a_tracker_equals_its_session(tracker: Tracker, session: Session, frames: list[Image]) -> None:
    tracker.start(frames[0], (60, 40, 40, 30))
    assert_same(follow(session, BOXES_XYXY[:1], frames[:2])[0], Readout(*vars(tracker.update(frames[1])).values()))


def test_stages_are_timed(session: Session, frames: list[Image]) -> None:
    follow(session, BOXES_XYXY, frames)
    assert set(session.timer.milliseconds()) == {"upload", "start", "crop", "network", "read out", "update links"}
    assert all(value > 0 for value in session.timer.milliseconds().values())
