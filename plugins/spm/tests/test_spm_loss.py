"""Equation 1, and what generalised training calls positive in which stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from trackcli_spm.config import SeriesParallelLossConfig
from trackcli_spm.loss import SeriesParallelLoss, fine_terms, generalised_pairs
from trackcli_spm.outputs import Regions, SeriesParallelOutput

from trackcli.builtin.config import RpnLossConfig
from trackcli.builtin.config_point import PointLossConfig
from trackcli.builtin.labels.anchors import make_anchors
from trackcli.builtin.losses.point import PointLoss
from trackcli.builtin.losses.rpn import RpnLoss
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import AnchorOutput, PointOutput, Predictions
from trackcli.contracts.training import Batch, Outputs, PairKind
from trackcli.errors import FitError
from trackcli.geometry.boxes import box_iou
from trackcli.geometry.grids import Grid

GRID = Grid(9, 9, 8, 32.0)
ANCHORS = make_anchors(GRID, (0.5, 1.0, 2.0), 4.0, like=torch.zeros(1))
LEFT, RIGHT, BELOW = (30.0, 30.0, 62.0, 62.0), (70.0, 30.0, 102.0, 62.0), (50.0, 70.0, 82.0, 102.0)


def batch() -> Batch:
    """Three pairs in one scene: the target itself, another object of its category, one of another category.

    The region shows two more objects: at the right one of the first object's category, below one of another.
    """
    count = 3
    positive = torch.tensor([True, False, False])
    objects = torch.tensor([[LEFT, RIGHT, BELOW]] * count)
    images = torch.zeros(count, 3, 128, 128)
    return Batch(
        template_images=images[..., :64, :64],
        search_images=images,
        template_boxes_xyxy=objects[:, 0],
        search_boxes_xyxy=objects[:, 0].where(positive[:, None], torch.nan),
        pair_kind=torch.tensor([PairKind.SAME_INSTANCE, PairKind.SAME_CATEGORY, PairKind.DIFFERENT_CATEGORY]),
        positive=positive,
        objects_xyxy=objects,
        same_category=torch.tensor([[True, True, False], [True, True, False], [False, False, False]]),
        valid=torch.ones(count, 3, dtype=torch.bool),
        absent=torch.zeros(count, dtype=torch.bool),
        sample_ids=torch.arange(count),
    )


def regions(rows: int = 3, count: int = 6) -> Regions:
    generator = torch.Generator().manual_seed(2)
    boxes = torch.tensor(LEFT) + 8 * torch.rand(rows, count, 4, generator=generator)
    positive = torch.zeros(rows, count, dtype=torch.bool)
    positive[0, :3] = True
    valid = torch.ones_like(positive)
    valid[1:, :3] = False
    return Regions(
        boxes_xyxy=boxes,
        scores=torch.rand(rows, count, generator=generator),
        valid=valid,
        positive=positive,
        logits=torch.randn(rows, count, 2, generator=generator).requires_grad_(),
        scaled_deltas=torch.randn(rows, count, 4, generator=generator).requires_grad_(),
        delta_scales=torch.tensor([5.0, 5.0, 10.0, 10.0]),
    )


def anchor_output(rows: int = 3) -> AnchorOutput:
    generator = torch.Generator().manual_seed(3)
    logits, deltas = (torch.randn(rows, len(ANCHORS), width, generator=generator) for width in (2, 4))
    return AnchorOutput(logits.requires_grad_(), deltas.requires_grad_(), ANCHORS, GRID)


def outputs(coarse: object, judged: Regions | None, head: str = "rpn") -> Outputs:
    nothing = Branch(torch.zeros(3, 3, 8, 8), {})
    predictions = Predictions(SeriesParallelOutput(head, Predictions(coarse), judged))
    return Outputs(nothing, nothing, Matched({}, {}, {}), predictions)


def loss(**settings: Any) -> SeriesParallelLoss:
    return SeriesParallelLoss(SeriesParallelLossConfig(**settings), {})


def overlap_with(box: tuple[float, ...]) -> Tensor:
    return box_iou(ANCHORS, torch.tensor(box))


def test_generalised_labels_call_every_object_of_the_category_positive_in_every_pair() -> None:
    labels = loss(positives=10_000, anchors=20_000).labels(ANCHORS, batch())
    of_category = torch.maximum(overlap_with(LEFT), overlap_with(RIGHT))
    for pair in (0, 1):  # the target's own pair, and that with another object of its category
        assert torch.equal(labels.positive[pair], of_category >= 0.6)
        assert torch.equal(labels.negative[pair], of_category < 0.3)
    assert (overlap_with(LEFT)[labels.positive[0]] >= 0.6).any() and (
        overlap_with(RIGHT)[labels.positive[0]] >= 0.6
    ).any()
    assert not labels.positive[2].any() and labels.negative[2].all()  # nothing of the category is in view


def test_without_generalised_training_the_target_alone_is_positive() -> None:
    labels = loss(generalised=False, positives=10_000, anchors=20_000).labels(ANCHORS, batch())
    assert torch.equal(labels.positive[0], overlap_with(LEFT) >= 0.6)
    assert torch.equal(labels.negative[0], overlap_with(LEFT) < 0.3)
    assert not labels.positive[1:].any() and labels.negative[1:].all()


def test_a_pair_of_one_category_teaches_the_coarse_stage_yes_and_the_fine_stage_no() -> None:
    pair = batch()
    labels = loss().labels(ANCHORS, pair)
    assert pair.pair_kind[1] == PairKind.SAME_CATEGORY and labels.positive[1].any()
    judged = regions()
    (gradient,) = torch.autograd.grad(fine_terms(judged, pair)[0], judged.logits)
    # Less target, more background, wherever the fine stage looked.
    assert (gradient[1, judged.valid[1], 1] > 0).all() and (gradient[1, ~judged.valid[1]] == 0).all()


def test_the_terms_are_those_of_equation_1_worked_out_one_by_one() -> None:
    weights = {"coarse_score_weight": 0.5, "coarse_box_weight": 2.0, "fine_score_weight": 0.7, "fine_box_weight": 0.3}
    term, pairs, coarse, judged = loss(**weights), batch(), anchor_output(), regions()
    terms = term(outputs(coarse, judged), pairs)
    assert list(terms) == ["coarse_classification", "coarse_box", "fine_classification", "fine_box"]
    labels = term.labels(ANCHORS, pairs)
    score, box = _literal(coarse.logits, coarse.deltas, labels.deltas, labels.positive, labels.negative)
    assert float(terms["coarse_classification"].detach()) == pytest.approx(0.5 * score, rel=1e-5)
    assert float(terms["coarse_box"].detach()) == pytest.approx(2.0 * box, rel=1e-5)
    wanted = torch.zeros(3, 6, 4, dtype=torch.float64)
    for index in range(6):
        wanted[0, index] = _encoded(judged.boxes_xyxy[0, index], torch.tensor(LEFT)) * judged.delta_scales
    score, box = _literal(judged.logits, judged.scaled_deltas, wanted, judged.positive, judged.valid & ~judged.positive)
    assert float(terms["fine_classification"].detach()) == pytest.approx(0.7 * score, rel=1e-5)
    assert float(terms["fine_box"].detach()) == pytest.approx(0.3 * box, rel=1e-5)


def _literal(logits: Tensor, deltas: Tensor, wanted: Tensor, positive: Tensor, negative: Tensor) -> tuple[float, float]:
    """Cross-entropy and smooth L1, element by element in float64."""
    logits, deltas, wanted = logits.detach().double(), deltas.detach().double(), wanted.double()
    yes, no, errors = [], [], []
    for place in positive.nonzero().tolist():
        background, target = logits[tuple(place)].exp()
        yes.append(-float((target / (background + target)).log()))
        difference = (deltas[tuple(place)] - wanted[tuple(place)]).abs()
        errors.append(sum(0.5 * float(d) ** 2 if d < 1 else float(d) - 0.5 for d in difference))
    for place in negative.nonzero().tolist():
        background, target = logits[tuple(place)].exp()
        no.append(-float((background / (background + target)).log()))
    return (sum(yes) / len(yes) + sum(no) / len(no)) / 2, sum(errors) / len(errors)


def _encoded(box: Tensor, truth: Tensor) -> Tensor:
    x, y, w, h = _center(box)
    tx, ty, tw, th = _center(truth)
    return torch.tensor([(tx - x) / w, (ty - y) / h, torch.tensor(tw / w).log(), torch.tensor(th / h).log()]).double()


def _center(box: Tensor) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box.double().tolist()
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def test_without_a_fine_stage_and_without_generalised_training_it_is_the_rpns_loss() -> None:
    coarse, pairs = anchor_output(), batch()
    terms = loss(generalised=False, coarse_box_weight=1.2)(outputs(coarse, None), pairs)
    rpn = RpnLoss(RpnLossConfig(), {})(replace(outputs(coarse, None), predictions=Predictions(coarse)), pairs)
    assert list(terms) == ["coarse_classification", "coarse_box"]
    torch.testing.assert_close(list(terms.values()), list(rpn.values()))


def test_an_empty_fine_stage_costs_nothing_and_breaks_nothing() -> None:
    judged = regions()
    judged = replace(judged, positive=torch.zeros_like(judged.positive), valid=torch.zeros_like(judged.valid))
    classification, box = fine_terms(judged, batch())
    assert float(classification.detach()) == float(box.detach()) == 0
    (classification + box).backward()
    assert judged.logits.grad is not None and not judged.logits.grad.any()


def test_generalised_pairs_are_positive_where_the_centred_object_is_of_the_category() -> None:
    pairs = generalised_pairs(batch())
    assert pairs.positive.tolist() == [True, True, False]
    assert pairs.search_boxes_xyxy[:2].tolist() == [list(LEFT)] * 2 and pairs.search_boxes_xyxy[2].isnan().all()
    hidden = replace(batch(), valid=torch.tensor([[True] * 3, [False] * 3, [True] * 3]))
    assert generalised_pairs(hidden).positive.tolist() == [True, False, False]


def point_output() -> PointOutput:
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(3, 81, 1, generator=generator).requires_grad_()
    distances = (20 * torch.rand(3, 81, 4, generator=generator)).requires_grad_()
    return PointOutput(logits, distances, GRID.points_xy(torch.zeros(1)), GRID)


@pytest.mark.parametrize("generalised", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_a_coarse_head_without_anchors_has_its_own_loss_on_generalised_pairs(generalised: bool, named: bool) -> None:
    pairs, coarse = batch(), point_output()
    settings: dict[str, Any] = {"coarse": {"name": "point", "l1_weight": 0.5, "weight": 3.0}} if named else {}
    terms = loss(generalised=generalised, **settings)(outputs(coarse, regions(), "point"), pairs)
    config = PointLossConfig(l1_weight=0.5) if named else PointLossConfig()
    seen = generalised_pairs(pairs) if generalised else pairs
    own = PointLoss(config, {})(replace(outputs(coarse, None), predictions=Predictions(coarse)), seen)
    wanted = {f"coarse_{name}": (3 if named else 1) * value for name, value in own.items()}  # times its own weight
    assert terms.keys() == {*wanted, "fine_classification", "fine_box"}
    for name, value in wanted.items():
        torch.testing.assert_close(terms[name], value)


def test_a_coarse_loss_that_needs_candidates_is_refused() -> None:
    class NeedsCandidates(RpnLoss):
        needs_candidates = True

    from trackcli_spm.loss import _usable

    with pytest.raises(FitError, match=r"loss 'greedy' needs decoded candidates.*expected one that reads"):
        _usable(NeedsCandidates(RpnLossConfig(), {}), "greedy")
