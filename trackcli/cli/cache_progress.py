"""How far a build is: a bar on a terminal; elsewhere, as in a cluster's log, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trackcli_cache.build import BuildProgress

    from trackcli.cli.console import Console

LOG_SECONDS = 30.0
"""A line in a log is written no more often than this."""


@contextmanager
def show_images(
    console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[BuildProgress], None]]:
    """Give a build's ``on_progress``: images done, rate, time left.

    Args:
        console: Where it is shown.
        clock: The time in seconds.
    """
    began: list[float] = []
    last = clock()
    with console.progress() as progress:
        task = progress.add_task("reading annotations", total=None, rate="")

        def show(state: BuildProgress) -> None:
            nonlocal last
            if not began:  # reading a large dataset's annotations takes minutes that are no part of the rate
                began.extend((clock(), state.images_encoded))
            rate = (state.images_encoded - began[1]) / max(clock() - began[0], 1e-3)
            progress.update(
                task,
                description="cutting crops",
                completed=state.images,
                total=state.images_total,
                rate=f"{rate:.0f} images/s",
            )
            if progress.disable and clock() - last >= LOG_SECONDS:
                last = clock()
                console.note(log_line(state, rate))

        yield show


@contextmanager
def show_shards(console: Console, doing: str) -> Iterator[Callable[[int, int], None]]:
    """Give an ``on_shard``: how many are done, and of how many."""
    with console.progress() as progress:
        task = progress.add_task(doing, total=None, rate="")
        yield lambda done, total: progress.update(task, completed=done, total=total)


def log_line(state: BuildProgress, rate: float) -> str:
    """The state as a line of text; the rate is that of the images encoded in this run."""
    from trackcli.cli.train_progress import format_seconds

    text = f"{state.images} of {state.images_total} images, {rate:.0f} images/s"
    return f"{text}, {format_seconds((state.images_total - state.images) / rate)} left" if rate else text
