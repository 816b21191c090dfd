"""How fast the run learns: lengths in steps, and the learning rate at each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trackcli.config.moments import parse_interval, parse_moment
from trackcli.config.training import TrainConfig
from trackcli.errors import ConfigError

LOWEST_SHARE = 1e-3
"""An exponential never reaches 0: it ends at this share of the highest rate if ``final_rate`` is lower."""


def total_steps(config: TrainConfig) -> int:
    """Steps of the whole run: ``steps`` if given, else the epochs' pairs over the batch."""
    return config.steps or math.ceil(config.epochs * config.pairs_per_epoch / config.batch)


@dataclass(frozen=True)
class Timeline:
    """What shares, epochs and steps mean in a run.

    Attributes:
        total: Steps of the whole run.
        steps_per_epoch: An epoch is counted in pairs and need not be a whole number of steps.
    """

    total: int
    steps_per_epoch: float

    @classmethod
    def of(cls, config: TrainConfig) -> Timeline:
        """The timeline that a configuration describes."""
        return cls(total_steps(config), config.pairs_per_epoch / config.batch)

    def step_at(self, moment: float | str) -> int:
        """The first step after a moment (:func:`~trackcli.config.moments.parse_moment`); may lie after the end."""
        duration = parse_moment(moment)
        return round(duration.amount * {"share": self.total, "epochs": self.steps_per_epoch, "steps": 1}[duration.unit])

    def steps_in(self, interval: int | str) -> int:
        """Steps in an interval (:func:`~trackcli.config.moments.parse_interval`); 0 only where it says 0."""
        duration = parse_interval(interval)
        if duration.amount == 0:
            return 0
        units = {"share": self.total, "epochs": self.steps_per_epoch, "steps": 1}
        return max(1, round(duration.amount * units[duration.unit]))


def rate_at(step: int, config: TrainConfig) -> float:
    """Learning rate at a step (from 0), before any factors: a linear warm-up, then what the schedule says.

    ``learning_rate`` is the highest: a ``warmup_rate`` or ``final_rate`` above it counts as it.
    """
    timeline = Timeline.of(config)
    warmup = timeline.step_at(config.warmup)
    highest = config.learning_rate
    first, last = min(config.warmup_rate, highest), min(config.final_rate, highest)
    if step < warmup:
        return first + (highest - first) * step / warmup
    if config.schedule == "constant":
        return highest
    if config.schedule == "step":
        passed = sum(step >= timeline.step_at(moment) for moment in config.milestones)
        return highest * config.step_factor**passed
    progress = min(1.0, (step - warmup) / max(1, timeline.total - 1 - warmup))
    if config.schedule == "cosine":
        return last + (highest - last) * (1 + math.cos(math.pi * progress)) / 2
    lowest = max(last, LOWEST_SHARE * highest)
    return float(highest * (lowest / highest) ** progress)


def check_schedule(config: TrainConfig) -> None:
    """Refuse settings that fit each on its own but not together.

    Raises:
        ConfigError: saying which setting to change.
    """
    timeline = Timeline.of(config)
    if config.schedule == "step" and not config.milestones:
        raise ConfigError(
            "train.schedule is 'step' but train.milestones is empty; name moments, e.g. "
            "--set train.milestones=\"['15 epochs', '30 epochs']\""
        )
    if config.milestones and config.schedule != "step":
        raise ConfigError(
            f"train.milestones belongs to schedule 'step', but train.schedule is {config.schedule!r}; "
            "use --set train.schedule=step, or leave the milestones out"
        )
    if timeline.step_at(config.warmup) > timeline.total:
        raise ConfigError(
            f"train.warmup = {config.warmup!r} is {timeline.step_at(config.warmup)} steps, longer than the run of "
            f"{timeline.total}; leave it out with --set train.warmup=0, or train longer with --epochs"
        )
    ends = [timeline.step_at(phase.until) for phase in config.phases]
    if ends != sorted(set(ends)):
        raise ConfigError(f"train.phases end at steps {ends}; expected each to end after the one before")
    if timeline.steps_in(config.checkpoint_every) == 0:
        raise ConfigError("train.checkpoint_every is 0; expected at least 1 step, or e.g. '1 epoch'")
