"""One step: accumulation, precision, averaging, and what is random in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from trackcli.contracts.counting import Counting, masked_mean
from trackcli.errors import ConfigError, ShapeError
from trackcli.training.distributed import ALONE, World
from trackcli.training.spread import StepCounting, check_batch, split_rows

if TYPE_CHECKING:
    from conftest import NewRun

    from trackcli.training.run import TrainingRun

EXACT = ("train.warmup=0.0", "train.learning_rate=0.05", "train.freeze_batch_norm=true", "train.batch=4")


def largest_difference(first: TrainingRun, second: TrainingRun) -> float:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return max(float((one.float() - other.float()).abs().max()) for one, other in pairs)


@pytest.mark.parametrize("head", ["rpn", "point"])
def test_a_step_in_parts_is_the_step_of_the_whole_batch(new_run: NewRun, head: str) -> None:
    settings = (*EXACT, "train.steps=4", "train.unfreeze={stem = 0.0}")
    whole = new_run(*settings, folder="whole", head=head)
    parts = new_run(*settings, "train.accumulate=4", folder="parts", head=head)
    start = {name: value.clone() for name, value in whole.model.state_dict().items()}
    for one, other in zip(whole.steps(), parts.steps(), strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-4)
        assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-4)
    assert largest_difference(whole, parts) < 1e-6
    assert any(float((value - start[name]).abs().max()) > 1e-3 for name, value in whole.model.state_dict().items())


def test_means_of_parts_alone_would_not_be_the_whole_batchs(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the counting is for: the parts of this batch have different numbers of positive anchors."""
    whole = new_run(*EXACT, "train.steps=4", folder="whole")
    parts = new_run(*EXACT, "train.steps=4", "train.accumulate=4", folder="parts")
    list(whole.steps())
    monkeypatch.setattr(StepCounting, "divisor", Counting.divisor)
    list(parts.steps())
    assert largest_difference(whole, parts) > 1e-5


def test_counting_ahead_leaves_batch_statistics_alone(new_run: NewRun) -> None:
    run = new_run("train.steps=1", "train.batch=4", "train.accumulate=2")
    list(run.steps())
    counters = [value for name, value in run.model.named_buffers() if name.endswith("num_batches_tracked")]
    assert {int(value) for value in counters} <= {0, 2, 4}  # a matcher's norm sees template and search once per part
    assert max(int(value) for value in counters) > 0


def test_a_batch_that_cannot_be_shared_evenly_names_those_that_can(new_run: NewRun) -> None:
    with pytest.raises(ConfigError) as caught:
        new_run("train.batch=6", "train.accumulate=4")
    assert str(caught.value) == (
        "train.batch = 6 cannot be shared evenly by 1 processes in 4 parts each; use --batch 4 or 8"
    )
    check_batch(new_run("train.batch=12", "train.accumulate=3").config, World(0, 2))


def test_counts_are_those_of_all_parts() -> None:
    counting = StepCounting(ALONE, 2)
    counting.ahead()
    assert counting.divisor(torch.tensor(5)).item() == 5
    counting.begin(0)
    assert counting.divisor(torch.tensor(1)).item() == 3  # (5 + 1) over 2 parts
    counting.begin(1)
    assert counting.divisor(torch.tensor(5)).item() == 3
    with pytest.raises(ShapeError, match=r"asked batch\.counting more often for one part"):
        counting.divisor(torch.tensor(1))


def test_an_empty_step_divides_by_its_least_count() -> None:
    counting = StepCounting(ALONE, 1)
    counting.begin(0)
    assert counting.divisor(torch.tensor(0)).item() == 1


def test_a_masked_mean_ignores_what_is_masked_even_nan() -> None:
    values = torch.tensor([1.0, 3.0, float("nan")], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, True, False]))
    mean.backward()
    assert mean.item() == 2
    assert values.grad is not None and values.grad.tolist() == [0.5, 0.5, 0]


def test_rows_are_split_in_order(new_run: NewRun) -> None:
    run = new_run("train.batch=4", "train.steps=1")
    (host,) = run.loader.batches(0, 1)
    ids = [part.batch.sample_ids.tolist() for part in split_rows(host, 2)]
    assert ids == [[0, 1], [2, 3]]
    with pytest.raises(ShapeError, match="4 rows cannot be cut into 3 equal parts"):
        split_rows(host, 3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_training_lowers_the_loss_on_one_batch_seen_again_and_again(new_run: NewRun, precision: str) -> None:
    run = new_run(
        "train.steps=25", "train.batch=4", "train.optimizer=adam", "train.learning_rate=0.003", "train.warmup=0.0",
        "sampler.negative=0.0", f"train.precision={precision}",
    )  # fmt: skip
    (host,) = run.loader.batches(0, 1)
    losses = [sum(run._learn(run._finished(host)).terms.values()) for _ in range(25)]
    assert losses[-1] < 0.6 * losses[0]
    assert all(value.dtype == torch.float32 for value in run.model.parameters())


def test_fp16_tries_a_smaller_scale_after_an_overflow_and_keeps_the_weights(new_run: NewRun) -> None:
    run = new_run("train.steps=2", "train.precision=fp16")
    run.engine.scaler.load_state_dict({**run.engine.scaler.state_dict(), "scale": 2.0**40})
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    reports = run.steps()
    first = next(reports)
    assert first.nonfinite == ()
    assert run.engine.scaler.get_scale() == 2.0**39
    assert all(torch.equal(value, before[name]) for name, value in run.model.named_parameters())
    reports.close()


def test_gradients_are_clipped_to_the_norm(new_run: NewRun) -> None:
    run = new_run(
        "train.steps=1", "train.clip=0.01", "train.warmup=0.0", "train.momentum=0.0", "train.weight_decay=0.0",
        "train.schedule=constant", "train.learning_rate=1.0", "train.backbone_factor=1.0",
    )  # fmt: skip
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    (report,) = run.steps()
    moved = [value.detach() - before[name] for name, value in run.model.named_parameters()]
    assert report.gradient_norm > 0.01
    assert float(nn.utils.get_total_norm(moved)) == pytest.approx(0.01, rel=1e-3)


def test_the_average_follows_slowly_and_is_what_is_saved(new_run: NewRun) -> None:
    run = new_run("train.steps=1", "train.ema=0.9", "train.warmup=0.0", "train.learning_rate=0.1")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    list(run.steps())
    for name, value in run.best_model().state_dict().items():
        if value.is_floating_point():  # the first step keeps 1/10 only
            expected = 0.1 * before[name] + 0.9 * run.model.state_dict()[name]
            assert torch.allclose(value, expected, atol=1e-7), name


class Dropping(nn.Module):
    """A part that draws from torch's generator, as dropout in someone's head does."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *inputs: Any) -> Any:
        predictions = self.inner(*inputs)
        output = predictions.output
        dropped = nn.functional.dropout(output.logits, 0.5, self.training)
        return replace(predictions, output=replace(output, logits=dropped))

    def decode(self, *inputs: Any) -> Any:
        return self.inner.decode(*inputs)

    def embed(self, *inputs: Any) -> Any:
        return self.inner.embed(*inputs)


def test_dropout_depends_on_the_step_so_that_a_resumed_run_draws_the_same(new_run: NewRun) -> None:
    def terms(start: int, *, noise: int) -> list[dict[str, float]]:
        run = new_run("train.steps=4", "train.learning_rate=1e-12", "train.warmup=0.0", folder=f"{start}-{noise}")
        run.model.head = Dropping(run.model.head)
        run.step = start
        torch.manual_seed(noise)
        return [report.terms for report in run.steps()]

    whole, later = terms(0, noise=1), terms(2, noise=2)
    for one, other in zip(whole[2:], later, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert whole[0] != pytest.approx(whole[1], rel=1e-2)


def test_a_step_leaves_torchs_own_generator_as_it_was(new_run: NewRun) -> None:
    run = new_run("train.steps=1")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(run.steps())
    assert torch.equal(torch.rand(3), expected)


def test_compiled_training_gives_the_plain_runs_losses(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured and differentiated as with the real backend, which would take minutes to make its code."""
    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **rest: compile_module(self, backend="aot_eager", **rest))
    settings = ("train.steps=2", "train.warmup=0.0")
    plain = [report.terms for report in new_run(*settings, folder="plain").steps()]
    compiled_run = new_run(*settings, "train.compile=true", folder="compiled")
    compiled = [report.terms for report in compiled_run.steps()]
    for one, other in zip(plain, compiled, strict=True):
        assert other == pytest.approx(one, rel=1e-3)
    assert compiled_run.model.backbone._compiled_call_impl is not None
    assert not any("_orig_mod" in name for name in compiled_run.model.state_dict())


def test_synchronised_batch_norm_says_what_it_needs(new_run: NewRun) -> None:
    with pytest.raises(ConfigError, match=r"train\.sync_batch_norm needs several processes on GPUs"):
        new_run("train.sync_batch_norm=true")


def test_values_and_masks_may_have_any_shape() -> None:
    mask: Tensor = torch.tensor([[True, False], [True, True]])
    assert masked_mean(torch.tensor([[1.0, 9.0], [2.0, 3.0]]), mask).item() == 2
