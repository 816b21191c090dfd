"""The loss of the region proposal head, by hand and through the whole network."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import trackcli
from trackcli.builtin.config import RpnLossConfig
from trackcli.builtin.losses.rpn import RpnLoss, masked_mean
from trackcli.composition.build import build_losses
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import AnchorOutput, Predictions
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.grids import Grid

BatchMaker = Callable[..., Batch]
BOX = torch.tensor([[10.0, 10.0, 30.0, 30.0]])
ANCHORS = torch.tensor([[10.0, 10.0, 30.0, 30.0], [50.0, 50.0, 60.0, 60.0], [10.0, 10.0, 30.0, 19.0]])
"""The box itself (positive), one far away (negative), one with IoU 0.45 (ignored)."""


def output(logits: list[list[float]], deltas: list[list[float]]) -> AnchorOutput:
    return AnchorOutput(torch.tensor([logits]), torch.tensor([deltas]), ANCHORS, Grid(1, 3, 8, 0.5))


def test_terms_of_a_tiny_case_are_the_hand_computed_ones(make_batch: BatchMaker) -> None:
    logits = [[0.0, math.log(3)], [math.log(4), 0.0], [100.0, -100.0]]
    deltas = [[0.5, 0.0, 2.0, -1.0], [9.0, 9.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]]
    classification, box = RpnLoss(RpnLossConfig(), {}).terms(output(logits, deltas), make_batch(BOX))
    # Positive: p = 3/4. Negative: p(background) = 4/5. Half and half.
    assert classification.item() == pytest.approx((-math.log(3 / 4) - math.log(4 / 5)) / 2, abs=1e-6)
    # Targets are 0. Smooth L1: 0.5 · 0.5² + 0 + (2 - 0.5) + (1 - 0.5).
    assert box.item() == pytest.approx(0.125 + 1.5 + 0.5, abs=1e-6)


def test_the_box_term_carries_lambda(make_batch: BatchMaker) -> None:
    branch = Branch(torch.zeros(1, 3, 8, 8), {})
    predictions = Predictions(output([[0.0, 0.0]] * 3, [[1.0, 0.0, 0.0, 0.0]] * 3))
    terms = RpnLoss(RpnLossConfig(box_weight=3), {})(
        Outputs(branch, branch, Matched({}, {}, {}), predictions), make_batch(BOX)
    )
    assert set(terms) == {"classification", "box"}
    assert terms["classification"].item() == pytest.approx(math.log(2))
    assert terms["box"].item() == pytest.approx(3 * 0.5)


@pytest.mark.parametrize("box", [BOX, torch.full((1, 4), math.nan)], ids=["finite", "nan"])
def test_without_positives_the_box_term_is_exactly_zero(make_batch: BatchMaker, box: Tensor) -> None:
    deltas = torch.full((1, 3, 4), 5.0, requires_grad=True)
    predicted = AnchorOutput(torch.zeros(1, 3, 2), deltas, ANCHORS, Grid(1, 3, 8, 0.5))
    batch = make_batch(box, positive=torch.tensor([False]))
    classification, term = RpnLoss(RpnLossConfig(), {}).terms(predicted, batch)
    assert term.item() == 0.0
    assert classification.item() == pytest.approx(math.log(2) / 2)  # negatives only
    term.backward()
    assert deltas.grad is not None and torch.equal(deltas.grad, torch.zeros(1, 3, 4))


def test_random_predictions_cost_something(make_batch: BatchMaker) -> None:
    generator = torch.Generator().manual_seed(0)
    anchors = torch.rand(50, 2, generator=generator) * 60
    anchors = torch.cat((anchors, anchors + 20), dim=1)
    batch = make_batch(anchors[:4].clone())
    predicted = AnchorOutput(
        torch.randn(4, 50, 2, generator=generator),
        torch.randn(4, 50, 4, generator=generator),
        anchors,
        Grid(5, 10, 8, 0.5),
    )
    classification, box = RpnLoss(RpnLossConfig(), {}).terms(predicted, batch)
    assert classification > 0 and box > 0


def test_terms_do_not_depend_on_the_order_of_the_batch(make_batch: BatchMaker) -> None:
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(600, 2, generator=generator) * 60
    anchors = torch.cat((corners, corners + 20), dim=1)
    logits, deltas = torch.randn(3, 600, 2, generator=generator), torch.randn(3, 600, 4, generator=generator)
    ids, order = torch.tensor([5, 900, 33]), torch.tensor([2, 0, 1])
    loss = RpnLoss(RpnLossConfig(), {})
    grid = Grid(20, 30, 8, 0.5)
    straight = loss.terms(AnchorOutput(logits, deltas, anchors, grid), make_batch(anchors[:3], sample_ids=ids))
    shuffled = loss.terms(
        AnchorOutput(logits[order], deltas[order], anchors, grid), make_batch(anchors[:3][order], sample_ids=ids[order])
    )
    torch.testing.assert_close(shuffled, straight)


def test_a_masked_mean_over_nothing_is_zero() -> None:
    assert masked_mean(torch.ones(3), torch.zeros(3, dtype=torch.bool)).item() == 0
    assert masked_mean(torch.tensor([1.0, 3.0, 50.0]), torch.tensor([True, True, False])).item() == 2


def test_the_whole_network_learns_from_weighted_terms(make_batch: BatchMaker) -> None:
    tracker = trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "dw-xcorr", "channels": 16},
        head={"name": "rpn", "hidden": 16},
        loss=[{"name": "rpn", "weight": 2.0}],
        crop={"template_size": 64, "search_size": 128},
        device="cpu",
    )
    losses = build_losses(tracker.plan)
    batch = make_batch(torch.tensor([[40.0, 40.0, 90.0, 90.0], [30.0, 30.0, 100.0, 94.0]]))
    outputs = tracker.model.train()(batch, with_candidates=losses.needs_candidates)
    assert not losses.needs_candidates and outputs.candidates is None
    terms = losses(outputs, batch)
    plain = RpnLoss(RpnLossConfig(), {})(outputs, batch)
    assert set(terms) == {"rpn.classification", "rpn.box"}
    for name, value in plain.items():
        assert value > 0
        torch.testing.assert_close(terms[f"rpn.{name}"], 2 * value)
    sum(terms.values(), torch.zeros(())).backward()
    silent = [
        name
        for name, parameter in tracker.model.named_parameters()
        # A single level's softmax weight is always 1: it cannot learn.
        if parameter.grad is None or not parameter.grad.isfinite().all() or (parameter.grad == 0).all()
        if not name.endswith("_weights")
    ]
    assert silent == []


def test_crops_of_one_size_share_a_pass_with_the_same_result(make_batch: BatchMaker) -> None:
    tracker = trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "dw-xcorr", "channels": 16},
        head={"name": "rpn", "hidden": 16},
        crop={"template_size": 64, "search_size": 64},
        device="cpu",
    )
    batch = make_batch(torch.tensor([[20.0, 20.0, 40.0, 40.0]]), sizes=(64, 64))
    with torch.inference_mode():
        template, search = tracker.model._branches(batch)
        apart = tracker.model.branch(batch.search_images)
    torch.testing.assert_close(search.features["layer2"].map, apart.features["layer2"].map, rtol=1e-4, atol=1e-4)
    assert torch.equal(template.boxes_xyxy, batch.template_boxes_xyxy)
