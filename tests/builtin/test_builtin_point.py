"""The point head and its loss, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trackcli.builtin.config_point import PointConfig, PointLossConfig
from trackcli.builtin.heads.point import PointHead
from trackcli.builtin.losses.point import PointLoss
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import PointOutput, Predictions
from trackcli.contracts.shapes import HeadWidths, MatchShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import FitError
from trackcli.geometry.grids import Grid

BatchMaker = Callable[..., Batch]
GRID = Grid(1, 3, 8, 4.0)
"""Cells at x = 4, 12, 20 and y = 4."""

BOX = torch.tensor([[4.0, 0.0, 20.0, 8.0]])
"""16 × 8 pixels around the middle cell."""

CONTEXT = Context(search=Branch(torch.zeros(1, 3, 64, 64), {}))


def make_head(**settings: int) -> PointHead:
    torch.manual_seed(0)
    return PointHead(PointConfig(**settings), {"layer3": MatchShape(6, 6, 8, shared=True)}, {}).eval()


def response(side: int = 5, *, rows: int = 2) -> Matched:
    values = torch.randn(rows, 6, side, side, generator=torch.Generator().manual_seed(1))
    return Matched({"layer3": MatchedLevel(values, values, 8, 0.5)}, {}, {})


def outputs_of(output: PointOutput) -> Outputs:
    branch = Branch(torch.zeros(1, 3, 8, 8), {})
    return Outputs(branch, branch, Matched({}, {}, {}), Predictions(output))


def point_output(logits: list[float], distances: list[list[float]]) -> PointOutput:
    return PointOutput(
        torch.tensor(logits)[None, :, None], torch.tensor(distances)[None], GRID.points_xy(torch.zeros(1)), GRID
    )


def test_the_head_gives_one_score_and_four_positive_distances_per_cell() -> None:
    output = make_head(channels=8, depth=2)(response(), CONTEXT).output
    assert output.logits.shape == (2, 25, 1)
    assert output.distances.shape == (2, 25, 4)
    assert output.distances.min() > 0
    assert output.points_xy[0].tolist() == [0.5, 0.5]


def test_before_training_the_target_is_rare_and_four_strides_wide_to_each_side() -> None:
    head = make_head(channels=8, depth=0)
    for tower in (head.classification, head.regression):
        torch.nn.init.zeros_(tower[-1].weight)  # type: ignore[arg-type]
    output = head(response(), CONTEXT).output
    assert output.logits.sigmoid().max().item() == pytest.approx(0.01, abs=1e-6)
    assert output.distances.mean().item() == pytest.approx(32.0, abs=1e-4)


def test_boxes_are_decoded_around_their_points() -> None:
    output = point_output([0.0, 2.0, -2.0], [[1.0, 2, 3, 4], [8, 4, 8, 4], [1, 1, 1, 1]])
    candidates = make_head().decode(Predictions(output), CONTEXT)
    assert candidates.boxes_xyxy[0].tolist() == [[3, 2, 7, 8], [4, 0, 20, 8], [19, 3, 21, 5]]
    assert candidates.scores[0].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    assert candidates.points_xy[0].tolist() == [[4, 4], [12, 4], [20, 4]]


def test_an_overflowing_distance_stays_finite() -> None:
    head = make_head(channels=8, depth=0)
    torch.nn.init.constant_(head.regression[-1].bias, 1e6)  # type: ignore[arg-type]
    assert torch.isfinite(head(response(), CONTEXT).output.distances).all()


def test_a_head_of_several_levels_is_refused_with_a_way_out() -> None:
    matches = {"layer2": MatchShape(6, 6, 8), "layer3": MatchShape(6, 6, 8)}
    with pytest.raises(FitError, match=r"layer2, layer3.*template-attention"):
        PointConfig().check(matches, {})
    assert PointConfig().widths() == HeadWidths(1, 4)


def test_the_terms_of_a_perfect_prediction_are_zero_but_for_the_score(make_batch: BatchMaker) -> None:
    output = point_output([-50.0, 50.0, -50.0], [[1.0, 1, 1, 1], [8, 4, 8, 4], [1, 1, 1, 1]])
    terms = PointLoss(PointLossConfig(), {})(outputs_of(output), make_batch(BOX))
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {"classification": 0, "giou": 0, "l1": 0}, abs=1e-6
    )


def test_the_focal_term_by_hand(make_batch: BatchMaker) -> None:
    # σ = 0.5 of 16 px along x: the side cells, 8 px off, have a label of exp(-0.5).
    loss = PointLoss(PointLossConfig(sigma=0.5), {})
    output = point_output([0.0, math.log(3), 0.0], [[1.0, 1, 1, 1]] * 3)
    found = -math.log(3 / 4) * (1 / 4) ** 2
    alarm = -math.log(1 / 2) * (1 / 2) ** 2 * (1 - math.exp(-0.5)) ** 4
    term = loss(outputs_of(output), make_batch(BOX))["classification"]
    assert term.item() == pytest.approx(found + 2 * alarm, rel=1e-5)


def test_the_box_terms_by_hand(make_batch: BatchMaker) -> None:
    # Only the middle cell is within a quarter of the sides. It sees 4..20 as 4..12: half of the box.
    output = point_output([0.0] * 3, [[90.0, 1, 1, 1], [8, 4, 0, 4], [90, 1, 1, 1]])
    terms = PointLoss(PointLossConfig(giou_weight=1, l1_weight=3), {})(outputs_of(output), make_batch(BOX))
    assert terms["giou"].item() == pytest.approx(1 - 0.5)  # the hull is the truth: nothing to take off
    assert terms["l1"].item() == pytest.approx(3 * (8 / 16) / 4)


def test_a_centre_between_cells_still_has_a_positive_cell(make_batch: BatchMaker) -> None:
    box = torch.tensor([[5.5, 1.0, 10.5, 7.0]])  # centre 8: between the cells at 4 and 12
    sure = PointLoss(PointLossConfig(), {})(
        outputs_of(point_output([9.0, 9.0, -9.0], [[1.0] * 4] * 3)), make_batch(box)
    )
    unsure = PointLoss(PointLossConfig(), {})(outputs_of(point_output([-9.0] * 3, [[1.0] * 4] * 3)), make_batch(box))
    assert sure["classification"].item() < 0.1
    assert unsure["classification"].item() > 5


@pytest.mark.parametrize("box", [BOX, torch.full((1, 4), math.nan)], ids=["finite", "nan"])
def test_without_the_target_only_the_score_learns(make_batch: BatchMaker, box: Tensor) -> None:
    logits = torch.zeros(1, 3, 1, requires_grad=True)
    distances = torch.full((1, 3, 4), 5.0, requires_grad=True)
    output = PointOutput(logits, distances, GRID.points_xy(torch.zeros(1)), GRID)
    terms = PointLoss(PointLossConfig(), {})(outputs_of(output), make_batch(box, positive=torch.tensor([False])))
    assert terms["giou"].item() == terms["l1"].item() == 0.0
    assert terms["classification"].item() == pytest.approx(3 * math.log(2) / 4, rel=1e-5)
    torch.stack(list(terms.values())).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert distances.grad is None or torch.isfinite(distances.grad).all()
