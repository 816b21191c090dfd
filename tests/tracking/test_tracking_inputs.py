"""What a tracker is given: frames and boxes, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trackcli.errors import InputDataError, ShapeError, TrackcliError
from trackcli.tracking.session import Session
from trackcli.tracking.tracker import Tracker

Image = NDArray[np.uint8]
PictureMaker = Callable[[int, int, int], Image]

BOX_XYXY = np.array([[60.0, 40.0, 100.0, 70.0]])


def test_update_before_start_says_what_to_do(session: Session, frames: list[Image]) -> None:
    with pytest.raises(InputDataError) as caught:
        session.update([frames[0]], [0])
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
def test_a_bad_frame_is_refused_at_start_and_update(
    session: Session, frame: Any, given: str, frames: list[Image]
) -> None:
    expected = f"frame has {given}; expected (H, W, 3) uint8 in RGB order"
    with pytest.raises(InputDataError) as caught:
        session.start([frame], [0], BOX_XYXY)
    assert str(caught.value) == expected
    session.start([frames[0]], [0], BOX_XYXY)
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
def test_a_bad_box_is_one_clear_line(session: Session, box: list[float], message: str, frames: list[Image]) -> None:
    with pytest.raises(InputDataError) as caught:
        session.start([frames[0]], [0], np.array([box], dtype=np.float64))
    assert str(caught.value) == message


@pytest.mark.parametrize("box", [[100, 80, 100 + 1e-6, 81], [0, 0, 1e25, 1], [-1e300, -1e300, 1e300, 1e300]])
def test_a_box_that_is_none_in_float32_is_refused(session: Session, box: list[float], frames: list[Image]) -> None:
    with pytest.raises(
        InputDataError, match=r"is nothing to follow; expected sides of at least 0\.01 pixels and coord"
    ):
        session.start([frames[0]], [0], np.array([box]))


@pytest.mark.parametrize("frame", [None, [[1, 2], [3, 4]], torch.zeros((90, 120, 3), dtype=torch.uint8)])
def test_what_is_no_array_is_named(one_target: Tracker, frame: Any) -> None:
    with pytest.raises(InputDataError, match=rf"frame is a {type(frame).__name__}; expected a NumPy array \(H, W, 3\)"):
        one_target.update(frame)


@pytest.mark.parametrize("boxes", ["10,20,30,40", [[1, 2, 3, 4], [5, 6]], torch.ones(4, requires_grad=True)])
def test_boxes_that_are_no_numbers_are_refused(one_target: Tracker, boxes: Any, frames: list[Image]) -> None:
    with pytest.raises(InputDataError, match="boxes_xywh cannot be read as numbers"):
        one_target.start(frames[0], boxes)


@pytest.mark.filterwarnings("error")
def test_a_frame_that_cannot_be_written_to_is_fine(one_target: Tracker, frames: list[Image]) -> None:
    frame = frames[0].copy()
    frame.flags.writeable = False
    one_target.start(frame, [60.0, 40.0, 40.0, 30.0])
    assert np.isfinite(one_target.update(frame).boxes_xyxy).all()


def test_a_box_that_only_just_overlaps_the_frame_is_accepted(session: Session, frames: list[Image]) -> None:
    session.start([frames[0]], [0], np.array([[239.5, 159.0, 300.0, 200.0]]))
    assert np.isfinite(session.update([frames[1]], [0]).boxes_xyxy).all()


def test_boxes_that_do_not_match_their_frames_are_refused(session: Session, frames: list[Image]) -> None:
    with pytest.raises(ShapeError, match=r"^boxes_xyxy has shape \(1, 4\); expected \(2, 4\)$"):
        session.start([frames[0]], [0, 0], BOX_XYXY)


@pytest.fixture
def one_target(tracker: Tracker, frames: list[Image]) -> Tracker:
    tracker.start(frames[0], (60, 40, 40, 30))
    return tracker


def test_a_tracker_takes_and_gives_x_y_w_h(one_target: Tracker, frames: list[Image]) -> None:
    result = one_target.update(frames[1])
    assert result.boxes_xywh.shape == (1, 4) and result.scores.shape == (1,)
    np.testing.assert_allclose(result.boxes_xywh[:, :2] + result.boxes_xywh[:, 2:], result.boxes_xyxy[:, 2:])


def test_a_tracker_follows_several_targets_through_frames_of_changing_size(
    tracker: Tracker, picture: PictureMaker, frames: list[Image]
) -> None:
    tracker.start(frames[0], [[60, 40, 40, 30], [150, 90, 30, 50]])
    assert tracker.update(frames[1]).boxes_xywh.shape == (2, 4)
    assert tracker.update(picture(80, 300, 9)).boxes_xywh.shape == (2, 4)


@pytest.mark.parametrize(
    ("boxes", "kind", "message"),
    [
        ((1, 2, 3), ShapeError, "boxes_xywh has shape (1, 3); expected (4,) or (B, 4)"),
        (np.ones((1, 4, 4)), ShapeError, "boxes_xywh has shape (1, 4, 4); expected (4,) or (B, 4)"),
        (np.zeros((0, 4)), InputDataError, "no boxes were given; expected at least one target"),
    ],
)
def test_boxes_of_another_shape_are_refused(
    tracker: Tracker, boxes: Any, kind: type[TrackcliError], message: str, frames: list[Image]
) -> None:
    with pytest.raises(kind) as caught:
        tracker.start(frames[0], boxes)
    assert str(caught.value) == message


def test_a_refused_start_leaves_the_running_targets_alone(one_target: Tracker, frames: list[Image]) -> None:
    with pytest.raises(InputDataError):
        one_target.start(frames[0], [[60, 40, 40, 30], [0, 0, 0, 0]])
    assert one_target.update(frames[1]).boxes_xyxy.shape == (1, 4)
