"""A training run: its data, its engine, and what it leaves in its folder."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trackcli_cache.batches_memory import RecycledMemory

from trackcli.composition.files import save_tracker
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.training import TrainConfig
from trackcli.contracts.training import Batch
from trackcli.host.registry import Registry
from trackcli.signals import signals_held, signals_noted
from trackcli.tracking.tracker import RUN_TRACKER
from trackcli.training.best import BEST_TRACKER, best_step
from trackcli.training.checkpoint import load_latest, remove_leftovers, save_checkpoint
from trackcli.training.distributed import ALONE, World
from trackcli.training.engine import Engine, StepResult
from trackcli.training.loader import HostBatch, PairLoader, finish_on_device
from trackcli.training.nonfinite import NonfiniteSteps
from trackcli.training.report import METRICS_FILE, Clock, MetricsFile, StepReport
from trackcli.training.schedule import Timeline, total_steps
from trackcli.training.snapshot import Snapshot, take_snapshot
from trackcli.training.spread import split_rows


@dataclass
class TrainingRun:
    """One run in its folder.

    Attributes:
        plan: The composition.
        loader: Where batches come from: this process's share of each.
        folder: The run folder. Only the first process writes there.
        device: Where it trains.
        registry: For the versions that the tracker file records.
        note: Told what is worth a line.
        provenance: Facts for the tracker file.
        world: The processes that train together.
    """

    plan: Plan
    loader: PairLoader
    folder: Path
    device: torch.device
    registry: Registry
    note: Callable[[str], None]
    provenance: dict[str, Any] = field(default_factory=dict)
    world: World = ALONE

    def __post_init__(self) -> None:
        self.config: TrainConfig = self.plan.recipe.train
        self.total = total_steps(self.config)
        self.timeline = Timeline.of(self.config)
        self.engine = Engine(self.plan, self.device, self.world)
        self.metrics = MetricsFile(self.folder / METRICS_FILE)
        self.step = 0
        self.last_batch: Batch | None = None
        self._memory = RecycledMemory(np.float32)
        self._nonfinite = NonfiniteSteps(self.plan, self.folder, self.world, self._say)
        self._between_steps = True

    @property
    def model(self) -> TrackerModel:
        """The network that learns."""
        return self.engine.model

    def best_model(self) -> TrackerModel:
        """The averaged weights if the run averages, else the current ones."""
        return self.engine.saved_model()

    def start_from(self, fresh: frozenset[str]) -> None:
        """Weights were loaded from elsewhere: let the average start from them, and what has none learn at once.

        Args:
            fresh: Names of the model's parameters that got no weights; those of the backbone escape its freezing.
        """
        self.engine.set_fresh(frozenset(name for name in fresh if name.startswith("backbone.")))
        if self.engine.average is not None:
            self.engine.average.restart(self.model)

    def check_phases(self) -> None:
        """Refuse phases that weigh what the losses do not have, before anything is done.

        Raises:
            ConfigError: saying what does not fit.
        """
        if any(phase.losses for phase in self.config.phases):
            self.engine.check_phases(self._finished(next(iter(self.loader.batches(0, 1)))))

    def resume(self) -> bool:
        """Go on from the newest readable checkpoint; False if there is none."""
        state, complaints = self.world.from_first(self._read_checkpoint() if self.world.is_first else None)
        for complaint in complaints:
            self.note(complaint)
        if state is None:
            return False
        self.engine.load_state(state)
        self.step = int(state["step"])
        for name, value in state["data"].items():
            if value != self._data_settings()[name]:
                self.note(
                    f"train.{name} was {value} and is now {self._data_settings()[name]}: "
                    "from here on the run sees other pairs than it would have"
                )
        if self.world.is_first:
            self.metrics.cut_after(self.step)
        return True

    def steps(self) -> Generator[StepReport, None, None]:
        """Train from the current step to the end, a report per step; checkpoints on the way and at every exit.

        Ctrl-C, SIGTERM and SIGHUP wait for the step in progress, so that what is saved is what an uninterrupted run had
        there; with several processes all stop after the same step. Should a step fail, its half-done update is not
        saved and the last checkpoint stands.
        """
        clock = Clock()
        checkpoint_every = self.timeline.steps_in(self.config.checkpoint_every)
        asked_to_stop = False
        # Of several processes none may stop alone: what came is told to all in the next step.
        with signals_noted() if self.world.is_shared else nullcontext(list[int]()) as came:
            try:
                for batches in self._batches(clock):
                    with signals_held():
                        self._between_steps = False
                        result = self._learn(batches, stop=bool(came))
                        self.step += 1
                        self._between_steps = True
                    if self.step % checkpoint_every == 0:
                        self.checkpoint()
                    yield self._report(result, *clock.lap(self.config.batch))
                    if asked_to_stop := result.stop:
                        break
            finally:
                if self._between_steps:
                    self.checkpoint()
        if asked_to_stop:
            signal.raise_signal(came[0] if came else signal.SIGTERM)

    def checkpoint(self) -> None:
        """Write a checkpoint, and the tracker as it stands.

        Ctrl-C, SIGTERM and SIGHUP wait: torch takes an exception between two of its writes for a broken file.
        """
        if not self.world.is_first:
            return
        with signals_held():
            state = {**self.engine.state(), "data": self._data_settings()}
            best = best_step(self.folder / BEST_TRACKER)
            save_checkpoint(self.folder, self.step, state, keep=self.config.keep, best=best)
            self.save_tracker(RUN_TRACKER)

    def save_tracker(self, name: str, **facts: Any) -> None:
        """Write the tracker as it stands into the folder.

        Args:
            name: Name of the file.
            facts: For its provenance, beside the run's.
        """
        course = {"steps": self.step, "pairs": self.step * self.config.batch}
        everything = {**self.provenance, **course, **facts}
        save_tracker(self.folder / name, self.best_model(), self.plan, everything)

    def snapshot(self, count: int = 4) -> Snapshot | None:
        """Pictures of the last step's first pairs and what the network makes of them now; None before a first step."""
        return take_snapshot(self.model, self.last_batch, count=count) if self.last_batch is not None else None

    def _batches(self, clock: Clock) -> Iterator[list[Batch]]:
        """The steps' batches, divided for accumulation. On a CPU the threads finish them, on a GPU this one does."""
        if self.device.type == "cpu":
            return clock.waiting_for(self.loader.map(self._finished, self.step, self.total))
        return map(self._finished, clock.waiting_for(self.loader.batches(self.step, self.total)))

    def _learn(self, batches: list[Batch], *, stop: bool = False) -> StepResult:
        self.last_batch = batches[0]
        result = self.engine.learn(batches, self.step, stop=stop)
        self._nonfinite.see(result, self.step + 1, batches, self.engine)
        return result

    def _finished(self, host: HostBatch) -> list[Batch]:
        config, parts = self.plan.sampler_config, split_rows(host, self.config.accumulate)
        return [finish_on_device(part, self.device, config, self._memory) for part in parts]

    def _say(self, text: str) -> None:
        """Through whatever ``note`` is by then: it may be set after the run was made."""
        self.note(text)

    def _report(self, result: StepResult, pairs_per_second: float, waiting: float) -> StepReport:
        return StepReport(
            step=self.step,
            total=self.total,
            terms=result.terms,
            rate=result.rate,
            pairs_per_second=pairs_per_second,
            waiting=waiting,
            epoch=self.step / self.timeline.steps_per_epoch,
            rates=result.rates,
            gradient_norm=result.gradient_norm,
            nonfinite=result.nonfinite,
        )

    def _read_checkpoint(self) -> tuple[dict[str, Any] | None, list[str]]:
        remove_leftovers(self.folder)
        return load_latest(self.folder)

    def _data_settings(self) -> dict[str, int]:
        """What decides, beside the data, which pairs a step sees."""
        return {"batch": self.config.batch, "seed": self.config.seed}
