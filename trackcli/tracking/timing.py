"""The one timer: milliseconds per stage, whoever asks (``track --json``, ``eval``, ``bench``)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimer:
    """Adds up wall-clock time per named stage.

    Example:
        >>> timer = StageTimer()
        >>> with timer.stage("decode"):
        ...     frame = next(frames)
        >>> timer.milliseconds()["decode"]
        1.7
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._calls: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block and add it to stage ``name``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began)

    def add(self, name: str, seconds: float) -> None:
        """Add one measured interval in seconds to stage ``name``."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self._calls[name] = self._calls.get(name, 0) + 1

    def seconds(self, name: str) -> float:
        """Seconds spent in stage ``name`` so far; 0 if it never ran."""
        return self._seconds.get(name, 0.0)

    def merge(self, other: StageTimer) -> None:
        """Add what another timer measured, such as one of another process."""
        for name, seconds in other._seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
            self._calls[name] = self._calls.get(name, 0) + other._calls[name]

    def milliseconds(self) -> dict[str, float]:
        """Mean milliseconds per call of each stage, in the order in which the stages first ran."""
        return {name: 1000.0 * total / self._calls[name] for name, total in self._seconds.items()}
