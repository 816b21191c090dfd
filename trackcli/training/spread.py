"""A step spread over processes and parts: splitting its batch, and counting over the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from trackcli.config.training import TrainConfig
from trackcli.contracts.counting import Counting
from trackcli.errors import ConfigError, ShapeError
from trackcli.training.distributed import World

T = TypeVar("T")


def check_batch(config: TrainConfig, world: World) -> None:
    """Refuse a batch that processes and parts cannot share evenly: means over equal shares are exact.

    Raises:
        ConfigError: naming the nearest batches that fit.
    """
    shares = world.size * config.accumulate
    if config.batch % shares:
        below = config.batch // shares * shares
        fitting = [str(batch) for batch in (below, below + shares) if batch > 0]
        raise ConfigError(
            f"train.batch = {config.batch} cannot be shared evenly by {world.size} processes in {config.accumulate} "
            f"parts each; use --batch {' or '.join(fitting)}"
        )


def split_rows(batch: T, parts: int) -> list[T]:
    """Cut a dataclass of tensors, nested or not, into equal runs of rows."""
    assert is_dataclass(batch) and not isinstance(batch, type)
    columns = {entry.name: _split(getattr(batch, entry.name), parts) for entry in fields(batch)}
    return [replace(batch, **{name: column[part] for name, column in columns.items()}) for part in range(parts)]


def _split(value: Any, parts: int) -> Sequence[Any]:
    if isinstance(value, Tensor):
        if len(value) % parts:
            raise ShapeError(f"{len(value)} rows cannot be cut into {parts} equal parts")
        return value.chunk(parts)
    if is_dataclass(value) and not isinstance(value, type):
        return split_rows(value, parts)
    return [value] * parts


class StepCounting(Counting):
    """Counts over all processes and parts of one step.

    What is counted may depend on what the network predicts, so a part's counts are known only after its forward pass.
    All parts but the first one to learn are therefore passed through the network once before, without gradients,
    between :meth:`ahead` and :meth:`begin`. With a single part there is nothing to do ahead.

    Args:
        world: The processes.
        parts: In how many parts each makes its rows.
    """

    def __init__(self, world: World, parts: int) -> None:
        self._world = world
        self._parts = parts
        self._sums: list[Tensor] = []
        self._totals: list[Tensor] = []
        self._call = 0
        self._phase = "first"

    def ahead(self) -> None:
        """The pass that follows is for counting only."""
        self._phase, self._call = "ahead", 0

    def begin(self, part: int) -> None:
        """The pass that follows learns from a part; part 0, which was not counted ahead, comes first."""
        self._phase, self._call = ("first" if part == 0 else "later"), 0

    def divisor(self, count: Tensor, *, least: float = 1.0) -> Tensor:
        """The count of the whole step over the number of shares: gradients are averaged over these."""
        own = count.detach().float()
        call, self._call = self._call, self._call + 1
        if self._phase == "ahead":
            self._note(self._sums, call, own)
            return own.clamp(min=least)
        if self._phase == "first":
            counted = self._sums[call] if call < len(self._sums) else torch.zeros_like(own)
            self._totals.append(self._world.sum(own + counted))
        if call >= len(self._totals):
            raise ShapeError("a loss asked batch.counting more often for one part of a batch than for another; "
                             "ask equally often whatever the batch holds")  # fmt: skip
        return self._totals[call].clamp(min=least) / (self._parts * self._world.size)

    @staticmethod
    def _note(sums: list[Tensor], call: int, count: Tensor) -> None:
        if call < len(sums):
            sums[call] = sums[call] + count
        else:
            sums.append(count)
