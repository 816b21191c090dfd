"""The head's loss: hand-computed values, the equations in loops, and the edges."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from trackcli_hardneg.config import FcosLossConfig
from trackcli_hardneg.fcos_loss import FcosLoss, focal_loss, iou_loss

from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import PointOutput, Predictions
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.grids import Grid

GRID = Grid(5, 5, 8, 16.0)  # points at 16, 24, 32, 40, 48 of a crop of 64
TRUTH = (20.0, 20.0, 44.0, 36.0)  # holds x = 24, 32, 40 and y = 24, 32: six points


def batch_of(*boxes: tuple[float, ...] | None) -> Batch:
    count = len(boxes)
    rows = torch.tensor([box or (math.nan,) * 4 for box in boxes], dtype=torch.float64)
    positive = torch.tensor([box is not None for box in boxes])
    images = torch.zeros(count, 3, 64, 64)
    flags = torch.ones(count, 1, dtype=torch.bool)
    ids = torch.arange(count)
    return Batch(images, images, rows, rows, ids, positive, rows[:, None], flags, flags, ~positive, ids)


def outputs_of(logits: Tensor, distances: Tensor, centerness: Tensor | None) -> Outputs:
    output = PointOutput(logits, distances, GRID.points_xy(distances), GRID, centerness)
    branch = Branch(torch.zeros(len(logits), 3, 64, 64), {})
    return Outputs(branch, branch, Matched({}, {}, {}), Predictions(output))


def random_outputs(count: int, seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return outputs_of(draw(count, 25, 2), draw(count, 25, 4).exp() * 12, draw(count, 25))


def terms_of(outputs: Outputs, batch: Batch, **settings: Any) -> dict[str, Tensor]:
    return FcosLoss(FcosLossConfig(**settings), {})(outputs, batch)


def literal_terms(outputs: Outputs, batch: Batch) -> dict[str, float]:
    """Equations 3 (corrected), 4, 5, 7 and the focal loss, point by point."""
    output: PointOutput = outputs.predictions.output
    assert output.centerness is not None
    score = center = box = 0.0
    positives = 0
    for row in range(len(batch)):
        x0, y0, x1, y1 = batch.search_boxes_xyxy[row].tolist()
        for point, (x, y) in enumerate(output.points_xy.tolist()):
            sides = (x - x0, y - y0, x1 - x, y1 - y)
            inside = bool(batch.positive[row]) and min(sides) > 0
            background, target = output.logits[row, point].tolist()
            share = math.exp(target) / (math.exp(background) + math.exp(target))
            right, alpha = (share, 0.75) if inside else (1 - share, 0.25)
            score -= alpha * (1 - right) ** 2 * math.log(right)
            left, top, right_side, bottom = sides
            wanted = 0.0
            if inside:
                wanted = math.sqrt(min(left, right_side) / max(left, right_side) * min(top, bottom) / max(top, bottom))
            sigmoid = 1 / (1 + math.exp(-output.centerness[row, point].item()))
            center -= wanted * math.log(sigmoid) + (1 - wanted) * math.log(1 - sigmoid)
            if inside:
                positives += 1
                given = output.distances[row, point].tolist()
                width = min(given[0], left) + min(given[2], right_side)
                height = min(given[1], top) + min(given[3], bottom)
                common = width * height
                both = (given[0] + given[2]) * (given[1] + given[3]) + (x1 - x0) * (y1 - y0) - common
                box -= math.log(common / both)
    count = max(positives, 1)
    return {"score": score / count, "centerness": center / (25 * len(batch)), "box": box / count}


def test_the_terms_are_the_papers_equations_in_a_loop_over_points() -> None:
    outputs, batch = random_outputs(3), batch_of(TRUTH, None, (1.0, 10.0, 30.0, 60.0))
    terms = terms_of(outputs, batch)
    expected = literal_terms(outputs, batch)
    assert list(terms) == ["score", "centerness", "box"]
    for name, value in terms.items():
        # The terms are float32, as all losses are.
        assert value.item() == pytest.approx(expected[name], rel=1e-5), name


def test_the_focal_loss_of_an_even_chance_is_worked_out_by_hand() -> None:
    logits = torch.zeros(2, 2, dtype=torch.float64)
    loss = focal_loss(logits, torch.tensor([True, False]), gamma=2.0, alpha=0.75)
    assert loss.tolist() == pytest.approx([0.75 * 0.25 * math.log(2), 0.25 * 0.25 * math.log(2)])


def test_the_focal_loss_without_focus_is_cross_entropy() -> None:
    logits = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positive = torch.arange(50) % 3 == 0
    expected = torch.nn.functional.cross_entropy(logits, positive.long(), reduction="none") / 2
    torch.testing.assert_close(focal_loss(logits, positive, gamma=0.0, alpha=0.5), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_and_its_gradient_stay_finite_where_the_network_is_sure(gamma: float) -> None:
    logits = torch.tensor([[-200.0, 200.0], [200.0, -200.0]], requires_grad=True)
    for positive in (True, False):
        loss = focal_loss(logits, torch.full((2,), positive), gamma, 0.75).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_the_iou_loss_of_two_boxes_half_over_each_other_is_ln_3() -> None:
    loss = iou_loss(torch.tensor([0.0, 0, 2, 2]).double(), torch.tensor([1.0, 0, 3, 2]).double())
    assert loss.item() == pytest.approx(math.log(3))


def test_the_right_boxes_cost_nothing() -> None:
    batch = batch_of(TRUTH)
    points = GRID.points_xy(torch.zeros(1, dtype=torch.float64))
    x0, y0, x1, y1 = TRUTH
    distances = torch.stack((points[:, 0] - x0, points[:, 1] - y0, x1 - points[:, 0], y1 - points[:, 1]), dim=-1)
    outputs = outputs_of(torch.zeros(1, 25, 2), distances.clamp(min=0.1)[None], None)
    for box in ("iou", "giou"):
        assert terms_of(outputs, batch, box=box)["box"].item() == pytest.approx(0, abs=1e-6)


def test_giou_is_one_minus_giou() -> None:
    # One positive point, (24, 24); truth 20..28 by 20..28, predicted 16..28 by 20..28: IoU = GIoU = 64/96.
    outputs = outputs_of(torch.zeros(1, 25, 2), torch.tensor([8.0, 4.0, 4.0, 4.0]).expand(1, 25, 4), None)
    terms = terms_of(outputs, batch_of((20.0, 20.0, 28.0, 28.0)), box="giou")
    assert terms["box"].item() == pytest.approx(1 - 64 / 96)


def test_without_positives_only_the_background_is_learnt() -> None:
    outputs, batch = random_outputs(2), batch_of(None, None)
    terms = terms_of(outputs, batch)
    assert terms["box"].item() == 0
    assert terms["score"].item() == pytest.approx(literal_terms(outputs, batch)["score"], rel=1e-5)
    sum(terms.values()).backward()  # type: ignore[union-attr]


def test_a_point_on_the_border_of_the_box_is_not_positive() -> None:
    # 24 … 40: the points at 24 and 40 lie on the border, so one point, (32, 32), is in the box.
    terms = terms_of(random_outputs(1), batch_of((24.0, 24.0, 40.0, 40.0)), centerness_over="positive")
    output = random_outputs(1).predictions.output
    assert output.centerness is not None
    # It lies in the very middle, where centre-ness is 1.
    assert terms["centerness"].item() == pytest.approx(math.log1p(math.exp(-output.centerness[0, 12].item())), rel=1e-5)


def test_a_box_larger_than_the_crop_makes_every_point_positive() -> None:
    outputs, batch = random_outputs(1), batch_of((-40.0, -40.0, 120.0, 100.0))
    expected = literal_terms(outputs, batch)
    assert {name: value.item() for name, value in terms_of(outputs, batch).items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alone", ["score", "centerness", "box"])
def test_each_term_is_usable_alone(alone: str) -> None:
    names = ("score", "centerness", "box")
    weights: dict[str, Any] = {f"{name}_weight": 2.0 * (name == alone) for name in names}
    outputs, batch = random_outputs(2), batch_of(TRUTH, None)
    terms = terms_of(outputs, batch, **weights)
    assert list(terms) == [alone]
    assert terms[alone].item() == pytest.approx(2 * literal_terms(outputs, batch)[alone], rel=1e-5)


def test_no_term_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="give one a weight above 0"):
        FcosLossConfig(score_weight=0, centerness_weight=0, box_weight=0)


def test_a_smaller_ratio_leaves_the_box_s_rim_negative() -> None:
    outputs, batch = random_outputs(1), batch_of((14.0, 14.0, 50.0, 50.0))  # holds all 25 points
    # Within a quarter of 36 of the centre: the middle 3 × 3 points.
    single = terms_of(outputs, batch, positive_ratio=0.25, centerness_over="positive")["centerness"]
    output: PointOutput = outputs.predictions.output
    assert output.centerness is not None
    total = 0.0
    for row in (1, 2, 3):
        for column in (1, 2, 3):
            x, y = 16 + 8 * column, 16 + 8 * row
            wanted = math.sqrt(min(x - 14, 50 - x) / max(x - 14, 50 - x) * min(y - 14, 50 - y) / max(y - 14, 50 - y))
            value = output.centerness[0, 5 * row + column].item()
            total += wanted * math.log1p(math.exp(-value)) + (1 - wanted) * math.log1p(math.exp(value))
    assert single.item() == pytest.approx(total / 9, rel=1e-5)

    everywhere = terms_of(outputs, batch, positive_ratio=0.25)["centerness"]
    middle = {5 * row + column for row in (1, 2, 3) for column in (1, 2, 3)}
    rim = [math.log1p(math.exp(output.centerness[0, point].item())) for point in range(25) if point not in middle]
    assert everywhere.item() == pytest.approx((total + sum(rim)) / 25, rel=1e-5)
