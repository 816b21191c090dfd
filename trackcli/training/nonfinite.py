"""Steps whose loss or gradient is not finite: said, saved for a replay, and after too many in a row the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor

from trackcli.composition.plan import Plan
from trackcli.composition.record import recipe_data
from trackcli.config.training import TrainConfig
from trackcli.contracts.training import Batch
from trackcli.errors import InputDataError
from trackcli.training.checkpoint import write_state
from trackcli.training.distributed import World
from trackcli.training.engine import Engine, StepResult

FORMAT_VERSION = 1
PATTERN = "nonfinite-*.pt"


class NonfiniteSteps:
    """Watches for steps that were left out.

    Args:
        plan: The composition.
        folder: The run folder.
        world: The processes that train together.
        note: Told about each such step.
    """

    def __init__(self, plan: Plan, folder: Path, world: World, note: Callable[[str], None]) -> None:
        self._plan = plan
        self._config: TrainConfig = plan.recipe.train
        self._folder = folder
        self._world = world
        self._note = note
        self._in_a_row = 0

    def see(self, result: StepResult, step: int, batches: Sequence[Batch], engine: Engine) -> None:
        """Take note of a step.

        Args:
            result: What it did.
            step: Steps done, this one included.
            batches: This process's pairs, in parts.
            engine: Whose weights are those before the step, as it was left out.

        Raises:
            InputDataError: after ``train.max_nonfinite`` in a row: the run will not recover by itself.
        """
        if not result.nonfinite:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        guilty = self._guilty(result, batches)
        names = ", ".join(result.nonfinite)
        ids = [int(sample) for sample in guilty.sample_ids]
        saved = self._save(result, step, guilty, engine)
        self._note(
            f"step {step}: {names} is not finite (samples {ids[0]}–{ids[-1]}); the step was skipped"
            + (f"; saved in {saved.name}" if saved else "")
        )
        if self._in_a_row >= self._config.max_nonfinite:
            raise InputDataError(
                f"{self._in_a_row} steps in a row were not finite ({names}); lower train.learning_rate, check the "
                f"data, or look into {self._folder / PATTERN}"
            )

    def _guilty(self, result: StepResult, batches: Sequence[Batch]) -> Batch:
        """The first part whose terms are not finite, of the first process that has one; the same in all processes."""
        bad = [not all(map(math.isfinite, terms.values())) for terms in result.own_terms]
        own = batches[bad.index(True)] if any(bad) else None
        for rank in range(self._world.size):
            found: Batch | None = self._world.from_rank(rank, own if own is None else own.to("cpu"))
            if found is not None:
                return found
        return batches[0]  # a gradient's fault: any part shows it, or none alone

    def _save(self, result: StepResult, step: int, batch: Batch, engine: Engine) -> Path | None:
        """Write all that it takes to make the step again, unless enough were written before."""
        path = self._folder / f"nonfinite-{step:08d}.pt"
        if len(set(self._folder.glob(PATTERN)) - {path}) >= self._config.keep_nonfinite:
            return None
        if self._world.is_first:
            write_state(path, nonfinite_state(self._plan, result.terms, step, batch, engine))
        return path


def nonfinite_state(plan: Plan, terms: dict[str, float], step: int, batch: Batch, engine: Engine) -> dict[str, Any]:
    """Tensors and plain data that :func:`~trackcli.training.replay.replay` takes."""
    return {
        "format": FORMAT_VERSION,
        "step": step,
        "terms": terms,
        "recipe": recipe_data(plan),
        "batch": {
            entry.name: value.cpu()
            for entry in fields(batch)
            if isinstance(value := getattr(batch, entry.name), Tensor)
        },
        "model": engine.model.state_dict(),
        "losses": engine.losses.state_dict(),
        "fresh": sorted(engine.fresh),
    }
