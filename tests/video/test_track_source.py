from dataclasses import dataclass

import numpy as np
import pytest

from trackcli.errors import InputDataError, ShapeError, TrackcliError
from trackcli.tracking.run import track_source
from trackcli.tracking.timing import StageTimer
from trackcli.video.frames import Frame


@dataclass
class Seen:
    boxes_xyxy: np.ndarray
    scores: np.ndarray


class Drifting:
    """Moves every box by one pixel to the right per frame, in place, as a tracker that reuses its arrays."""

    def __init__(self):
        self.started_on = None
        self.boxes = None
        self.updates = 0

    def start(self, image_rgb, boxes_xywh):
        self.started_on = int(image_rgb[0, 0, 0])
        self.boxes = np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)
        self.scores = np.zeros(len(self.boxes))

    def update(self, image_rgb):
        self.boxes += [1, 0, 1, 0]
        self.scores += 0.1
        self.updates += 1
        return Seen(self.boxes, self.scores)


def frames(*readable, first=0):
    for index, is_readable in enumerate(readable, start=first):
        yield Frame(index, index / 25, np.full((4, 4, 3), index, np.uint8) if is_readable else None)


BOX = np.array([[10.0, 20.0, 30.0, 40.0]])


def test_the_first_box_is_the_one_given_with_score_one():
    first, second, third = track_source(frames(1, 1, 1), Drifting(), BOX)
    assert first.boxes_xyxy.tolist() == [[10, 20, 40, 60]]
    assert first.boxes_xywh.tolist() == BOX.tolist()
    assert first.scores.tolist() == [1]
    assert second.boxes_xyxy.tolist() == [[11, 20, 41, 60]]
    assert third.boxes_xyxy.tolist() == [[12, 20, 42, 60]]
    assert [each.scores[0] for each in (second, third)] == pytest.approx([0.1, 0.2])


def test_results_keep_the_numbers_and_times_of_the_source():
    results = list(track_source(frames(1, 1, first=50), Drifting(), BOX))
    assert [(result.index, result.time_s) for result in results] == [(50, 2.0), (51, 2.04)]


def test_an_unreadable_frame_holds_the_last_box_with_score_zero():
    tracker = Drifting()
    results = list(track_source(frames(1, 1, 0, 0, 1), tracker, BOX))
    assert [result.boxes_xyxy[0, 0] for result in results] == [10, 11, 11, 11, 12]
    assert [result.scores[0] for result in results] == pytest.approx([1, 0.1, 0, 0, 0.2])
    assert [result.image is None for result in results] == [False, False, True, True, False]
    assert tracker.updates == 2


def test_the_tracker_starts_on_the_first_readable_frame():
    tracker = Drifting()
    results = list(track_source(frames(0, 0, 1, 1), tracker, BOX))
    assert tracker.started_on == 2
    assert [result.boxes_xyxy[0, 0] for result in results] == [10, 10, 10, 11]
    assert [result.scores[0] for result in results] == pytest.approx([0, 0, 1, 0.1])


def test_strict_stops_at_an_unreadable_frame():
    running = track_source(frames(1, 0, 1), Drifting(), BOX, strict=True)
    next(running)
    with pytest.raises(InputDataError, match="frame 1 is unreadable and --strict stops there"):
        next(running)


def test_several_targets_go_through_as_one_batch():
    boxes = np.array([[0.0, 0.0, 2.0, 3.0], [5.0, 5.0, 1.0, 1.0]])
    *_, last = track_source(frames(1, 1), Drifting(), boxes)
    assert last.boxes_xyxy.tolist() == [[1, 0, 3, 3], [6, 5, 7, 6]]
    assert last.scores.shape == (2,)


def test_frames_are_read_one_at_a_time():
    def endless():
        index = 0
        while True:
            yield Frame(index, float(index), np.zeros((4, 4, 3), np.uint8))
            index += 1

    running = track_source(endless(), Drifting(), BOX)
    assert [next(running).index for _ in range(3)] == [0, 1, 2]


def test_reading_is_timed():
    timer = StageTimer()
    list(track_source(frames(1, 1), Drifting(), BOX, timer=timer))
    assert list(timer.milliseconds()) == ["decode"]


def test_boxes_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"boxes_xywh has shape \(4,\); expected \(B, 4\)"):
        next(track_source(frames(1), Drifting(), BOX[0]))


def test_a_tracker_that_forgets_a_target_is_found_out():
    class Forgetful(Drifting):
        def update(self, image_rgb):
            return Seen(self.boxes[:0], self.scores[:0])

    with pytest.raises(ShapeError, match=r"returned boxes \(0, 4\) and scores \(0,\); expected \(1, 4\) and \(1,\)"):
        list(track_source(frames(1, 1), Forgetful(), BOX))


def test_an_answer_that_is_no_box_names_the_frame():
    class Diverged(Drifting):
        def update(self, image_rgb):
            super().update(image_rgb)
            return Seen(self.boxes if self.updates < 2 else self.boxes * np.nan, self.scores)

    running = track_source(frames(1, 1, 1), Diverged(), BOX)
    next(running), next(running)
    with pytest.raises(TrackcliError, match=r"the tracker answered nan,nan,nan,nan in frame 2; expected x0,y0,x1,y1"):
        next(running)
