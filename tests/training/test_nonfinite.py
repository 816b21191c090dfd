"""Steps that are not finite: what is said and saved, and what a replay finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from trackcli.errors import InputDataError
from trackcli.host.registry import installed
from trackcli.training.checkpoint import read_state, write_state
from trackcli.training.replay import replay

if TYPE_CHECKING:
    from conftest import NewRun

    from trackcli.training.run import TrainingRun


def poison(run: TrainingRun, name: str) -> nn.Parameter:
    parameter = run.model.get_parameter(name)
    with torch.no_grad():
        parameter.view(-1)[0] = float("nan")
    return parameter


def some_head_weight(run: TrainingRun) -> str:
    return next(f"head.{name}" for name, value in run.model.head.named_parameters() if value.ndim == 4)


def test_it_names_the_terms_the_samples_and_the_step_and_changes_nothing(new_run: NewRun) -> None:
    run = new_run("train.steps=1", "train.ema=0.9")
    lines: list[str] = []
    run.note = lines.append
    poison(run, some_head_weight(run))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    (report,) = run.steps()
    assert report.nonfinite == ("rpn.classification",) or "rpn.classification" in report.nonfinite
    assert lines == [
        f"step 1: {', '.join(report.nonfinite)} is not finite (samples 0–1); the step was skipped; "
        "saved in nonfinite-00000001.pt"
    ]
    for name, value in run.model.state_dict().items():  # batch statistics included
        assert torch.equal(value.nan_to_num(7), before[name].nan_to_num(7)), name


def test_only_the_part_at_fault_is_saved(new_run: NewRun) -> None:
    run = new_run("train.steps=1", "train.batch=6", "train.accumulate=3")
    (host,) = run.loader.batches(0, 1)
    forward = run.losses_forward = run.engine.losses.forward

    def bad_for_sample_2(outputs: object, batch: object) -> dict[str, torch.Tensor]:
        terms: dict[str, torch.Tensor] = forward(outputs, batch)
        broken = bool((batch.sample_ids == 2).any())
        return {name: value * float("inf") if broken else value for name, value in terms.items()}

    run.engine.losses.forward = bad_for_sample_2
    run._learn(run._finished(host))
    assert read_state(run.folder / "nonfinite-00000001.pt")["batch"]["sample_ids"].tolist() == [2, 3]


def test_a_gradient_that_is_not_finite_is_a_bad_step_too(new_run: NewRun) -> None:
    run = new_run("train.steps=1")
    weight = run.model.get_parameter(some_head_weight(run))
    weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weight.detach().clone()
    (report,) = run.steps()
    assert report.nonfinite == ("gradient",)
    assert torch.equal(weight, before)


def test_sound_steps_between_start_the_count_anew_and_too_many_in_a_row_end_the_run(new_run: NewRun) -> None:
    run = new_run("train.steps=12", "train.max_nonfinite=3", "train.keep_nonfinite=1")
    (host,) = run.loader.batches(0, 1)
    bias = next(value for value in run.model.head.parameters() if value.ndim == 1)
    sound = bias.detach().clone()
    for is_sound in (False, False, True, False, False):
        with torch.no_grad():
            bias.copy_(sound if is_sound else sound * float("nan"))
        run._learn(run._finished(host))
        run.step += 1
    with pytest.raises(InputDataError, match=r"^3 steps in a row were not finite \(.*\); lower train.learning_rate"):
        run._learn(run._finished(host))
    assert [path.name for path in run.folder.glob("nonfinite-*.pt")] == ["nonfinite-00000001.pt"]


def test_a_replay_names_the_module_that_made_it(new_run: NewRun) -> None:
    run = new_run("train.steps=1")
    bias = run.model.get_parameter("matcher.branches.layer2.classification.search.1.bias")
    with torch.no_grad():
        bias.fill_(1e38)  # finite, but what the correlation makes of it is not
    list(run.steps())
    report = replay(run.folder / "nonfinite-00000001.pt", installed())
    assert report.weights == () and report.inputs == ()
    assert report.origin.startswith("model.matcher")
    assert not torch.isfinite(torch.tensor(list(report.terms.values()))).all()
    assert any(line.startswith("first made by: model.matcher") for line in report.lines())


def test_a_replay_names_weights_that_were_bad_before(new_run: NewRun) -> None:
    run = new_run("train.steps=1")
    name = some_head_weight(run)
    poison(run, name)
    list(run.steps())
    lines = replay(run.folder / "nonfinite-00000001.pt", installed()).lines()
    assert f"not finite before the step: model.{name}; go back to an older checkpoint" in lines


def test_a_replay_finds_the_one_sample_whose_picture_is_bad(new_run: NewRun) -> None:
    run = new_run("train.steps=1", "train.batch=4")
    (host,) = run.loader.batches(0, 1)
    (batch,) = run._finished(host)
    batch.search_images[2, 0, 5, 5] = float("nan")
    result = run.engine.learn([batch], 0)
    run._nonfinite.see(result, 1, [batch], run.engine)
    report = replay(run.folder / "nonfinite-00000001.pt", installed())
    assert report.inputs == ("search_images",)
    assert set(report.samples) == {2}
    assert report.origin == ""  # no module made it
    assert any(line.startswith("sample 2: rpn.classification") for line in report.lines())


def test_what_is_finite_again_is_said(new_run: NewRun) -> None:
    run = new_run("train.steps=1")
    weight = run.model.get_parameter(some_head_weight(run))
    weight.register_hook(lambda gradient: gradient * float("inf"))
    list(run.steps())
    lines = replay(run.folder / "nonfinite-00000001.pt", installed()).lines()
    assert lines[-1].startswith("everything is finite now")


@pytest.mark.parametrize("content", ["missing", "text", "a checkpoint"])
def test_what_is_no_replay_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nonfinite-00000001.pt"
    if content == "text":
        path.write_text("hello")
    elif content == "a checkpoint":
        write_state(path, {"step": 1, "model": {}})
    with pytest.raises(InputDataError, match=r"nonfinite-00000001\.pt .*; expected a .*nonfinite-<step>\.pt"):
        replay(path, installed())
