"""Candidate links, selection and track links: exact values, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trackcli.builtin.config import (
    ClipConfig,
    CosineWindowConfig,
    HoldConfig,
    MotionConfig,
    ScalePenaltyConfig,
    SelectConfig,
    SmoothSizeConfig,
)
from trackcli.builtin.postprocessors.candidates import CosineWindow, ScalePenalty, hann
from trackcli.builtin.postprocessors.select import SelectBest
from trackcli.builtin.postprocessors.track import Clip, Hold, Motion, SmoothSize
from trackcli.contracts.components import CandidateLink, TrackLink
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import boxes_from_centers, centers_and_sizes
from trackcli.geometry.crop import CropMap

ContextMaker = Callable[..., Context]
CandidatesMaker = Callable[[Tensor, Tensor], Candidates]

TRAINING = Context(search=Branch(torch.zeros(1, 3, 64, 64), {}))
LAST = torch.tensor([[40.0, 40.0, 50.0, 50.0]])


def sized(*sizes_wh: tuple[float, float]) -> Tensor:
    """``(1, N, 4)`` boxes of these sizes around 45, 45."""
    return boxes_from_centers(torch.full((1, len(sizes_wh), 2), 45.0), torch.tensor([sizes_wh]))


def select(boxes_xyxy: Tensor, scores: Tensor, penalty: Tensor | None = None) -> Selection:
    penalty = torch.ones_like(scores) if penalty is None else penalty
    return Selection(boxes_xyxy, scores, penalty, boxes_xyxy, torch.zeros(len(scores), dtype=torch.int64))


def test_the_scale_penalty_is_the_papers_formula(make_context: ContextMaker, make_candidates: CandidatesMaker) -> None:
    link = ScalePenalty(ScalePenaltyConfig(k=0.1))
    candidates = make_candidates(sized((10, 10), (20, 20), (20, 10), (5, 10)), torch.full((1, 4), 0.8))
    penalised, state = link.step(candidates, {}, make_context(LAST))
    # Sides with context: 10×10 → 20; 20×20 → 40; 20×10 → sqrt(35·25); 5×10 → sqrt(12.5·17.5).
    changes = [1.0, 2.0, 2 * math.sqrt(35 * 25) / 20, 2 * 20 / math.sqrt(12.5 * 17.5)]
    expected = [math.exp(-0.1 * (change - 1)) for change in changes]
    assert penalised.penalty[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert penalised.ranking[0].tolist() == pytest.approx([0.8 * value for value in expected], abs=1e-6)
    assert state == {}


def test_the_printed_scale_penalty_lacks_the_one_that_stands_for_no_change(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    link = ScalePenalty(ScalePenaltyConfig(k=0.1, form="printed"))
    penalised, _ = link.step(make_candidates(sized((10, 10), (20, 20)), torch.ones(1, 2)), {}, make_context(LAST))
    assert penalised.penalty[0].tolist() == pytest.approx([math.exp(-0.1), math.exp(-0.2)], abs=1e-6)


def test_no_change_of_size_is_no_penalty_wherever_the_box_went(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    moved = LAST.unsqueeze(1) + 300
    penalised, _ = ScalePenalty(ScalePenaltyConfig(k=5)).step(
        make_candidates(moved, torch.ones(1, 1)), {}, make_context(LAST)
    )
    assert penalised.penalty.item() == pytest.approx(1.0, abs=1e-5)


def test_growing_and_shrinking_by_one_factor_cost_the_same(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    candidates = make_candidates(sized((30, 30), (10 / 3, 10 / 3)), torch.ones(1, 2))
    penalised, _ = ScalePenalty(ScalePenaltyConfig()).step(candidates, {}, make_context(LAST))
    assert penalised.penalty[0, 0].item() == pytest.approx(penalised.penalty[0, 1].item(), rel=1e-5)


def test_each_target_is_compared_with_its_own_last_box(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    last = torch.cat((sized((10, 10))[0], sized((40, 20))[0]))
    boxes = sized((10, 10), (40, 20)).expand(2, 2, 4)
    penalised, _ = ScalePenalty(ScalePenaltyConfig()).step(
        make_candidates(boxes, torch.ones(2, 2)), {}, make_context(last)
    )
    assert penalised.penalty[0, 0].item() == pytest.approx(1) and penalised.penalty[1, 1].item() == pytest.approx(1)
    assert penalised.penalty[0, 1] < 0.95 and penalised.penalty[1, 0] < 0.95


def test_penalties_of_several_links_multiply(make_context: ContextMaker, make_candidates: CandidatesMaker) -> None:
    link, context = ScalePenalty(ScalePenaltyConfig(k=0.1)), make_context(LAST)
    once, _ = link.step(make_candidates(sized((20, 20)), torch.ones(1, 1)), {}, context)
    twice, _ = link.step(once, {}, context)
    assert twice.penalty.item() == pytest.approx(math.exp(-0.2), abs=1e-6)


def test_the_cosine_window_is_one_in_the_middle_and_zero_at_the_spans_end(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    link = CosineWindow(CosineWindowConfig(influence=1.0, span=0.75))
    candidates = make_candidates(torch.zeros(1, 5, 4), torch.full((1, 5), 0.3))
    # The crop has 100 pixels: the window reaches from 12.5 to 87.5; 31.25 is half the way from its end to its middle.
    points = torch.tensor([[[50.0, 50.0], [87.5, 50.0], [50.0, 12.5], [95.0, 50.0], [31.25, 68.75]]])
    windowed, _ = link.step(replace(candidates, points_xy=points), {}, make_context(LAST, size=100))
    assert windowed.ranking[0].tolist() == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.25], abs=1e-6)


def test_the_cosine_window_takes_its_share_of_the_ranking(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    candidates = make_candidates(sized((10, 10)) + 5, torch.tensor([[0.5]]))  # in the middle of the crop
    windowed, _ = CosineWindow(CosineWindowConfig(influence=0.4)).step(candidates, {}, make_context(LAST, size=100))
    assert windowed.ranking.item() == pytest.approx(0.5 * 0.6 + 1.0 * 0.4, abs=1e-6)


def test_the_cosine_window_leaves_wider_searches_alone(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    candidates = make_candidates(sized((10, 10)), torch.full((1, 1), 0.5))
    link = CosineWindow(CosineWindowConfig(influence=0.4, largest_search=100))
    assert link.step(candidates, {}, make_context(LAST, size=101))[0] is candidates
    assert link.step(candidates, {}, make_context(LAST, size=100))[0].ranking.item() != 0.5


def test_the_hann_window_has_its_known_values() -> None:
    positions = torch.tensor([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0])
    assert hann(positions).tolist() == pytest.approx([0, 0, 0.5, 1, 0.5, 0, 0], abs=1e-6)


@pytest.mark.parametrize("link", [ScalePenalty(ScalePenaltyConfig(k=1)), CosineWindow(CosineWindowConfig())])
def test_confidence_is_untouched_by_penalties(
    link: CandidateLink, make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    candidates = make_candidates(sized((30, 5), (10, 12)), torch.tensor([[0.3, 0.9]]))
    changed, _ = link.step(candidates, {}, make_context(LAST))
    assert torch.equal(changed.scores, torch.tensor([[0.3, 0.9]]))
    assert torch.equal(changed.boxes_xyxy, candidates.boxes_xyxy)
    assert not torch.equal(changed.ranking, candidates.ranking)


def test_select_takes_the_best_ranking_and_reports_its_confidence(
    make_context: ContextMaker, make_candidates: CandidatesMaker
) -> None:
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [10.0, 20.0, 30.0, 40.0], [1.0, 1.0, 2.0, 2.0]]]).expand(2, 3, 4)
    candidates = replace(
        make_candidates(boxes, torch.tensor([[0.9, 0.4, 0.8]]).expand(2, 3)),
        ranking=torch.tensor([[0.1, 0.5, 0.9], [0.3, 0.2, 0.9]]),
        penalty=torch.tensor([[0.6, 0.7, 1.0]]).expand(2, 3),
        valid=torch.tensor([[True, True, False]]).expand(2, 3),
    )
    crop_map = CropMap(torch.tensor([[100.0, 200.0, 300.0, 400.0], [0.0, 0.0, 100.0, 100.0]]), 100)
    selection = SelectBest(SelectConfig())(candidates, make_context(LAST.expand(2, 4), crop_map=crop_map))
    assert selection.boxes_xyxy.tolist() == [[120.0, 240.0, 160.0, 280.0], [0.0, 0.0, 10.0, 10.0]]
    assert selection.scores.tolist() == pytest.approx([0.4, 0.9])
    assert selection.penalty.tolist() == pytest.approx([0.7, 0.6])
    assert torch.equal(selection.search_boxes_xyxy, selection.boxes_xyxy)
    assert selection.shape_index.tolist() == [0, 0] and selection.shape_index.dtype == torch.int64


def test_smoothing_moves_the_size_by_rate_penalty_and_score_and_the_centre_at_once(make_context: ContextMaker) -> None:
    last = torch.tensor([[0.0, 0.0, 10.0, 20.0], [0.0, 0.0, 10.0, 20.0]])
    new = torch.tensor([[100.0, 100.0, 120.0, 120.0], [100.0, 100.0, 120.0, 120.0]])
    selection = select(new, scores=torch.tensor([0.5, 1.0]), penalty=torch.tensor([0.8, 0.0]))
    smoothed, _ = SmoothSize(SmoothSizeConfig(rate=0.5)).step(selection, {}, make_context(last))
    centers_xy, sizes_wh = centers_and_sizes(smoothed.boxes_xyxy)
    assert centers_xy.tolist() == [[110.0, 110.0], [110.0, 110.0]]
    # Row 0: share 0.5 · 0.8 · 0.5 = 0.2 of the new 20 × 20. Row 1: nothing of it.
    torch.testing.assert_close(sizes_wh, torch.tensor([[12.0, 20.0], [10.0, 20.0]]))
    assert torch.equal(smoothed.search_boxes_xyxy, smoothed.boxes_xyxy)


def test_clipping_keeps_the_centre_in_the_frame_and_the_sides_in_bounds(make_context: ContextMaker) -> None:
    boxes = boxes_from_centers(
        torch.tensor([[-50.0, 700.0], [320.0, 240.0], [639.0, 10.0]]),
        torch.tensor([[30.0, 40.0], [1.0, 2000.0], [50.0, 60.0]]),
    )
    clipped, _ = Clip(ClipConfig(min_side=4)).step(select(boxes, torch.ones(3)), {}, make_context(LAST.expand(3, 4)))
    centers_xy, sizes_wh = centers_and_sizes(clipped.boxes_xyxy)
    torch.testing.assert_close(centers_xy, torch.tensor([[0.0, 480.0], [320.0, 240.0], [639.0, 10.0]]))
    torch.testing.assert_close(sizes_wh, torch.tensor([[30.0, 40.0], [4.0, 480.0], [50.0, 60.0]]))


def test_the_search_goes_ahead_by_a_share_of_the_mean_motion(make_context: ContextMaker) -> None:
    link = Motion(MotionConfig(gain=0.5, rate=0.25, largest=0.6))
    sizes = torch.tensor([[20.0, 5.0], [10.0, 10.0]])  # both of side 10
    first, second, third = (torch.tensor([center] * 2) for center in ([50.0, 50.0], [54.0, 50.0], [62.0, 10.0]))
    state = {"velocity": torch.zeros(2, 2)}
    selection = select(boxes_from_centers(second, sizes), torch.ones(2))
    ahead, state = link.step(selection, state, make_context(boxes_from_centers(first, sizes)))
    assert torch.equal(ahead.boxes_xyxy, selection.boxes_xyxy)
    # A quarter of 0.4 sides is 0.1; half of that is 0.5 pixels.
    torch.testing.assert_close(state["velocity"], torch.tensor([[0.1, 0.0]] * 2))
    torch.testing.assert_close(ahead.search_boxes_xyxy, boxes_from_centers(second + torch.tensor([0.5, 0.0]), sizes))
    selection = select(boxes_from_centers(third, sizes), torch.ones(2))
    ahead, state = link.step(selection, state, make_context(boxes_from_centers(second, sizes)))
    # x: 0.75 · 0.1 + 0.25 · 0.8 = 0.275 sides, half of it ahead; y: -1 side, half of it ahead.
    torch.testing.assert_close(state["velocity"], torch.tensor([[0.275, -1.0]] * 2))
    torch.testing.assert_close(ahead.search_boxes_xyxy, boxes_from_centers(third + torch.tensor([1.375, -5.0]), sizes))


def test_the_search_never_goes_further_ahead_than_allowed(make_context: ContextMaker) -> None:
    link = Motion(MotionConfig(gain=1.0, rate=1.0, largest=0.75))
    moved = LAST + torch.tensor([1000.0, -1000.0, 1000.0, -1000.0])
    ahead, _ = link.step(select(moved, torch.ones(1)), {"velocity": torch.zeros(1, 2)}, make_context(LAST))
    side = float(centers_and_sizes(LAST)[1].prod().sqrt())
    torch.testing.assert_close(ahead.search_boxes_xyxy - moved, 0.75 * side * torch.tensor([[1.0, -1.0, 1.0, -1.0]]))


def test_a_target_that_holds_still_is_searched_where_it_is(make_context: ContextMaker) -> None:
    state = {"velocity": torch.zeros(1, 2)}
    ahead, _ = Motion(MotionConfig()).step(select(LAST, torch.ones(1)), state, make_context(LAST))
    torch.testing.assert_close(ahead.search_boxes_xyxy, LAST)


def test_holding_keeps_the_last_box_of_unsure_rows_only(make_context: ContextMaker) -> None:
    last = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).expand(3, 4)
    new = torch.tensor([[10.0, 20.0, 30.0, 40.0]]).expand(3, 4)
    selection = select(new, torch.tensor([0.1, 0.5, 0.9]))
    held, _ = Hold(HoldConfig(threshold=0.5)).step(selection, {}, make_context(last))
    assert held.boxes_xyxy.tolist() == [[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0], [10.0, 20.0, 30.0, 40.0]]
    assert torch.equal(held.search_boxes_xyxy, held.boxes_xyxy)
    assert torch.equal(held.scores, selection.scores)


def test_holding_leaves_a_search_that_goes_ahead_to_sure_rows(make_context: ContextMaker) -> None:
    ahead = LAST + 7
    selection = replace(select(LAST.expand(2, 4) + 5, torch.tensor([0.1, 0.9])), search_boxes_xyxy=ahead.expand(2, 4))
    held, _ = Hold(HoldConfig(threshold=0.5)).step(selection, {}, make_context(LAST.expand(2, 4)))
    assert torch.equal(held.search_boxes_xyxy, torch.cat((LAST, ahead)))


@pytest.mark.parametrize("link", [SmoothSize(SmoothSizeConfig()), Clip(ClipConfig()), Hold(HoldConfig())])
def test_track_links_leave_all_but_the_boxes_alone(link: TrackLink, make_context: ContextMaker) -> None:
    selection = replace(select(LAST, torch.tensor([0.1])), shape_index=torch.tensor([1]), flags={"lost": torch.ones(1)})
    after, _ = link.step(selection, {}, make_context(LAST))
    assert after.shape_index.tolist() == [1]
    assert after.flags == selection.flags


def test_links_outside_tracking_say_what_they_lack(make_candidates: CandidatesMaker) -> None:
    candidates = make_candidates(sized((10, 10)), torch.ones(1, 1))
    with pytest.raises(ShapeError, match=r"^scale-penalty needs the last boxes; it works while tracking only$"):
        ScalePenalty(ScalePenaltyConfig()).step(candidates, {}, TRAINING)
    with pytest.raises(ShapeError, match=r"^select needs the frame's geometry; it works while tracking only$"):
        SelectBest(SelectConfig())(candidates, TRAINING)
    with pytest.raises(ShapeError, match=r"^track links need the frame's geometry; they work while tracking only$"):
        Hold(HoldConfig()).step(select(LAST, torch.ones(1)), {}, TRAINING)


def test_links_without_memory_have_empty_states() -> None:
    for link in (ScalePenalty(ScalePenaltyConfig()), Hold(HoldConfig())):
        assert link.rows_to_update(torch.tensor([1]), {}) is None
