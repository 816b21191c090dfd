"""What a run would take, found out with at most four pairs: parameters, operations, memory, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trackcli.composition.plan import Plan
from trackcli.config.training import TrainConfig
from trackcli.training.engine import Engine
from trackcli.training.initial import InitialWeights
from trackcli.training.schedule import total_steps
from trackcli.training.snapshot import as_in_tracking
from trackcli.training.sources import DataSource
from trackcli.training.trial import Trial, set_up_trial, with_train

MOST_PAIRS = 4
MOMENTS = 20
"""At how many moments of the run is looked who learns."""


@dataclass(frozen=True)
class PartSize:
    """A component's parameters.

    Attributes:
        part: ``backbone``, ``matcher``, ``head``, ``loss rpn``, …
        name: The component.
        parameters: Learnt values.
        at_start: Those that learn in the first step.
        at_most: Those that learn at some moment of the run.
    """

    part: str
    name: str
    parameters: int
    at_start: int
    at_most: int


@dataclass(frozen=True)
class DryRun:
    """What was found.

    Attributes:
        parts: Parameters per component.
        records: Crops per cache.
        steps: Of the whole run.
        batch: Pairs per step.
        pairs: How many were tried.
        terms: Weighted loss terms of those pairs.
        flops_forward: Floating-point operations per pair, forward (a multiply-add is two).
        flops: The same, forward and backward, while most parts learn.
        memory_bytes: Expected peak of what tensors take in training: weights, gradients, optimiser, average and the
            activations of one process's pairs; without code, libraries and the loader.
        seconds_per_pair: Forward and backward here, of these few pairs at once, while most parts learn.
        hours: The whole run at that rate.
    """

    parts: tuple[PartSize, ...]
    records: dict[str, int]
    steps: int
    batch: int
    pairs: int
    terms: dict[str, float]
    flops_forward: float
    flops: float
    memory_bytes: int
    seconds_per_pair: float
    hours: float

    def as_data(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a person."""
        title = f"{'':24} {'parameters':>12} {'learn at first':>15} {'at most':>12}"
        rows = [
            f"{f'{part.part} {part.name}':24} {part.parameters:>12,} {part.at_start:>15,} {part.at_most:>12,}"
            for part in (*self.parts, _total(self.parts))
        ]
        terms = "  ".join(f"{name} {value:.3f}" for name, value in self.terms.items())
        return [
            *(f"data: {path}: {count:,} crops" for path, count in self.records.items()),
            title,
            *rows,
            f"operations per pair: {self.flops_forward / 1e9:.2f} GFLOP forward, {self.flops / 1e9:.2f} GFLOP with the "
            "gradients",
            f"memory for tensors: about {self.memory_bytes / 2**30:.2f} GiB",
            f"time: about {_duration(self.hours)} for {self.steps:,} steps of {self.batch} pairs "
            f"({1 / self.seconds_per_pair:.1f} pairs/s here and now)",
            f"tried with {self.pairs} pairs: {terms}",
        ]


def dry_run(
    planned: Plan,
    *,
    data: Sequence[DataSource],
    device: str,
    initial: InitialWeights,
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> DryRun:
    """Compose, read at most four pairs, take a step on them. Nothing is written.

    Raises:
        CacheFormatError: for a cache that cannot be used.
        ConfigError: for settings that do not fit together.
        InputDataError: for weights that cannot be used, or data without usable objects.
    """
    config: TrainConfig = planned.recipe.train
    pairs = min(MOST_PAIRS, config.batch)
    trial = set_up_trial(
        with_train(planned, **_small(config, pairs)), data=data, device=device, initial=initial, note=note, warn=warn
    )
    engine, batch = trial.engine, trial.batch
    learning, busiest = _who_learns(engine, total_steps(config))
    with as_in_tracking(engine.model), torch.no_grad(), FlopCounterMode(display=False) as forward:
        engine.model(batch, with_candidates=engine.losses.needs_candidates)
    engine.apply(busiest)
    kept = _KeptForBackward(engine)
    with FlopCounterMode(display=False) as everything, kept:
        first = engine.learn([batch], busiest)
    seconds = _timed_step(engine, trial, busiest)
    share = max(1, config.batch // config.accumulate)
    return DryRun(
        parts=tuple(_part_sizes(trial, learning)),
        records=trial.records,
        steps=total_steps(config),
        batch=config.batch,
        pairs=pairs,
        terms=first.terms,
        flops_forward=forward.get_total_flops() / pairs,
        flops=everything.get_total_flops() / pairs,
        memory_bytes=_standing_bytes(engine, learning) + kept.bytes * share // pairs,
        seconds_per_pair=seconds / pairs,
        hours=seconds / pairs * config.batch * total_steps(config) / 3600,
    )


def _small(config: TrainConfig, pairs: int) -> dict[str, Any]:
    """The same course in as many steps, with few pairs in each; nothing is compiled for so little."""
    epoch = max(1, round(config.pairs_per_epoch * pairs / config.batch))
    settings = {"batch": pairs, "pairs_per_epoch": epoch, "steps": total_steps(config)}
    return {**settings, "accumulate": 1, "compile": False, "sync_batch_norm": False, "workers": 0}


def _who_learns(engine: Engine, total: int) -> tuple[dict[str, frozenset[str]], int]:
    """Names of what learns at first and at some moment, and the step at which most does."""
    moments = sorted({round(index * (total - 1) / MOMENTS) for index in range(MOMENTS + 1)})
    names = {step: engine.apply(step).names for step in moments}
    sizes = {name: value.numel() for name, value in engine.parts.parameters.items()}
    busiest = max(moments, key=lambda step: sum(sizes[name] for name in names[step]))
    return {"first": names[0], "ever": frozenset().union(*names.values())}, busiest


def _part_sizes(trial: Trial, learning: dict[str, frozenset[str]]) -> Iterator[PartSize]:
    recipe, parameters = trial.plan.recipe, trial.engine.parts.parameters
    named = {"backbone": recipe.backbone.name, "matcher": recipe.matcher.name, "head": recipe.head.name}
    below = {part: [name for name in parameters if name.startswith(f"{part}.")] for part in named}
    rest = [name for name in parameters if name.partition(".")[0] not in named]
    for name in rest:
        below.setdefault(".".join(name.split(".")[:2]), []).append(name)
    for part, members in below.items():
        sizes = {name: parameters[name].numel() for name in members}
        yield PartSize(
            part=part if part in named else part.partition(".")[0],
            name=named.get(part, part.partition(".")[2]),
            parameters=sum(sizes.values()),
            at_start=sum(size for name, size in sizes.items() if name in learning["first"]),
            at_most=sum(size for name, size in sizes.items() if name in learning["ever"]),
        )


def _total(parts: Sequence[PartSize]) -> PartSize:
    return PartSize(
        part="all",
        name="",
        parameters=sum(part.parameters for part in parts),
        at_start=sum(part.at_start for part in parts),
        at_most=sum(part.at_most for part in parts),
    )


class _KeptForBackward:
    """Counts the bytes that a forward pass keeps for its gradients, each piece of memory once."""

    def __init__(self, engine: Engine) -> None:
        modules: tuple[nn.Module, ...] = (engine.model, engine.losses)
        tensors = [each for module in modules for each in (*module.parameters(), *module.buffers())]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._see, lambda tensor: tensor)
        self.bytes = 0

    def _see(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor

    def __enter__(self) -> None:
        self._hooks.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)


def _standing_bytes(engine: Engine, learning: dict[str, frozenset[str]]) -> int:
    """Weights, the average's, gradients, and what the optimiser keeps of each value that learns."""
    config = engine.config
    weights: int = sum(
        value.nbytes for value in (*engine.model.state_dict().values(), *engine.losses.state_dict().values())
    )
    learns: int = sum(engine.parts.parameters[name].nbytes for name in learning["ever"])
    states = {"sgd": 1 if config.momentum else 0, "adam": 2, "adamw": 2}[config.optimizer]
    return weights * (2 if config.ema else 1) + learns * (1 + states)


def _timed_step(engine: Engine, trial: Trial, step: int) -> float:
    """Seconds of one more step: the first one paid for what is set up once."""
    _wait_for(engine.device)
    began = time.perf_counter()
    engine.learn([trial.batch], step)
    _wait_for(engine.device)
    return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
