"""Lengths in steps, and the learning rate at each of them."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from trackcli.cli.recipe_options import SMOKE_SETTINGS, with_smoke_settings
from trackcli.composition.defaults import complete_layers
from trackcli.config.origins import Layer
from trackcli.config.training import PhaseConfig, TrainConfig
from trackcli.errors import ConfigError
from trackcli.host.registry import installed
from trackcli.host.specs import PresetSpec
from trackcli.training.schedule import Timeline, check_schedule, rate_at, total_steps


def test_epochs_are_counted_in_pairs() -> None:
    assert total_steps(TrainConfig(epochs=3, pairs_per_epoch=100, batch=16)) == 19
    assert total_steps(TrainConfig(epochs=3, steps=7)) == 7


@pytest.mark.parametrize(
    ("moment", "step"), [(0.25, 50), ("25%", 50), ("3 epochs", 30), ("0.5 epochs", 5), ("1 epoch", 10), ("9 steps", 9)]
)
def test_a_moment_is_a_share_epochs_or_steps(moment: float | str, step: int) -> None:
    timeline = Timeline.of(TrainConfig(epochs=20, pairs_per_epoch=160, batch=16))
    assert timeline.total == 200
    assert timeline.step_at(moment) == step


@pytest.mark.parametrize(("interval", "steps"), [(500, 500), (0, 0), ("2 epochs", 20), ("0.01 epochs", 1), ("10%", 20)])
def test_an_interval_is_steps_unless_it_says_otherwise(interval: int | str, steps: int) -> None:
    assert Timeline(total=200, steps_per_epoch=10).steps_in(interval) == steps


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "a share of the run lies in 0..1; for other lengths write e.g. '5 epochs'"),
        ("soon", "expected a share of the run (0.25 or '25%'), '5 epochs' or '2000 steps'"),
    ],
)
def test_what_is_no_moment_is_refused(value: float | str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainConfig(warmup=value)
    assert message in str(caught.value)


@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_the_rate_warms_up_peaks_and_ends_where_it_should(schedule: str) -> None:
    config = TrainConfig(
        steps=101, warmup=0.1, warmup_rate=1e-4, learning_rate=1e-2, final_rate=1e-4, schedule=schedule
    )
    assert rate_at(0, config) == pytest.approx(1e-4)
    assert rate_at(5, config) == pytest.approx((1e-4 + 1e-2) / 2)
    assert rate_at(10, config) == pytest.approx(1e-2)
    assert rate_at(100, config) == pytest.approx(1e-4)
    middle = {"cosine": (1e-2 + 1e-4) / 2, "exponential": math.sqrt(1e-2 * 1e-4)}[schedule]
    assert rate_at(55, config) == pytest.approx(middle)


@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_no_rate_is_above_the_one_that_is_called_the_highest(schedule: str) -> None:
    low = TrainConfig(steps=100, warmup=0.2, schedule=schedule, learning_rate=1e-4, warmup_rate=1e-3, final_rate=5e-4)
    assert {rate_at(step, low) for step in range(100)} == {1e-4}


def test_a_step_schedule_multiplies_the_rate_at_every_milestone() -> None:
    config = TrainConfig(
        epochs=40, pairs_per_epoch=10, batch=1, warmup=0, learning_rate=1.0, schedule="step", step_factor=0.2,
        milestones=("15 epochs", "30 epochs"),
    )  # fmt: skip
    assert [rate_at(step, config) for step in (0, 149)] == [1.0, 1.0]
    assert [rate_at(step, config) for step in (150, 299)] == pytest.approx([0.2, 0.2])
    assert [rate_at(step, config) for step in (300, 399)] == pytest.approx([0.04, 0.04])


def test_a_constant_schedule_stays_after_its_warm_up() -> None:
    config = TrainConfig(steps=100, warmup="4 steps", warmup_rate=0.0, learning_rate=0.1, schedule="constant")
    assert [rate_at(step, config) for step in (0, 2, 4, 99)] == pytest.approx([0.0, 0.05, 0.1, 0.1])


@pytest.mark.parametrize("preset", installed().names(PresetSpec))
def test_every_presets_schedule_fits_a_smoke_run(preset: str) -> None:
    layers = with_smoke_settings([Layer(f"--preset {preset}", {"preset": preset})])
    train = complete_layers(layers, installed()).recipe.train
    assert total_steps(train) == SMOKE_SETTINGS["steps"]
    check_schedule(train)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainConfig(schedule="step"), "train.schedule is 'step' but train.milestones is empty"),
        (TrainConfig(milestones=(0.5,)), "train.milestones belongs to schedule 'step', but train.schedule is 'expon"),
        (
            TrainConfig(steps=10, warmup="12 steps"),
            "train.warmup = '12 steps' is 12 steps, longer than the run of 10; leave it out with --set train.warmup=0",
        ),
        (TrainConfig(checkpoint_every=0), "train.checkpoint_every is 0; expected at least 1 step, or e.g. '1 epoch'"),
        (
            TrainConfig(steps=10, phases=(PhaseConfig(until=0.5), PhaseConfig(until=0.4))),
            "train.phases end at steps [5, 4]; expected each to end after the one before",
        ),
    ],
)
def test_settings_that_contradict_one_another_are_refused(config: TrainConfig, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_schedule(config)
    assert str(caught.value).startswith(message)
