"""What a run tells while it goes on: a report per step, and the lines of ``metrics.jsonl``."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trackcli_cache.files import write_whole

METRICS_FILE = "metrics.jsonl"
VALIDATION_PREFIX = "validation."

T = TypeVar("T")


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        step: Steps done, this one included.
        total: Steps of the whole run.
        terms: Weighted loss terms by name, over the pairs of all processes.
        rate: Learning rate, before the factors of parameter groups.
        pairs_per_second: Of all processes, since the last report.
        waiting: Share of the time spent waiting for data, since the last report, in this process.
        epoch: Epochs done, fractions included.
        rates: Learning rate by parameter group.
        gradient_norm: Before clipping.
        nonfinite: Terms that were not finite, or ``gradient``: the step was left out. Empty for a sound step.
    """

    step: int
    total: int
    terms: dict[str, float]
    rate: float
    pairs_per_second: float
    waiting: float
    epoch: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    gradient_norm: float = 0.0
    nonfinite: tuple[str, ...] = ()


class MetricsFile:
    """``metrics.jsonl``: one line per logged step. Values that are not finite are left out: JSON has none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, report: StepReport) -> None:
        """Append one report."""
        speed = {"pairs_per_second": report.pairs_per_second, "waiting": report.waiting}
        course = {"epoch": report.epoch, "gradient_norm": report.gradient_norm}
        self._append({"step": report.step, "rate": report.rate, **course, **speed, **report.terms})

    def write_validation(self, step: int, figures: dict[str, float]) -> None:
        """Append the figures of a validation."""
        self._append({"step": step, **{f"{VALIDATION_PREFIX}{name}": value for name, value in figures.items()}})

    def cut_after(self, step: int) -> None:
        """Drop the lines of later steps, and a half-written last one: a resumed run writes them again."""
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line for line in lines if 0 <= _step_of(line) <= step]
        if kept != lines:
            write_whole(self._path, "".join(f"{line}\n" for line in kept).encode())

    def _append(self, line: dict[str, float]) -> None:
        finite = {name: value for name, value in line.items() if math.isfinite(value)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite) + "\n")


class Clock:
    """Tells how much of the time went into waiting for data."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._waited = 0.0

    def waiting_for(self, batches: Iterator[T]) -> Iterator[T]:
        """The same batches; the time that each takes to come is waiting."""
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


def _step_of(line: str) -> int:
    """-1 for a line that is none of ours."""
    try:
        data: Any = json.loads(line)
        return int(data["step"])
    except (ValueError, KeyError, TypeError):
        return -1
