"""When which parameters learn how fast."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from trackcli.composition.model import TrackerModel
from trackcli.config.suggestions import did_you_mean
from trackcli.config.training import TrainConfig
from trackcli.errors import ConfigError


def total_steps(config: TrainConfig) -> int:
    """Steps of the whole run: ``steps`` if given, else the epochs' pairs over the batch."""
    return config.steps or math.ceil(config.epochs * config.pairs_per_epoch / config.batch)


def rate_at(step: int, config: TrainConfig) -> float:
    """Learning rate at a step (from 0): a linear warm-up, then cosine or exponential decay to the final rate."""
    total = total_steps(config)
    warmup = round(config.warmup * total)
    if step < warmup:
        return config.warmup_rate + (config.learning_rate - config.warmup_rate) * step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
    if config.schedule == "cosine":
        return config.final_rate + (config.learning_rate - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2
    floor = max(config.final_rate, 1e-3 * config.learning_rate)
    return float(config.learning_rate * (floor / config.learning_rate) ** progress)


@dataclass(frozen=True)
class Unfreezing:
    """Which backbone stages are trained from which step on."""

    steps: dict[str, int]

    @classmethod
    def of(cls, model: TrackerModel, config: TrainConfig) -> Unfreezing:
        """Turn shares of the schedule into steps; a stage named takes all deeper ones with it.

        Raises:
            ConfigError: for a stage that the backbone does not have.
        """
        stages = model.backbone.stages()
        for name in config.unfreeze:
            if name not in stages:
                raise ConfigError(f"train.unfreeze.{name} names no stage of the backbone; {did_you_mean(name, stages)}")
        total, steps = total_steps(config), {}
        earliest = math.inf
        for name in stages:
            earliest = min(earliest, config.unfreeze.get(name, math.inf))
            if earliest < math.inf:
                steps[name] = round(earliest * total)
        return cls(steps)

    def apply(self, model: TrackerModel, step: int) -> None:
        """Let exactly the stages learn whose time has come; frozen ones keep their batch statistics too."""
        for parameter in model.backbone.parameters():
            parameter.requires_grad_(False)
        model.backbone.eval()
        for name, stage in model.backbone.stages().items():
            if name in self.steps and step >= self.steps[name]:
                stage.requires_grad_(True)
                stage.train()


def make_optimizer(model: TrackerModel, losses: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """One optimiser over backbone (slower by ``backbone_factor``) and all else; biases and norms do not decay."""
    groups = [
        *_groups(model.backbone.named_parameters(), config, factor=config.backbone_factor),
        *_groups(
            (
                *(
                    (name, parameter)
                    for name, parameter in model.named_parameters()
                    if not name.startswith("backbone.")
                ),
                *losses.named_parameters(),
            ),
            config,
            factor=1.0,
        ),
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's rate to ``rate`` times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def _groups(
    parameters: Iterable[tuple[str, nn.Parameter]], config: TrainConfig, *, factor: float
) -> list[dict[str, object]]:
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for _, parameter in parameters:
        (decayed if parameter.ndim > 1 else plain).append(parameter)
    return [
        {"params": decayed, "weight_decay": config.weight_decay, "factor": factor},
        {"params": plain, "weight_decay": 0.0, "factor": factor},
    ]
