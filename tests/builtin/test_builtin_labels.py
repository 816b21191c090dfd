"""Target assignment: which anchors and points are positive, and samples that depend on the sample id alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trackcli.builtin.labels.anchors import AnchorAssigner, encode_deltas, make_anchors
from trackcli.builtin.labels.points import (
    PointAssigner,
    boxes_from_distances,
    centerness,
    gaussian_map,
    side_distances,
)
from trackcli.builtin.labels.sampling import keep_some, priorities
from trackcli.errors import ConfigError
from trackcli.geometry.boxes import box_iou
from trackcli.geometry.grids import Grid

YES, NO = torch.tensor([True]), torch.tensor([False])
NAN_BOX = torch.full((1, 4), math.nan)


def many_anchors() -> Tensor:
    return make_anchors(Grid(25, 25, 8, 31.5), (0.33, 0.5, 1, 2, 3), 12, like=torch.zeros(1))


def test_anchors_are_labelled_by_their_overlap() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    overlaps = {
        1.0: [0.0, 0.0, 10.0, 10.0],
        0.6: [0.0, 0.0, 10.0, 6.0],
        0.5: [0.0, 0.0, 10.0, 5.0],
        0.2: [0.0, 0.0, 10.0, 2.0],
    }
    anchors = torch.tensor(list(overlaps.values()))
    torch.testing.assert_close(box_iou(anchors, box), torch.tensor(list(overlaps)))
    labels = AnchorAssigner(0.6, 0.3, 16, 64).assign(anchors, box, YES, torch.tensor([3]))
    assert labels.positive.tolist() == [[True, True, False, False]]
    assert labels.negative.tolist() == [[False, False, False, True]]
    torch.testing.assert_close(labels.deltas, encode_deltas(anchors, box).unsqueeze(0))


def test_at_most_16_of_64_anchors_are_positive() -> None:
    box = torch.tensor([[80.0, 80.0, 176.0, 176.0]])
    overlap = box_iou(many_anchors(), box)
    assert (overlap >= 0.6).sum() > 16 and (overlap < 0.3).sum() > 48
    labels = AnchorAssigner().assign(many_anchors(), box, YES, torch.tensor([11]))
    assert labels.positive.sum() == 16
    assert labels.negative.sum() == 48
    assert (overlap[labels.positive[0]] >= 0.6).all()
    assert (overlap[labels.negative[0]] < 0.3).all()


def test_a_pair_without_the_target_has_negatives_only_even_under_its_box() -> None:
    box = many_anchors()[1500:1501]
    labels = AnchorAssigner().assign(many_anchors(), box, NO, torch.tensor([11]))
    assert not labels.positive.any()
    assert labels.negative.sum() == 48


def test_the_meaningless_box_of_a_missing_target_reaches_no_label() -> None:
    anchor_labels = AnchorAssigner().assign(many_anchors(), NAN_BOX, NO, torch.tensor([11]))
    assert anchor_labels.negative.sum() == 48
    assert torch.equal(anchor_labels.deltas, torch.zeros(1, 3125, 4))
    point_labels = PointAssigner().assign(torch.rand(6, 2), NAN_BOX, NO)
    assert not point_labels.positive.any()
    assert torch.equal(point_labels.distances, torch.zeros(1, 6, 4))
    assert torch.equal(point_labels.centerness, torch.zeros(1, 6))


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


@given(
    st.lists(
        st.tuples(st.floats(0, 40), st.floats(0, 40), st.floats(4, 30), st.floats(4, 30), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=40, deadline=None)
def test_anchors_against_several_objects_equal_brute_force(
    objects: list[tuple[float, float, float, float, bool]],
) -> None:
    anchors = make_anchors(Grid(5, 5, 8, 4), (0.5, 1, 2), 2, like=torch.zeros(1)).double()
    boxes = [[x, y, x + w, y + h] for x, y, w, h, _ in objects]
    wanted = [flag for *_, flag in objects]
    everything = AnchorAssigner(0.5, 0.3, positives=len(anchors), total=2 * len(anchors))
    labels = everything.assign_to_any(
        anchors, torch.tensor([boxes], dtype=torch.float64), torch.tensor([wanted]), torch.tensor([5])
    )
    for index, anchor in enumerate(anchors.tolist()):
        overlaps = [iou(anchor, box) for box, flag in zip(boxes, wanted, strict=True) if flag]
        assert labels.positive[0, index].item() == any(overlap >= 0.5 for overlap in overlaps)
        assert labels.negative[0, index].item() == all(overlap < 0.3 for overlap in overlaps)
        if labels.positive[0, index]:
            nearest = max((box for box, flag in zip(boxes, wanted, strict=True) if flag), key=lambda b: iou(anchor, b))
            expected = encode_deltas(anchors[index], torch.tensor(nearest, dtype=torch.float64))
            torch.testing.assert_close(labels.deltas[0, index], expected)


def test_objects_that_are_not_wanted_may_have_any_box() -> None:
    box = many_anchors()[1500]
    objects = torch.stack((NAN_BOX[0], box, many_anchors()[40])).unsqueeze(0)
    labels = AnchorAssigner().assign_to_any(
        many_anchors(), objects, torch.tensor([[False, True, False]]), torch.tensor([11])
    )
    alone = AnchorAssigner().assign(many_anchors(), box.unsqueeze(0), YES, torch.tensor([11]))
    assert torch.equal(labels.positive, alone.positive)
    assert torch.equal(labels.negative, alone.negative)
    assert torch.equal(labels.deltas, alone.deltas)


def test_a_pair_without_any_wanted_object_has_negatives_only() -> None:
    objects = torch.stack((NAN_BOX[0], many_anchors()[1500])).unsqueeze(0)
    labels = AnchorAssigner().assign_to_any(
        many_anchors(), objects, torch.zeros(1, 2, dtype=torch.bool), torch.tensor([11])
    )
    assert not labels.positive.any()
    assert labels.negative.sum() == 48
    assert torch.equal(labels.deltas, torch.zeros(1, 3125, 4))


def test_samples_do_not_depend_on_the_order_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(5, 4, generator=generator) * 60 + torch.tensor([80.0, 80.0, 150.0, 150.0])
    ids, positive = torch.tensor([3, 1_000_003, 7, 2**40, 0]), torch.tensor([True, True, False, True, True])
    assigner, order = AnchorAssigner(), torch.tensor([4, 2, 0, 3, 1])
    labels = assigner.assign(many_anchors(), boxes, positive, ids)
    shuffled = assigner.assign(many_anchors(), boxes[order], positive[order], ids[order])
    assert torch.equal(shuffled.positive, labels.positive[order])
    assert torch.equal(shuffled.negative, labels.negative[order])
    alone = assigner.assign(many_anchors(), boxes[3:4], positive[3:4], ids[3:4])
    assert torch.equal(alone.negative, labels.negative[3:4])


def test_samples_differ_from_one_sample_id_to_the_next() -> None:
    kept = keep_some(torch.ones(20, 1000, dtype=torch.bool), 50, torch.arange(20))
    shared = (kept[:, None] & kept[None]).sum(-1).float()
    shared.fill_diagonal_(0)
    assert shared.max() < 15  # 50 of 1000 twice have 2.5 in common on average


def test_samples_spread_evenly_over_positions() -> None:
    kept = keep_some(torch.ones(2000, 100, dtype=torch.bool), 10, torch.arange(2000)).sum(dim=0)
    assert kept.sum() == 20_000
    assert kept.min() > 140 and kept.max() < 260  # 200 expected, standard deviation 13


def test_priorities_depend_on_sample_and_position_and_nothing_else() -> None:
    assert torch.equal(priorities(torch.tensor([5]), 4), priorities(torch.tensor([9, 5]), 400)[1:, :4])
    assert priorities(torch.tensor([0, 2**62]), 1000).min() >= 0


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 60), st.integers(0, 2**62))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_a_subset_of_the_wanted_size(mask: list[bool], most: int, sample_id: int) -> None:
    allowed = torch.tensor([mask])
    kept = keep_some(allowed, most, torch.tensor([sample_id]))
    assert not (kept & ~allowed).any()
    assert kept.sum() == min(most, sum(mask))


POINTS = Grid(4, 4, 8, 4.0).points_xy(torch.zeros(1))
BOX = torch.tensor([[2.0, 6.0, 26.0, 22.0]])  # 24 × 16 around 14, 14


def test_distances_to_the_sides_equal_the_corrected_equation() -> None:
    # Point 5 is at 12, 12.
    assert side_distances(POINTS, BOX)[0, 5].tolist() == [10.0, 6.0, 14.0, 10.0]
    assert side_distances(POINTS, BOX)[0, 0].tolist() == [2.0, -2.0, 22.0, 18.0]


def test_distances_give_the_box_back() -> None:
    boxes = boxes_from_distances(POINTS, side_distances(POINTS, BOX))
    assert torch.equal(boxes, BOX.unsqueeze(1).expand(1, 16, 4))


def test_centerness_of_hand_computed_points() -> None:
    values = centerness(torch.tensor([[5.0, 3.0, 5.0, 3.0], [10.0, 6.0, 14.0, 10.0], [-1.0, 3.0, 5.0, 3.0]]))
    assert values.tolist() == pytest.approx([1.0, math.sqrt(10 / 14 * 6 / 10), 0.0])


def test_points_in_the_box_are_positive_and_its_middle_on_demand() -> None:
    inside = PointAssigner().assign(POINTS, BOX, YES).positive.reshape(4, 4)
    # Columns at 4, 12, 20, 28 (box 2…26), rows at 4, 12, 20, 28 (box 6…22).
    assert inside.tolist() == [[False] * 4, [True, True, True, False], [True, True, True, False], [False] * 4]
    middle = PointAssigner(ratio=0.25).assign(POINTS, BOX, YES).positive.reshape(4, 4)
    # Within 6 of 14 along x, within 4 along y.
    assert middle.nonzero().tolist() == [[1, 1]]


def test_points_within_a_distance_are_positive_but_never_outside_the_box() -> None:
    labels = PointAssigner(distance=11.0).assign(POINTS, BOX, YES)
    assert labels.positive.reshape(4, 4).nonzero().tolist() == [[1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]


def test_a_gaussian_is_one_in_the_middle_and_falls_with_the_boxs_size() -> None:
    points = torch.tensor([[14.0, 14.0], [14.0 + 6.0, 14.0], [14.0, 14.0 + 4.0]])
    values = gaussian_map(points, BOX, sigma=0.25)  # one sigma: 6 along x, 4 along y
    assert values[0].tolist() == pytest.approx([1.0, math.exp(-0.5), math.exp(-0.5)])


def test_a_sample_without_room_for_negatives_is_refused() -> None:
    with pytest.raises(ConfigError, match="positives = 64 of anchors = 64 leave no room for negatives"):
        AnchorAssigner(positives=64, total=64)
