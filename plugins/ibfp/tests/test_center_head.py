"""The centre head, and its loss: equations 9 and 10 against loops, table II as settings."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from trackcli_ibfp.config import CenterConfig, FocalHingeConfig
from trackcli_ibfp.focal_hinge import FocalHingeLoss, focal_hinge
from trackcli_ibfp.head import CenterHead, into_unit_interval

from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import PointOutput, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import FitError
from trackcli.geometry.grids import Grid

CONTEXT = Context(search=Branch(torch.zeros(1, 3, 288, 288), {}))
GRID = Grid(6, 6, 8, 0.0)


def test_each_branch_is_five_convolutions_whose_hidden_width_is_256() -> None:
    head = CenterHead(CenterConfig(), {"layer2": MatchShape(128, 128, 8, shared=True)}, {})
    for branch, outputs in ((head.center, 1), (head.regression, 4)):
        layers = [module for module in branch.modules() if isinstance(module, nn.Conv2d)]
        assert [layer.out_channels for layer in layers] == [256, 256, 256, 256, outputs]
        assert {(layer.kernel_size, layer.stride, layer.padding) for layer in layers} == {((3, 3), (1, 1), (1, 1))}


def test_scores_are_the_map_and_boxes_come_from_exp_of_the_distances() -> None:
    torch.manual_seed(0)
    head = CenterHead(CenterConfig(channels=8, depth=2), {"layer2": MatchShape(4, 4, 8, shared=True)}, {}).eval()
    with torch.no_grad():
        for branch in (head.center, head.regression):
            branch[-1].weight.normal_(std=0.3)  # type: ignore[union-attr, operator]
        response = torch.randn(2, 4, 5, 5)
        matched = Matched({"layer2": MatchedLevel(response, response, 8, 0.0)}, {}, {})
        predictions = head(matched, CONTEXT)
        candidates = head.decode(predictions, CONTEXT)
        raw = head.regression(response)
    row, column = 3, 1
    left, top, right, bottom = (8 * math.exp(raw[1, side, row, column]) for side in range(4))
    point = (8.0 * column, 8.0 * row)
    expected = [point[0] - left, point[1] - top, point[0] + right, point[1] + bottom]
    assert candidates.boxes_xyxy[1, 5 * row + column].tolist() == pytest.approx(expected, rel=1e-5)
    assert candidates.points_xy[1, 5 * row + column].tolist() == [8.0, 24.0]
    assert torch.equal(predictions.output.logits[1, :, 0].reshape(5, 5), head.center(response)[1, 0])


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=2, max_size=20))
def test_scores_lie_in_0_to_1_keep_their_order_and_are_the_map_in_between(values: list[float]) -> None:
    scores = into_unit_interval(torch.tensor(values, dtype=torch.float64))
    assert ((scores >= 0) & (scores <= 1)).all()
    for value, score in zip(values, scores.tolist(), strict=True):
        if 0.02 <= value <= 0.98:
            assert score == value
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranked = scores[order]
    assert (ranked.diff() >= 0).all()


def literal_focal_hinge(s: float, y: float, *, squared: bool = False) -> float:
    """Equation 9, α 0.9, γ 0.1, τ 0.05."""
    if y >= 0.05:
        error = abs(s - y)
        return y**0.1 * (error**2 if squared else error)
    error = max(0.0, s)
    return 0.9 * (error**2 if squared else error)


@pytest.mark.parametrize("form", ["printed", "squared"])
def test_equation_9_is_the_literal_form(form: str) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(200, generator=generator, dtype=torch.float64)
    labels = torch.rand(200, generator=generator, dtype=torch.float64) ** 3
    found = focal_hinge(scores, labels, FocalHingeConfig(form=form))  # type: ignore[arg-type]
    expected = [
        literal_focal_hinge(s, y, squared=form == "squared")
        for s, y in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def make_batch(positive: Tensor, boxes_xyxy: Tensor) -> Batch:
    count = len(positive)
    images, ids = torch.zeros(count, 3, 8, 8), torch.arange(count)
    mask = torch.ones(count, 1, dtype=torch.bool)
    return Batch(images, images, boxes_xyxy, boxes_xyxy, ids, positive, boxes_xyxy[:, None], mask, mask, ~positive, ids)


def make_output(distances: Tensor, logits: Tensor) -> Outputs:
    branch = Branch(torch.zeros(1), {})
    output = PointOutput(logits.unsqueeze(-1), distances, GRID.points_xy(distances), GRID)
    return Outputs(branch, branch, Matched({}, {}, {}), Predictions(output))


@pytest.mark.parametrize(
    "row, reach",
    [
        ({"positive_ratio": 0.5}, (16.0, 10.0)),
        ({"positive_ratio": 0.25}, (8.0, 5.0)),
        ({"positive_distance": 24.0}, (24.0, 24.0)),
        ({"positive_distance": 36.0}, (36.0, 36.0)),
    ],
    ids=["a", "b", "c", "d"],
)
def test_equation_10_with_each_selection_of_table_2(row: dict[str, float], reach: tuple[float, float]) -> None:
    """One box of 32 × 20 around (20, 18); the second pair has no target."""
    generator = torch.Generator().manual_seed(0)
    distances = torch.rand(2, 36, 4, generator=generator) * 30
    box = torch.tensor([4.0, 8.0, 36.0, 28.0])
    batch = make_batch(torch.tensor([True, False]), torch.stack((box, torch.full((4,), torch.nan))))
    config = FocalHingeConfig(box_weight=1.0, **row)  # type: ignore[arg-type]
    terms = FocalHingeLoss(config, {})(make_output(distances, torch.zeros(2, 36)), batch)
    errors = []
    for index in range(36):
        x, y = 8 * (index % 6), 8 * (index // 6)
        truth = (x - 4, y - 8, 36 - x, 28 - y)
        if abs(x - 20) < reach[0] and abs(y - 18) < reach[1] and min(truth) > 0:
            errors.append(sum(abs(p - g) / 8 for p, g in zip(distances[0, index].tolist(), truth, strict=True)))
    assert errors
    assert terms["box"].item() == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_the_center_term_is_the_mean_of_equation_9_against_a_gaussian_of_a_quarter_of_the_box() -> None:
    logits = torch.randn(2, 36, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([4.0, 8.0, 36.0, 28.0])
    batch = make_batch(torch.tensor([True, False]), torch.stack((box, torch.full((4,), torch.nan))))
    terms = FocalHingeLoss(FocalHingeConfig(center_weight=1.0), {})(make_output(torch.ones(2, 36, 4), logits), batch)
    total = 0.0
    for pair in range(2):
        for index in range(36):
            x, y = 8 * (index % 6), 8 * (index // 6)
            label = math.exp(-0.5 * (((x - 20) / 8) ** 2 + ((y - 18) / 5) ** 2)) if pair == 0 else 0.0
            total += literal_focal_hinge(logits[pair, index].item(), label)
    assert terms["center"].item() == pytest.approx(total / 72, rel=1e-5)


def test_several_responses_are_refused() -> None:
    with pytest.raises(FitError, match="head 'center' works on one response, but the matcher gives layer2, layer3"):
        CenterConfig().check(dict.fromkeys(("layer2", "layer3"), MatchShape(4, 4, 8)), {"layer2": LevelShape(4, 8, 0)})
