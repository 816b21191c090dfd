"""A training run: composes, trains, checkpoints and saves a tracker."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.files import save_tracker
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.training import TrainConfig
from trackcli.errors import InputDataError
from trackcli.host.registry import Registry
from trackcli.signals import signals_held
from trackcli.tracking.tracker import RUN_TRACKER
from trackcli.training.checkpoint import load_latest, save_checkpoint
from trackcli.training.loader import HostBatch, PairLoader, finish_on_device
from trackcli.training.schedule import Unfreezing, make_optimizer, rate_at, set_rate, total_steps

METRICS_FILE = "metrics.jsonl"
VALIDATION_PREFIX = "validation."
MAX_BAD_STEPS = 20
"""After this many non-finite losses in a row the run stops: it will not recover by itself."""


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        step: Steps done, this one included.
        total: Steps of the whole run.
        terms: Weighted loss terms by name.
        rate: Learning rate.
        pairs_per_second: Since the last report.
        waiting: Share of the time spent waiting for data, since the last report.
    """

    step: int
    total: int
    terms: dict[str, float]
    rate: float
    pairs_per_second: float
    waiting: float


@dataclass
class TrainingRun:
    """One run in its folder.

    Attributes:
        plan: The composition.
        loader: Where batches come from.
        folder: The run folder.
        device: Where it trains.
        registry: For the versions that the tracker file records.
        provenance: Facts for the tracker file.
        note: Told what is worth a line.
    """

    plan: Plan
    loader: PairLoader
    folder: Path
    device: torch.device
    registry: Registry
    note: Callable[[str], None]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config: TrainConfig = self.plan.recipe.train
        self.total = total_steps(self.config)
        torch.manual_seed(self.config.seed)
        self.model = build_model(self.plan).to(self.device)
        if self.config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.losses = build_losses(self.plan).to(self.device)
        self.optimizer = make_optimizer(self.model, self.losses, self.config)
        self.unfreezing = Unfreezing.of(self.model, self.config)
        self.averaged = _averaged(self.model) if self.config.ema else None
        self.step = 0
        self._between_steps = True

    def reset_average(self) -> None:
        """Let the average start from the current weights (after weights were loaded from elsewhere)."""
        if self.averaged is not None:
            self.averaged.load_state_dict(self.model.state_dict())

    def resume(self) -> bool:
        """Go on from the newest readable checkpoint; False if there is none."""
        state, complaints = load_latest(self.folder)
        for complaint in complaints:
            self.note(complaint)
        if state is None:
            return False
        self.step = int(state["step"])
        self.model.load_state_dict(state["model"])
        self.losses.load_state_dict(state["losses"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        return True

    def steps(self) -> Generator[StepReport, None, None]:
        """Train from the current step to the end, a report per step; checkpoints on the way and at every exit.

        Ctrl-C and SIGTERM wait for the step in progress, so that what is saved is what an uninterrupted run had there.
        Should a step fail, its half-done update is not saved and the last checkpoint stands.
        """
        clock = _Clock()
        bad = 0
        try:
            for host in clock.waiting_for(self.loader.batches(self.step, self.total)):
                rate = rate_at(self.step, self.config)
                set_rate(self.optimizer, rate)
                with signals_held():
                    self._between_steps = False
                    terms = self._learn(host)
                    self.step += 1
                    self._between_steps = True
                if all(math.isfinite(value) for value in terms.values()):
                    bad = 0
                else:
                    bad += 1
                    self._explain_bad_step(terms, host, bad)
                if self.step % self.config.checkpoint_every == 0:
                    self.checkpoint()
                yield StepReport(self.step, self.total, terms, rate, *clock.lap(self.config.batch))
        finally:
            if self._between_steps:
                self.checkpoint()

    def checkpoint(self) -> None:
        """Write a checkpoint, and the tracker as it stands.

        Ctrl-C and SIGTERM wait: torch takes an exception between two of its writes for a broken file.
        """
        with signals_held():
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "losses": self.losses.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
        }
        save_checkpoint(self.folder, self.step, state, keep=self.config.keep)
        facts = {**self.provenance, "steps": self.step, "pairs": self.step * self.config.batch}
        save_tracker(self.folder / RUN_TRACKER, self.best_model(), self.plan, self.registry, facts)

    def best_model(self) -> TrackerModel:
        """The averaged weights if the run averages, else the current ones."""
        return self.averaged if self.averaged is not None else self.model

    def _learn(self, host: HostBatch) -> dict[str, float]:
        self.model.train()
        self.unfreezing.apply(self.model, self.step)
        batch = finish_on_device(host, self.device, self.plan.recipe.sampler)
        with _autocast(self.config, self.device):
            outputs = self.model(batch, with_candidates=self.losses.needs_candidates)
        terms: dict[str, Tensor] = self.losses(outputs, batch)
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        if bool(torch.isfinite(loss)):
            loss.backward()  # type: ignore[no-untyped-call]  # torch annotates it only in part
            if self.config.clip:
                nn.utils.clip_grad_norm_([*self.model.parameters(), *self.losses.parameters()], self.config.clip)
            self.optimizer.step()
            if self.averaged is not None:
                _average_into(self.averaged, self.model, self.config.ema, self.step)
        return {name: float(value.detach()) for name, value in terms.items()}

    def _explain_bad_step(self, terms: dict[str, float], host: HostBatch, bad: int) -> None:
        names = ", ".join(name for name, value in terms.items() if not math.isfinite(value))
        samples = host.batch.sample_ids
        self.note(
            f"step {self.step}: {names} is not finite (samples {int(samples[0])}–{int(samples[-1])}); "
            "the step was skipped"
        )
        if bad >= MAX_BAD_STEPS:
            raise InputDataError(
                f"{bad} steps in a row had a non-finite loss ({names}); lower train.learning_rate or check the data"
            )


class MetricsFile:
    """``metrics.jsonl``: one line per logged step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, report: StepReport) -> None:
        """Append one report."""
        speed = {"pairs_per_second": report.pairs_per_second, "waiting": report.waiting}
        self._append({"step": report.step, "rate": report.rate, **speed, **report.terms})

    def write_validation(self, step: int, figures: dict[str, float]) -> None:
        """Append the figures of a validation."""
        self._append({"step": step, **{f"{VALIDATION_PREFIX}{name}": value for name, value in figures.items()}})

    def _append(self, line: dict[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class _Clock:
    """Tells how much of the time went into waiting for data."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._waited = 0.0

    def waiting_for(self, batches: Iterator[HostBatch]) -> Iterator[HostBatch]:
        while True:
            began = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += time.perf_counter() - began
            yield batch

    def lap(self, pairs: int) -> tuple[float, float]:
        """Pairs per second and share of waiting since the last lap."""
        now = time.perf_counter()
        elapsed, waited = max(now - self._began, 1e-9), self._waited
        self._began, self._waited = now, 0.0
        return pairs / elapsed, waited / elapsed


def _autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[None]:
    if config.precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _averaged(model: TrackerModel) -> TrackerModel:
    average = copy.deepcopy(model).eval()
    return average.requires_grad_(False)


@torch.no_grad()
def _average_into(average: TrackerModel, model: TrackerModel, decay: float, step: int) -> None:
    """Exponential moving average; it follows fast at first, so that the start is forgotten."""
    keep = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - keep)
        else:
            mean.copy_(value)
