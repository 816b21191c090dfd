"""Which parameters learn when: frozen backbone stages, phases, and how their optimiser groups follow the rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trackcli.composition.build import WeightedLosses
from trackcli.composition.model import TrackerModel
from trackcli.config.suggestions import did_you_mean
from trackcli.config.training import PhaseConfig, TrainConfig
from trackcli.errors import ConfigError
from trackcli.training.parts import Parts
from trackcli.training.schedule import Timeline

BACKBONE = "backbone."


@dataclass(frozen=True)
class Learning:
    """What learns at one step.

    Attributes:
        names: The parameters that learn.
        rate: Factor on the learning rate.
        losses: Loss or term → factor on its weight.
    """

    names: frozenset[str]
    rate: float = 1.0
    losses: Mapping[str, float] = field(default_factory=dict)

    def loss_factor(self, term: str) -> float:
        """The factor on ``loss.term``: the term's own times its loss's."""
        return self.losses.get(term, 1.0) * self.losses.get(term.partition(".")[0], 1.0)


class LearningPlan:
    """Turns ``train.unfreeze`` and ``train.phases`` into the parameters that learn at each step.

    A backbone's parameter learns when its stage's time has come, when a phase names it, or, always, when it started
    without weights: layers that know nothing are no use frozen. All else learns unless a phase leaves it out.

    Args:
        parts: The parameters by name.
        model: Whose backbone has the stages.
        config: The settings.
        fresh: Parameters of the backbone that started without weights.

    Raises:
        ConfigError: for parts, stages or losses that are not there.
    """

    def __init__(
        self, parts: Parts, model: TrackerModel, config: TrainConfig, *, terms: WeightedLosses, fresh: frozenset[str]
    ) -> None:
        self._parts = parts
        self._fresh = fresh
        self._freeze_batch_norm = config.freeze_batch_norm
        timeline = Timeline.of(config)
        self._stage_steps = _stage_steps(model, config, timeline)
        self._phases = [(timeline.step_at(phase.until), _Phase.of(phase, parts, terms)) for phase in config.phases]
        for start in self._changes():
            if not self.at(start).names and start < timeline.total:
                raise ConfigError(f"nothing learns from step {start} on; name parts in train.phases or train.unfreeze")

    def at(self, step: int) -> Learning:
        """What learns at a step."""
        phase = next((phase for end, phase in self._phases if step < end), _EVERYTHING)
        thawed = self._fresh | {
            name
            for stage, start in self._stage_steps.items()
            if step >= start
            for name in self._parts.stages[f"{BACKBONE}{stage}"]
        }
        names = frozenset(
            name
            for name in self._parts.parameters
            if name not in phase.freeze
            and (not phase.train or name in phase.train)
            and (not name.startswith(BACKBONE) or name in thawed or name in phase.named_in_backbone)
        )
        return Learning(names, phase.rate, phase.losses)

    def apply(self, learning: Learning, *modules: nn.Module) -> None:
        """Let exactly these parameters learn; modules whose parameters are all frozen keep their statistics too."""
        for name, parameter in self._parts.parameters.items():
            parameter.requires_grad_(name in learning.names)
        for module in modules:
            _set_mode(module, above=True)
            if self._freeze_batch_norm:
                _freeze_statistics(module)

    def _changes(self) -> list[int]:
        return sorted({0, *self._stage_steps.values(), *(end for end, _ in self._phases)})


@dataclass(frozen=True)
class _Phase:
    """A phase with its parts looked up."""

    train: frozenset[str] = frozenset()
    freeze: frozenset[str] = frozenset()
    named_in_backbone: frozenset[str] = frozenset()
    rate: float = 1.0
    losses: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, phase: PhaseConfig, parts: Parts, losses: WeightedLosses) -> _Phase:
        for term in phase.losses:
            if term.partition(".")[0] not in losses.weights:
                raise ConfigError(
                    f"train.phases weighs {term!r}, which is no loss of this tracker; "
                    f"{did_you_mean(term, list(losses.weights))}"
                )
        train = parts.named_any(phase.train, setting="train.phases")
        return cls(
            train=train,
            freeze=parts.named_any(phase.freeze, setting="train.phases"),
            named_in_backbone=frozenset(name for name in train if name.startswith(BACKBONE)),
            rate=phase.rate,
            losses=phase.losses,
        )


_EVERYTHING = _Phase()


def _stage_steps(model: TrackerModel, config: TrainConfig, timeline: Timeline) -> dict[str, int]:
    """The step from which a backbone stage learns; a stage named takes all deeper ones with it."""
    stages = model.backbone.stages()
    for name in config.unfreeze:
        if name not in stages:
            raise ConfigError(f"train.unfreeze.{name} names no stage of the backbone; {did_you_mean(name, stages)}")
    steps: dict[str, int] = {}
    earliest = math.inf
    for name in stages:
        if name in config.unfreeze:
            earliest = min(earliest, timeline.step_at(config.unfreeze[name]))
        if earliest < math.inf:
            steps[name] = int(earliest)
    return steps


def _set_mode(module: nn.Module, *, above: bool) -> None:
    """Training mode where something learns; what has no parameters does as the module around it."""
    parameters = list(module.parameters())
    module.training = any(parameter.requires_grad for parameter in parameters) if parameters else above
    for child in module.children():
        _set_mode(child, above=module.training)


def _freeze_statistics(module: nn.Module) -> None:
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            norm.eval()


def make_optimizer(parts: Parts, config: TrainConfig) -> torch.optim.Optimizer:
    """One optimiser over all parameters, frozen ones included, so that its state outlives every change of phase.

    A group per part (backbone, matcher, …, and those with a factor of their own), named in ``group["name"]``, with its
    factor in ``group["factor"]``; biases and norms are groups of their own, which do not decay.
    """
    factors = parts.longest(config.factors, setting="train.factors")
    owners = _owners(parts, config)
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    group_factors: dict[str, float] = {}
    for name, parameter in parts.parameters.items():
        owner = owners[name]
        group_factors[owner] = factors[name] * (config.backbone_factor if name.startswith(BACKBONE) else 1.0)
        groups.setdefault((owner, parameter.ndim > 1), []).append(parameter)
    options = [
        {
            "params": members,
            "name": owner,
            "factor": group_factors[owner],
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (owner, decays), members in groups.items()
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(options, lr=config.learning_rate, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(options, lr=config.learning_rate, betas=config.betas)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> dict[str, float]:
    """Set every group's rate to ``rate`` times its factor; the rates by group name."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return {str(group["name"]): float(group["lr"]) for group in optimizer.param_groups}


def _owners(parts: Parts, config: TrainConfig) -> dict[str, str]:
    """The group of every parameter: the smallest part with a factor that contains it, else its component."""
    owners = {name: name.partition(".")[0] for name in parts.parameters}
    members = {part: parts.named(part, setting="train.factors") for part in config.factors}
    for part in sorted(members, key=lambda part: len(members[part]), reverse=True):
        owners |= dict.fromkeys(members[part], part)
    return owners
