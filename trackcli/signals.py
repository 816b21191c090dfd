"""Finishing what must not be cut in half when Ctrl-C, SIGTERM or SIGHUP arrives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a command in an orderly way: Ctrl-C, ``kill``, and a terminal or connection that is closed."""


def leave_signals_to_parent() -> None:
    """In a worker: Ctrl-C and a closed terminal reach the whole group of processes, and the parent acts on them."""
    for number in ENDING:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)


def ensure_tracker_of_resources() -> None:
    """Start multiprocessing's own process deaf to a closed terminal, as it is to the other signals.

    Else it dies first, and is missed with tracebacks by the processes that it serves.
    """
    from multiprocessing import resource_tracker

    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is ignored stays so in a new process
    try:
        resource_tracker.ensure_running()
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL if before is None else before)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold the signals of ``ENDING`` back for the length of a short block, then let them act.

    Python raises KeyboardInterrupt as soon as a call into C returns, and with it would go what that call returned:
    for an encoder, packets that the rest of the video leans on. Outside the main thread, which alone receives
    signals, this does nothing.
    """
    came: list[int] = []
    try:
        with signals_noted() as came:
            yield
    finally:
        for number in came[:1]:
            signal.raise_signal(number)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Note the signals of ``ENDING`` instead of acting on them; outside the main thread there are none to note.

    Yields:
        The numbers of those that came so far.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    # What is ignored stays so: nohup has SIGHUP ignored.
    noted = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, remember) for number in noted}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
