from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackcli.errors import ShapeError
from trackcli.evaluation.metrics import (
    center_errors,
    iou_xywh,
    mean_score,
    normalised_center_errors,
    score_boxes,
)

NAN, INF = float("nan"), float("inf")
TRUTH = np.array([[10.0, 20, 30, 40]] * 5)
FAR = np.array([500.0, 0, 0, 0])

any_boxes = arrays(np.float64, (6, 4), elements=st.floats(allow_nan=True, allow_infinity=True))
pixel_boxes = arrays(np.float64, (6, 4), elements=st.floats(0.125, 1000))


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_overlaps_match_those_computed_by_hand() -> None:
    a = boxes((0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 2, 2), (0.5, 0, 1, 1))
    b = boxes((0, 0, 4, 4), (2, 0, 4, 4), (4, 0, 4, 4), (1, 1, 2, 2), (0, 0, 1, 1))
    assert iou_xywh(a, b).tolist() == [1, 8 / 24, 0, 1 / 7, 0.5 / 1.5]


@pytest.mark.parametrize("bad", [(NAN, 0, 4, 4), (0, 0, NAN, 4), (0, 0, 0, 4), (0, 0, 4, -4), (0, 0, INF, 4)])
def test_what_is_no_box_overlaps_nothing_and_is_infinitely_far(bad: tuple[float, float, float, float]) -> None:
    truth = boxes((0, 0, 4, 4))
    assert iou_xywh(boxes(bad), truth).tolist() == [0]
    assert iou_xywh(truth, boxes(bad)).tolist() == [0]
    assert center_errors(boxes(bad), truth).tolist() == [INF]
    assert normalised_center_errors(boxes(bad), truth).tolist() == [INF]


@given(any_boxes, any_boxes)
def test_any_numbers_give_overlaps_from_0_to_1_without_a_warning(a: np.ndarray, b: np.ndarray) -> None:
    with np.errstate(all="raise", under="ignore"):
        overlaps = iou_xywh(a, b)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()
    assert overlaps.tolist() == iou_xywh(b, a).tolist()


@given(pixel_boxes)
def test_a_box_overlaps_itself_completely(a: np.ndarray) -> None:
    np.testing.assert_allclose(iou_xywh(a, a), 1, atol=1e-9)
    assert (iou_xywh(a, a) <= 1).all()


def test_center_errors_are_distances_between_centres() -> None:
    tracked = boxes((3, 4, 10, 10), (0, 0, 16, 10))
    truth = boxes((0, 0, 10, 10), (0, 0, 10, 10))
    assert center_errors(tracked, truth).tolist() == [5, 3]


def test_normalised_errors_are_divided_by_the_true_width_and_height() -> None:
    tracked = boxes((3, 8, 10, 20))
    truth = boxes((0, 0, 10, 20))
    np.testing.assert_allclose(normalised_center_errors(tracked, truth), [0.5])  # hypot(3 / 10, 8 / 20)


def test_perfect_tracking_has_success_20_over_21_and_all_else_1() -> None:
    score = score_boxes(TRUTH, TRUTH)
    assert score.success_auc == pytest.approx(20 / 21, abs=1e-15)
    assert (score.precision, score.normalised_precision, score.mean_overlap) == (1, 1, 1)


def test_losing_the_target_at_once_scores_0() -> None:
    lost = TRUTH + FAR
    score = score_boxes(lost, TRUTH)
    assert (score.success_auc, score.precision, score.normalised_precision, score.mean_overlap) == (0, 0, 0, 0)


@pytest.mark.parametrize("step", range(1, 20))
def test_an_overlap_equal_to_a_threshold_is_not_above_it(step: int) -> None:
    truth = boxes((0, 0, 20, 1), (0, 0, 20, 1))
    tracked = boxes((0, 0, 20, 1), (0, 0, step, 1))
    curve = score_boxes(tracked, truth).success_curve
    assert curve.tolist() == [1.0] * step + [0.0] * (21 - step)


def test_precision_counts_errors_up_to_and_including_20_pixels() -> None:
    truth = boxes(*[(0, 0, 10, 10)] * 4)
    tracked = boxes((0, 0, 10, 10), (20, 0, 10, 10), (20.001, 0, 10, 10), (0, 19, 10, 10))
    score = score_boxes(tracked, truth)
    assert score.precision == pytest.approx(2 / 3)
    np.testing.assert_allclose(score.precision_curve[[18, 19, 20, 21, 50]], [0, 1 / 3, 2 / 3, 1, 1])


def test_normalised_precision_counts_errors_up_to_a_fifth_of_the_target() -> None:
    truth = boxes(*[(0, 0, 100, 50)] * 3)
    tracked = boxes((0, 0, 100, 50), (20, 0, 100, 50), (0, 11, 100, 50))
    assert score_boxes(tracked, truth).normalised_precision == 0.5


def test_the_success_curve_of_known_overlaps() -> None:
    truth = boxes(*[(0, 0, 10, 10)] * 3)
    tracked = boxes((0, 0, 10, 10), (0, 0, 10, 5), (0, 0, 10, 8))  # overlaps: left out, 0.5, 0.8
    score = score_boxes(tracked, truth)
    assert score.mean_overlap == pytest.approx(0.65)
    assert score.success_auc == pytest.approx((10 + 16) / 2 / 21)  # above 0 … 0.45, and above 0 … 0.75


def test_frame_0_does_not_count() -> None:
    tracked = TRUTH.copy()
    tracked[0] = NAN
    assert score_boxes(tracked, TRUTH).mean_overlap == 1
    assert score_boxes(tracked, TRUTH).evaluated_frames == 4


def test_frames_without_a_target_do_not_count() -> None:
    truth = TRUTH.copy()
    truth[2:4] = NAN
    tracked = TRUTH.copy()
    tracked[3:] += FAR  # wrong in frame 3, where nothing is, and in frame 4
    score = score_boxes(tracked, truth)
    assert score.evaluated_frames == 2
    assert score.mean_overlap == 0.5


def test_a_frame_that_was_not_answered_counts_as_missed() -> None:
    tracked = TRUTH.copy()
    tracked[4] = NAN
    assert score_boxes(tracked, TRUTH).mean_overlap == 0.75


def test_the_mean_weighs_sequences_equally_however_long_they_are() -> None:
    long_and_good = score_boxes(np.repeat(TRUTH, 20, axis=0), np.repeat(TRUTH, 20, axis=0))
    short_and_bad = score_boxes(TRUTH[:2] + FAR, TRUTH[:2])
    mean = mean_score([long_and_good, short_and_bad])
    assert mean.mean_overlap == 0.5
    assert mean.success_auc == pytest.approx(10 / 21)
    assert mean.evaluated_frames == 100


@given(st.lists(arrays(np.float64, (6, 4), elements=st.floats(1, 200)), min_size=1, max_size=4))
def test_the_mean_of_curves_has_the_mean_of_their_areas(trajectories: list[np.ndarray]) -> None:
    scores = [score_boxes(trajectory, np.full((6, 4), 60.0)) for trajectory in trajectories]
    assert mean_score(scores).success_auc == pytest.approx(np.mean([score.success_auc for score in scores]))


def test_trajectories_of_different_length_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"boxes of shapes \(4, 4\) and \(5, 4\) cannot be compared"):
        score_boxes(TRUTH[:4], TRUTH)


def test_ground_truth_without_a_box_after_the_first_is_refused() -> None:
    truth = TRUTH.copy()
    truth[1:] = NAN
    with pytest.raises(ShapeError, match="5 frames of ground truth hold no box after the first"):
        score_boxes(TRUTH, truth)


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_score([])
