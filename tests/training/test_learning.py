"""What learns when: freezing, phases, factors, and the optimiser's groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from trackcli.errors import ConfigError

if TYPE_CHECKING:
    from conftest import NewRun

    from trackcli.training.run import TrainingRun


def learning(run: TrainingRun, step: int) -> set[str]:
    """The stages of the backbone and the other components that learn at a step."""
    run.engine.apply(step)
    names = (name.split(".") for name, parameter in run.model.named_parameters() if parameter.requires_grad)
    return {name[1] if name[0] == "backbone" else name[0] for name in names}


def test_a_stage_that_is_unfrozen_takes_the_deeper_ones_with_it(new_run: NewRun) -> None:
    run = new_run("train.steps=10", "train.unfreeze={layer1 = 0.5}")
    assert learning(run, 4) == {"matcher", "head"}
    assert learning(run, 5) == {"layer1", "layer2", "matcher", "head"}


def test_freezing_counts_in_epochs_too(new_run: NewRun) -> None:
    run = new_run("train.epochs=4", "train.pairs_per_epoch=10", "train.unfreeze.layer2='3 epochs'")
    assert "layer2" not in learning(run, 14)
    assert "layer2" in learning(run, 15)


def test_a_phase_trains_the_parts_that_it_names(new_run: NewRun) -> None:
    run = new_run(
        "train.steps=10",
        "train.unfreeze={layer2 = 0.0}",
        "train.phases=[{until = 0.3, train = ['head']}, {until = '6 steps', train = ['matcher', 'backbone.layer1']}]",
    )
    assert learning(run, 2) == {"head"}
    assert learning(run, 3) == {"matcher", "layer1"}  # a phase that names a frozen stage thaws it
    assert learning(run, 6) == {"head", "matcher", "layer2"}


def test_a_phase_can_freeze_parts_and_slow_down(new_run: NewRun) -> None:
    run = new_run(
        "train.steps=10", "train.warmup=0.0", "train.schedule=constant", "train.learning_rate=0.1",
        "train.phases=[{until = 0.5, freeze = ['matcher'], rate = 0.5}]",
    )  # fmt: skip
    reports = list(run.steps())
    assert "matcher" not in learning(run, 4)
    assert [reports[step].rate for step in (4, 5)] == pytest.approx([0.05, 0.1])


def test_a_phase_weighs_losses_and_leaves_out_those_with_factor_0(new_run: NewRun) -> None:
    run = new_run(
        "train.steps=2", "train.learning_rate=1e-9", "train.warmup=0.0",
        "train.phases=[{until = 0.5, losses = {'rpn.box' = 0.0, rpn = 3.0}}]",
    )  # fmt: skip
    plain = new_run("train.steps=2", "train.learning_rate=1e-9", "train.warmup=0.0", folder="plain")
    (first, second), (usual, _) = list(run.steps()), list(plain.steps())
    assert list(first.terms) == ["rpn.classification"]
    assert first.terms["rpn.classification"] == pytest.approx(3 * usual.terms["rpn.classification"], rel=1e-6)
    assert list(second.terms) == ["rpn.classification", "rpn.box"]


def test_what_is_frozen_keeps_its_batch_statistics(new_run: NewRun) -> None:
    run = new_run("train.steps=2", "train.unfreeze={layer2 = 0.0}", "train.phases=[{freeze = ['matcher']}]")
    before = {name: value.clone() for name, value in run.model.named_buffers()}
    list(run.steps())
    changed = {name for name, value in run.model.named_buffers() if not torch.equal(value, before[name])}
    assert {".".join(name.split(".")[:2]) for name in changed} == {"backbone.layer2", "head.levels"}


def test_batch_norms_can_be_frozen_while_their_factors_learn(new_run: NewRun) -> None:
    run = new_run("train.steps=2", "train.unfreeze={stem = 0.0}", "train.freeze_batch_norm=true")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    list(run.steps())
    after = run.model.state_dict()
    assert torch.equal(after["backbone.layer2.0.bn1.running_mean"], before["backbone.layer2.0.bn1.running_mean"])
    assert not torch.equal(after["backbone.layer2.0.bn1.bias"], before["backbone.layer2.0.bn1.bias"])


def test_layers_without_weights_train_from_the_start_whatever_is_frozen(new_run: NewRun) -> None:
    run = new_run("train.steps=10")
    run.start_from(frozenset({"backbone.conv1.weight"}))
    assert learning(run, 0) == {"conv1", "matcher", "head"}


def test_groups_have_their_parts_rate_and_only_weights_decay(new_run: NewRun) -> None:
    run = new_run(
        "train.steps=1", "train.warmup=0.0", "train.learning_rate=0.1", "train.weight_decay=0.01",
        "train.backbone_factor=0.5", "train.factors={'backbone.layer2' = 0.2, head = 2.0}",
    )  # fmt: skip
    (report,) = run.steps()
    assert report.rates == pytest.approx({"backbone": 0.05, "backbone.layer2": 0.01, "matcher": 0.1, "head": 0.2})
    owners = {id(value): group for group in run.engine.optimizer.param_groups for value in group["params"]}
    for name, value in run.model.named_parameters():
        assert owners[id(value)]["weight_decay"] == (0.01 if value.ndim > 1 else 0.0), name
    norm = run.model.get_submodule("backbone.layer2.0.bn1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert owners[id(norm.weight)]["name"] == "backbone.layer2"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.unfreeze.layr2=0.5", "train.unfreeze.layr2 names no stage of the backbone; did you mean 'layer2'?"),
        (
            "train.phases=[{train = ['hed']}]",
            "train.phases names 'hed', which is no part of this tracker with parameters; did you mean 'head'?",
        ),
        (
            "train.factors={'backbone.layer9' = 0.1}",
            "train.factors names 'backbone.layer9', which is no part of this tracker with parameters; "
            "did you mean 'backbone.layer2'?",
        ),
        (
            "train.phases=[{losses = {rnp = 2.0}}]",
            "train.phases weighs 'rnp', which is no loss of this tracker; did you mean 'rpn'?",
        ),
        (
            "train.phases=[{freeze = ['head', 'matcher']}]",
            "nothing learns from step 0 on; name parts in train.phases or train.unfreeze",
        ),
        (
            "train.phases=[{losses = {'rpn.clasification' = 0}}]",
            "train.phases weighs 'rpn.clasification', which is no term of a loss; did you mean 'rpn.classification'?",
        ),
        (
            "train.phases=[{until = 0.5}, {losses = {rpn = 0}}]",
            "train.phases leaves out every loss; give some term a factor above 0",
        ),
        ("train.phases=[{losses = {rpn = 0}}]", "train.phases leaves out every loss; give some term a factor above 0"),
    ],
)
def test_parts_that_are_not_there_are_refused(new_run: NewRun, setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        list(new_run("train.steps=4", setting).steps())
    assert str(caught.value) == message
