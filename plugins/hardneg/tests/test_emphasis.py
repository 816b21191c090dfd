"""The emphasis of hard negatives: which regions it takes, equation 6, and what learns from it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from trackcli_hardneg.config import EmphasisConfig
from trackcli_hardneg.emphasis import HardNegativeEmphasis, contrastive_loss
from trackcli_hardneg.regions import Regions, choose_regions, first_rows, shifted_boxes

from trackcli.contracts.levels import Branch, Level
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, Predictions
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import FitError
from trackcli.geometry.boxes import box_iou

TRUTH = (40.0, 40.0, 80.0, 80.0)
NAN = (math.nan,) * 4


def batch_of(*boxes: tuple[float, ...] | None) -> Batch:
    rows = torch.tensor([box or NAN for box in boxes])
    positive = torch.tensor([box is not None for box in boxes])
    templates, searches = torch.zeros(len(boxes), 3, 64, 64), torch.zeros(len(boxes), 3, 128, 128)
    template_boxes = torch.tensor([[16.0, 16.0, 48.0, 48.0]]).repeat(len(boxes), 1)
    flags, ids = torch.ones(len(boxes), 1, dtype=torch.bool), torch.arange(len(boxes)) + 7
    return Batch(templates, searches, template_boxes, rows, ids, positive, rows[:, None], flags, flags, ~positive, ids)


def candidates_of(boxes: list[tuple[float, ...]], scores: list[float], rows: int = 1) -> Candidates:
    boxes_xyxy = torch.tensor(boxes).expand(rows, -1, 4)
    values = torch.tensor(scores).expand(rows, -1)
    everywhere = torch.ones_like(values, dtype=torch.bool)
    return Candidates(boxes_xyxy, values, values, torch.ones_like(values), boxes_xyxy[..., :2], everywhere)


def moved(dx: float, dy: float = 0.0) -> tuple[float, ...]:
    """The truth, moved."""
    return (TRUTH[0] + dx, TRUTH[1] + dy, TRUTH[2] + dx, TRUTH[3] + dy)


def literal_regions(
    candidates: Candidates, truth: Tensor | None, config: EmphasisConfig
) -> tuple[list[int], list[int]]:
    """Rank, suppress, tell apart: indices of positive and hard negative candidates of the only row, best first."""
    boxes, scores = candidates.boxes_xyxy[0], candidates.scores[0].tolist()
    between = box_iou(boxes[:, None], boxes[None]).tolist()
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda place: -scores[place]):
        if all(between[index][other] <= config.nms_iou for other in kept):
            kept.append(index)
    overlaps = {index: 0.0 if truth is None else box_iou(boxes[index], truth).item() for index in kept}
    positives = [index for index in kept if truth is not None and overlaps[index] > config.positive_iou]
    negatives = [index for index in kept if overlaps[index] < config.negative_iou]
    return positives[: config.per_kind], negatives[: config.per_kind]


def test_regions_are_those_of_a_literal_ranking_and_suppression() -> None:
    generator = torch.Generator().manual_seed(0)
    config = EmphasisConfig(rois=9)
    for _ in range(20):
        corners = torch.rand(60, 2, generator=generator) * 80
        sizes = 25 + torch.rand(60, 2, generator=generator) * 20
        near = torch.tensor([moved(float(shift)) for shift in (1, -2, 3)])
        boxes = torch.cat((torch.cat((corners, corners + sizes), dim=-1), near))
        scores = torch.rand(63, generator=generator)
        candidates = candidates_of([tuple(box) for box in boxes.tolist()], scores.tolist())
        regions = choose_regions(candidates, batch_of(TRUTH), config)
        positives, negatives = literal_regions(candidates, torch.tensor(TRUTH), config)
        found = regions.boxes_xyxy[0]
        torch.testing.assert_close(found[: len(positives)], boxes[positives])
        torch.testing.assert_close(found[4 : 4 + len(negatives)], boxes[negatives])
        assert regions.valid[0].tolist() == [True] * 4 + [place < len(negatives) for place in range(4)] + [True]
        assert found[-1].tolist() == list(TRUTH)


def test_positives_that_are_missing_are_shifted_truths() -> None:
    candidates = candidates_of([moved(2), moved(60), moved(0, 60)], [0.9, 0.8, 0.7])
    regions = choose_regions(candidates, batch_of(TRUTH), EmphasisConfig(rois=11))
    assert regions.positive.tolist() == [True] * 5 + [False] * 5 + [True]
    assert regions.boxes_xyxy[0, 0].tolist() == list(moved(2))
    overlaps = box_iou(regions.boxes_xyxy[0], torch.tensor(TRUTH))
    assert (overlaps[:5] > 0.8).all() and len(set(overlaps[:5].tolist())) == 5
    assert regions.boxes_xyxy[0, 5:7].tolist() == [list(moved(60)), list(moved(0, 60))]
    assert regions.valid[0].tolist() == [True] * 7 + [False] * 3 + [True]


def test_candidates_between_the_thresholds_are_neither() -> None:
    half_over = moved(16)  # IoU 24/56 = 0.43
    regions = choose_regions(candidates_of([half_over], [0.9]), batch_of(TRUTH), EmphasisConfig(rois=3))
    assert regions.valid[0].tolist() == [True, False, True]
    assert regions.boxes_xyxy[0, 0].tolist() != list(half_over)


def test_without_the_target_all_that_is_found_is_a_hard_negative_and_nothing_positive() -> None:
    regions = choose_regions(candidates_of([moved(0), moved(60)], [0.9, 0.8]), batch_of(None), EmphasisConfig(rois=5))
    assert regions.valid[0].tolist() == [False, False, True, True, False]
    assert regions.boxes_xyxy[0, 2:4].tolist() == [list(moved(0)), list(moved(60))]
    assert torch.isfinite(regions.boxes_xyxy).all()


def test_candidates_outside_the_crop_or_without_area_or_not_valid_are_left_out() -> None:
    boxes = [moved(100), (90.0, 90.0, 90.0, 120.0), moved(60), moved(0, -75)]
    candidates = candidates_of(boxes, [0.9, 0.8, 0.7, 0.6])
    candidates.valid[0, 2] = False
    regions = choose_regions(candidates, batch_of(TRUTH), EmphasisConfig(rois=3))
    assert regions.valid[0].tolist() == [True, False, True]


@given(
    least_iou=st.floats(0.05, 0.95),
    sample=st.integers(0, 2**40),
    width=st.floats(5, 200),
    height=st.floats(5, 200),
)
def test_shifted_boxes_keep_their_size_and_enough_overlap(
    least_iou: float, sample: int, width: float, height: float
) -> None:
    box = torch.tensor([[10.0, 20.0, 10.0 + width, 20.0 + height]], dtype=torch.float64)
    shifts = shifted_boxes(box, torch.tensor([sample]), 8, least_iou=least_iou)
    assert (box_iou(shifts, box[:, None]) > least_iou - 1e-9).all()
    sizes = shifts[..., 2:] - shifts[..., :2]
    torch.testing.assert_close(sizes, torch.tensor([[width, height]], dtype=torch.float64).expand(1, 8, 2))


def test_shifts_go_everywhere_and_depend_on_the_sample_alone() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(500, 1)
    ids = torch.arange(500)
    together = shifted_boxes(boxes, ids, 4, least_iou=0.5)
    assert torch.equal(shifted_boxes(boxes[37:38], ids[37:38], 4, least_iou=0.5), together[37:38])
    shifts = together[..., :2].reshape(-1, 2)
    quadrants = [((shifts[:, 0] > 0) == right) & ((shifts[:, 1] > 0) == down) for right in (0, 1) for down in (0, 1)]
    assert [quadrant.float().mean().item() for quadrant in quadrants] == pytest.approx([0.25] * 4, abs=0.04)
    overlaps = box_iou(together, boxes[:, None]).flatten()
    assert overlaps.min() < 0.52 and overlaps.max() > 0.98


def test_first_rows_keep_their_order_and_say_what_is_missing() -> None:
    boxes = torch.arange(5.0)[None, :, None].expand(2, 5, 4)
    mask = torch.tensor([[False, True, False, True, True], [False, False, False, False, True]])
    chosen, valid = first_rows(boxes, mask, 2)
    assert chosen[0, :, 0].tolist() == [1, 3] and chosen[1, 0, 0] == 4
    assert valid.tolist() == [[True, True], [True, False]]
    _, valid = first_rows(boxes, mask, 7)
    assert valid.sum(dim=1).tolist() == [3, 1]


def test_the_contrastive_loss_is_equation_6_in_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    exemplar = torch.randn(4, 1, 3, generator=generator, dtype=torch.float64) / 2
    others = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64) / 2
    positive = torch.tensor([True, True, False, False, False])
    loss = contrastive_loss(others - exemplar, positive, margin=2.0)
    for row in range(4):
        for place in range(5):
            pairs = zip(others[row, place].tolist(), exemplar[row, 0].tolist(), strict=True)
            d = math.sqrt(sum((one - other) ** 2 for one, other in pairs))
            expected = d**2 if positive[place] else max(0.0, 2.0 - d) ** 2
            assert loss[row, place].item() == pytest.approx(expected, abs=1e-12)


def test_equal_vectors_have_a_finite_gradient() -> None:
    differences = torch.zeros(2, 3, requires_grad=True)
    contrastive_loss(differences, torch.tensor([True, False]), margin=2.0).sum().backward()
    assert differences.grad is not None and torch.isfinite(differences.grad).all()


def make_outputs(candidates: Candidates, count: int, seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def level(cells: int) -> Level:
        return Level(torch.randn(count, 4, cells, cells, generator=generator).requires_grad_(), 8, 4.0)

    template = {"layer3": level(8), "layer4": level(8)}
    search = {"layer3": level(16), "layer4": level(16)}
    branch = Branch(torch.zeros(count, 3, 128, 128), {})
    return Outputs(branch, branch, Matched({}, template, search), Predictions(None), candidates)


ADJUSTED = {name: LevelShape(4, 8, 4.0) for name in ("layer2", "layer3", "layer4")}


def make_loss(**settings: Any) -> HardNegativeEmphasis:
    torch.manual_seed(0)
    return HardNegativeEmphasis(EmphasisConfig(hidden=6, embedding=5, **settings), ADJUSTED)


def test_the_term_is_the_mean_over_the_regions_there_are() -> None:
    candidates = candidates_of([moved(60), moved(0, 60)], [0.9, 0.8], rows=2)
    outputs, batch, loss = make_outputs(candidates, 2), batch_of(TRUTH, None), make_loss(rois=3)
    regions: Regions = choose_regions(candidates, batch, loss.config)
    with torch.no_grad():
        exemplars = loss.vectors(outputs.matched.template, batch.template_boxes_xyxy[:, None])
        others = loss.vectors(outputs.matched.search, regions.boxes_xyxy)
        term = loss(outputs, batch)["contrastive"].item()
    # Pair 0: a shifted truth, a hard negative, the truth. Pair 1: one hard negative.
    values = []
    for row, place in ((0, 0), (0, 1), (0, 2), (1, 1)):
        d = (others[row, place] - exemplars[row, 0]).norm().item()
        values.append(max(0.0, 2 - d) ** 2 if place == 1 else d**2)
    assert regions.valid.tolist() == [[True, True, True], [False, True, False]]
    assert term == pytest.approx(sum(values) / 4, rel=1e-5)


def test_it_pools_the_two_deepest_levels_into_one_vector_per_region() -> None:
    loss = make_loss()
    assert loss.levels == ("layer3", "layer4")
    assert [layer.weight.shape for layer in loss.to_vector if isinstance(layer, torch.nn.Conv2d)] == [
        (6, 8, 3, 3),
        (5, 6, 3, 3),
    ]


def test_template_and_search_features_learn_from_it_and_boxes_do_not() -> None:
    candidates = candidates_of([moved(60), moved(0, 60)], [0.9, 0.8])
    boxes = candidates.boxes_xyxy.clone().requires_grad_()
    tied = Candidates(boxes, candidates.scores, candidates.scores, candidates.penalty, boxes[..., :2], candidates.valid)
    outputs = make_outputs(tied, 1)
    make_loss()(outputs, batch_of(TRUTH))["contrastive"].backward()
    for features in (outputs.matched.template, outputs.matched.search):
        for level in features.values():
            assert level.map.grad is not None and level.map.grad.any()
    assert boxes.grad is None


def test_as_a_probe_it_measures_features_and_leaves_them_alone() -> None:
    outputs, loss = make_outputs(candidates_of([moved(60), moved(0, 60)], [0.9, 0.8]), 1), make_loss(probe=True)
    loss(outputs, batch_of(TRUTH))["contrastive"].backward()
    maps = [*outputs.matched.template.values(), *outputs.matched.search.values()]
    assert all(level.map.grad is None for level in maps)
    learnt = [weight for name, weight in loss.named_parameters() if name.endswith("weight")]
    assert all(weight.grad is not None and weight.grad.any() for weight in learnt)


def test_steps_of_the_optimiser_separate_a_look_alike() -> None:
    """A target and a look-alike, each two cells' worth of its own pattern: the distances move to their sides of m."""
    candidates = candidates_of([moved(48), moved(0, 48)], [0.9, 0.8])
    outputs, batch, loss = make_outputs(candidates, 1), batch_of(TRUTH), make_loss(rois=5)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        term = loss(outputs, batch)["contrastive"]
        term.backward()
        optimizer.step()
    regions = choose_regions(candidates, batch, loss.config)
    with torch.no_grad():
        exemplar = loss.vectors(outputs.matched.template, batch.template_boxes_xyxy[:, None])
        distances = (loss.vectors(outputs.matched.search, regions.boxes_xyxy) - exemplar).norm(dim=-1)[0]
    assert distances[regions.positive].max() < distances[~regions.positive].min()
    assert term.item() < 0.5


@pytest.mark.parametrize("rois", [5, 11, 21, 31])
def test_the_papers_numbers_of_regions_are_settings(rois: int) -> None:
    candidates = candidates_of([moved(60)], [0.9])
    config = EmphasisConfig(rois=rois)
    assert choose_regions(candidates, batch_of(TRUTH), config).boxes_xyxy.shape == (1, rois, 4)


def test_an_even_number_of_regions_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected an odd number"):
        EmphasisConfig(rois=10)


def test_a_matcher_without_adjusted_features_is_refused_with_a_way_out() -> None:
    with pytest.raises(FitError, match=r"learns on adjusted features.*--matcher dw-xcorr"):
        EmphasisConfig().check({})


def test_a_level_that_is_not_there_is_named() -> None:
    with pytest.raises(FitError, match=r"names 'layer5'.*it adjusts: layer2, layer3, layer4"):
        EmphasisConfig(levels=("layer5",)).check(ADJUSTED)
