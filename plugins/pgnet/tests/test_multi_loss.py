"""The loss on every stage: equation 9 in terms of the loss that it applies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from trackcli_pgnet.config import MultiLossConfig
from trackcli_pgnet.multi_loss import MultiLoss

from trackcli.builtin.config import RpnLossConfig
from trackcli.builtin.losses.rpn import RpnLoss
from trackcli.composition.build import build_losses
from trackcli.composition.defaults import complete
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, plan
from trackcli.composition.record import recipe_data
from trackcli.contracts.predictions import PointOutput, Predictions
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import ConfigError, FitError
from trackcli.geometry.grids import Grid
from trackcli.host.registry import installed
from trackcli.testing import Scene, build_seeded, synthetic_clip, training_batch

SMALL = {
    "preset": "pg-net",
    "backbone": {"name": "resnet18", "depth": 3},
    "matcher": {"name": "pg-corr", "channels": 16, "template_cells": 4},
    "head": {"name": "rpn", "hidden": 16, "scale": 4.0},
    "crop": {"template_size": 64, "search_size": 128},
}


def planned(assignments: tuple[str, ...] = (), **changed: object) -> Plan:
    return plan(complete({**SMALL, **changed}, installed(), assignments).recipe, installed())


@pytest.fixture(scope="module")
def made() -> tuple[TrackerModel, Batch, Outputs]:
    small = planned()
    model = build_seeded(small).train()
    batch = training_batch(Scene(synthetic_clip(), small.recipe.crop))
    return model, batch, model(batch)


def test_it_is_the_fused_loss_plus_that_of_every_stage(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    """Equations 5, 6 and 9 with λ = 1.2."""
    _, batch, outputs = made
    terms = MultiLoss(MultiLossConfig(), {})(outputs, batch)
    rpn = RpnLoss(RpnLossConfig(), {})
    all_outputs = {"": outputs.predictions.output, **{f"{n}.": s for n, s in outputs.predictions.stages.items()}}
    assert list(all_outputs) == ["", "layer2.", "layer3."]
    expected = {}
    for prefix, output in all_outputs.items():
        classification, box = rpn.terms(output, batch)
        expected |= {f"{prefix}classification": classification, f"{prefix}box": 1.2 * box}
    assert terms.keys() == expected.keys()
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name])
        assert value > 0


def test_the_fusion_is_the_weighted_sum_of_equations_7_and_8(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    model, _, outputs = made
    delta, gamma = model.head.classification_weights.softmax(0), model.head.regression_weights.softmax(0)
    stages = list(outputs.predictions.stages.values())
    logits = sum(share * stage.logits for share, stage in zip(delta, stages, strict=True))
    deltas = sum(share * stage.deltas for share, stage in zip(gamma, stages, strict=True))
    torch.testing.assert_close(outputs.predictions.output.logits, logits)
    torch.testing.assert_close(outputs.predictions.output.deltas, deltas)


def test_delta_and_gamma_learn_through_the_fused_term_alone(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    model, batch, _ = made
    terms = MultiLoss(MultiLossConfig(), {})(model(batch), batch)
    weights = [model.head.classification_weights, model.head.regression_weights]
    staged = sum(value for name, value in terms.items() if "." in name)
    none = torch.autograd.grad(staged, weights, retain_graph=True, allow_unused=True)
    assert none == (None, None)
    fused = torch.autograd.grad(terms["classification"] + terms["box"], weights)
    assert all(bool(gradient.any()) for gradient in fused)


def test_a_single_stage_counts_once(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    _, batch, outputs = made
    single = replace(
        outputs, predictions=Predictions(outputs.predictions.output, {"layer2": outputs.predictions.output})
    )
    assert set(MultiLoss(MultiLossConfig(), {})(single, batch)) == {"classification", "box"}
    assert set(MultiLoss(MultiLossConfig(fused=False), {})(single, batch)) == {"classification", "box"}


def test_without_the_fused_term_only_the_stages_count(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    _, batch, outputs = made
    terms = MultiLoss(MultiLossConfig(fused=False), {})(outputs, batch)
    assert set(terms) == {f"layer{n}.{term}" for n in (2, 3) for term in ("classification", "box")}


def test_it_takes_any_head_with_stages(made: tuple[TrackerModel, Batch, Outputs]) -> None:
    """A head of points, two stages of which are the fused output: three times the loss of the fused output."""
    _, batch, outputs = made
    grid = Grid(8, 8, 16, 8.0)
    ys, xs = torch.meshgrid(torch.arange(8) * 16.0 + 8, torch.arange(8) * 16.0 + 8, indexing="ij")
    points = torch.stack((xs, ys), dim=-1).reshape(-1, 2)
    output = PointOutput(torch.zeros(3, 64, 1), torch.full((3, 64, 4), 12.0), points, grid)
    staged = replace(outputs, predictions=Predictions(output, {"a": output, "b": output}))
    config = MultiLossConfig(each={"name": "point"})
    assert config.takes == ("heatmap",)
    terms = MultiLoss(config, {})(staged, batch)
    assert len(terms) == 9
    for name in ("classification", "giou", "l1"):
        assert terms[name] == terms[f"a.{name}"] == terms[f"b.{name}"]
        assert torch.isfinite(terms[name])


def test_a_head_that_its_loss_does_not_take_is_refused_by_name() -> None:
    with pytest.raises(FitError, match="loss 'multi-loss' takes anchors, but head 'point' predicts heatmap"):
        planned(head={"name": "point"}, backbone={"name": "resnet18", "depth": 2}, loss=[{"name": "multi-loss"}])


def test_settings_of_the_inner_loss_are_set_checked_and_recorded() -> None:
    small = planned(("loss.multi-loss.each.box_weight=2", "loss.multi-loss.each.positives=8"))
    (recorded,) = recipe_data(small)["loss"]
    assert recorded["each"] == RpnLossConfig(box_weight=2, positives=8).model_dump(mode="json") | {"name": "rpn"}
    (loss,) = build_losses(small).losses.values()
    assert loss.each.config.box_weight == 2
    with pytest.raises(ConfigError, match=r"loss\.multi-loss\.each\.box_wait is unknown; did you mean .*box_weight"):
        planned(("loss.multi-loss.each.box_wait=2",))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("each.name=multi-loss", "expected another loss"),
        ("each=multi-loss", "expected another loss"),
        ("each=3", r"each = 3 does not fit; expected the name of a loss"),
        ("each.name=3", r"each\.name = 3 does not fit; expected the name of a loss"),
    ],
)
def test_what_is_no_other_loss_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        planned((f"loss.multi-loss.{assignment}",))


def test_a_bare_name_will_do() -> None:
    assert MultiLossConfig(each="point") == MultiLossConfig(each={"name": "point"})
