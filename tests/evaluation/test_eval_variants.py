"""Each switch of a variant, with numbers worked out by hand from what the toolkits' code does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trackcli_cache.datasets import Mark

from trackcli.errors import UsageError
from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.metrics import mean_score, score_boxes
from trackcli.evaluation.overlaps import move_into_image
from trackcli.evaluation.variants import GOT10K, OTB, PYSOT, PYTRACKING, TRACKCLI, VARIANTS, find_variant

NAN = float("nan")
TRUTH = np.array([[100.0, 100, 20, 40]] * 5)
LOST = TRUTH + np.array([300.0, 0, 0, 0])
WITHOUT_FRAME_3 = TRUTH.copy()
WITHOUT_FRAME_3[3] = NAN


def test_perfect_tracking_scores_alike_where_thresholds_are_and_one_less_than_101_on_got10k() -> None:
    areas = {name: score_boxes(TRUTH, TRUTH, variant=variant).success_auc for name, variant in VARIANTS.items()}
    assert areas == {name: pytest.approx(100 / 101 if name == "got10k" else 20 / 21) for name in VARIANTS}


@pytest.mark.parametrize(
    ("variant", "share"), [(TRACKCLI, 0), (GOT10K, 0), (OTB, 1 / 5), (PYTRACKING, 1 / 5), (PYSOT, 0)]
)
def test_frame_0_is_a_gift_where_it_is_overwritten(variant, share: float) -> None:
    assert score_boxes(LOST, TRUTH, variant=variant).success_50 == pytest.approx(share)


def test_pysot_counts_frame_0_as_the_file_has_it() -> None:
    answers = LOST.copy()
    answers[0] = TRUTH[0]
    assert score_boxes(answers, TRUTH, variant=PYSOT).success_50 == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("variant", "share"), [(TRACKCLI, 3 / 3), (GOT10K, 3 / 3), (OTB, 4 / 4), (PYTRACKING, 4 / 4), (PYSOT, 4 / 5)]
)
def test_a_frame_without_a_target_leaves_the_denominator_or_is_a_miss(variant, share: float) -> None:
    assert score_boxes(TRUTH, WITHOUT_FRAME_3, variant=variant).success_50 == pytest.approx(share)


@pytest.mark.parametrize("curve", ["precision", "normalised_precision"])
def test_pysot_counts_a_frame_without_a_target_as_precise_wherever_the_tracker_is(curve: str) -> None:
    assert getattr(score_boxes(LOST, WITHOUT_FRAME_3, variant=PYSOT), curve) == pytest.approx(1 / 5)


def test_pytracking_counts_such_frames_by_dataset() -> None:
    scores = {
        dataset: score_boxes(TRUTH, WITHOUT_FRAME_3, variant=find_variant("pytracking", dataset))
        for dataset in ("otb100", "lasot", "uav123")
    }
    assert find_variant("pytracking", "trackcli:lasot") == find_variant("pytracking", "lasot")
    assert {name: score.success_50 for name, score in scores.items()} == {"otb100": 1, "lasot": 0.8, "uav123": 0.8}
    assert {name: score.precision for name, score in scores.items()} == {"otb100": 1, "lasot": 0.8, "uav123": 1}
    # four frames count, five are hits: more than all of them
    assert {name: score.normalised_precision for name, score in scores.items()} == {
        "otb100": 1.25,
        "lasot": 0.8,
        "uav123": 1,
    }


def test_marked_frames_are_dropped_or_missed_but_never_hits() -> None:
    marked = np.array([False, False, True, False, False])
    assert score_boxes(TRUTH, TRUTH, variant=GOT10K, hidden=marked).evaluated_frames == 3
    pysot = score_boxes(TRUTH, TRUTH, variant=PYSOT, hidden=marked)
    assert (pysot.success_50, pysot.precision) == (0.8, 0.8)


@pytest.mark.parametrize(
    ("variant", "dataset", "frames"),
    [
        ("trackcli", "got10k", [1, 2, 3]),
        ("got10k", "got10k", [2]),
        ("otb", "nfs", []),
        *((variant, dataset, []) for variant in ("pysot", "pytracking") for dataset in ("got10k", "nfs", "folder")),
        *((variant, dataset, [1, 2, 3]) for variant in ("pysot", "pytracking") for dataset in ("lasot", "pysot-json")),
    ],
)
def test_each_toolkit_sees_the_marks_that_it_reads(variant: str, dataset: str, frames: list[int]) -> None:
    marks = np.array([0, 0, Mark.FULLY_OCCLUDED, Mark.OUT_OF_VIEW, Mark.OCCLUDED], dtype=np.uint8)
    absent = np.array([False, True, True, True, False])
    sequence = EvaluationSequence("clip", (Path("x.jpg"),) * 5, TRUTH, absent=absent, marks=marks)
    marked = sequence.marked(find_variant(variant, dataset).marks)
    assert np.flatnonzero(marked).tolist() == frames


def test_an_answer_without_width_is_far_off_or_measured_or_replaced() -> None:
    answers = TRUTH.copy()
    answers[2] = [110, 100, 0, 40]  # its middle is the target's
    assert score_boxes(answers, TRUTH, variant=TRACKCLI).precision == 0.75
    assert score_boxes(answers, TRUTH, variant=OTB).precision == 1
    assert [score_boxes(answers, TRUTH, variant=variant).success_50 for variant in (TRACKCLI, OTB, PYTRACKING)] == [
        0.75,
        0.8,
        1,
    ]


def test_repeated_answers_follow_one_another() -> None:
    answers = TRUTH.copy()
    answers[1] += [300, 0, 0, 0]
    answers[2:4, 2:] = 0
    assert score_boxes(answers, TRUTH, variant=PYTRACKING).success_50 == 2 / 5


def test_pysot_does_not_measure_a_centre_left_of_the_image() -> None:
    truth = TRUTH.copy()
    truth[4] = [-30, 10, 20, 40]
    answers = truth + np.array([0.0, 200, 0, 0])
    assert score_boxes(answers, truth, variant=PYSOT).precision == pytest.approx(1 / 5)
    assert score_boxes(answers, truth, variant=PYSOT).success_50 == 0


def test_got10k_moves_boxes_into_the_image_and_cuts_them_at_the_far_border() -> None:
    boxes = np.array([[-10.0, 5, 30, 20], [90, 95, 30, 20], [150, 50, 10, 10], [NAN] * 4])
    moved = move_into_image(boxes, (100, 110))
    np.testing.assert_array_equal(moved, [[0, 5, 30, 20], [90, 95, 10, 15], [100, 50, 0, 10], [NAN] * 4])


def test_got10k_s_overlaps_at_the_border_are_higher() -> None:
    truth = np.array([[90.0, 20, 10, 10]] * 2)
    answers = np.array([[90.0, 20, 10, 10], [90, 20, 30, 10]])
    assert score_boxes(answers, truth, variant=GOT10K, size_wh=(100, 100)).mean_overlap == 1
    assert score_boxes(answers, truth, variant=GOT10K).mean_overlap == pytest.approx(1 / 3)


def test_got10k_weighs_frames_and_the_others_sequences() -> None:
    long_and_good, short_and_bad = np.repeat(TRUTH, 2, axis=0), TRUTH[:2]
    for variant, mean in ((GOT10K, 9 / 10), (OTB, 3 / 4)):
        scores = [
            score_boxes(long_and_good, long_and_good, variant=variant),
            score_boxes(short_and_bad + np.array([300, 0, 0, 0]), short_and_bad, variant=variant),
        ]
        assert mean_score(scores).success_50 == pytest.approx(mean)


def test_an_unknown_variant_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        find_variant("pysto", "otb100")
    assert str(caught.value) == "--variant pysto is unknown; did you mean 'pysot'?"
