"""Finishing what must not be cut in half when Ctrl-C or SIGTERM arrives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for the length of a short block, then let them act.

    Python raises KeyboardInterrupt as soon as a call into C returns, and with it would go what that call returned:
    for an encoder, packets that the rest of the video leans on. Outside the main thread, which alone receives
    signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for caught_number in caught[:1]:
            signal.raise_signal(caught_number)
