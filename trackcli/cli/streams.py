"""Printing to streams that may be closed, full, or read by nobody any more."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import TextIO


def say(text: str, stream: TextIO | None) -> bool:
    """Print a line at once, and pass over a stream that takes none: the work goes on, and the exit code still tells.

    Args:
        text: What to print.
        stream: Where to; ``None`` is what Python makes of a stream that was closed (``2>&-``), and ``print`` would
            take it for stdout.

    Returns:
        Whether the line is out.
    """
    if stream is None:
        return False
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError):
        silence(stream)
        return False
    return True


def reader_is_gone(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    if stream is None or not hasattr(select, "poll"):  # Windows tells only when something is written
        return stream is not None
    poller = select.poll()
    try:
        poller.register(stream.fileno(), 0)  # errors are told without being asked for
    except (OSError, ValueError):
        return False
    return bool(poller.poll(0))


def silence(stream: TextIO) -> None:
    """Let what Python flushes at its end go nowhere instead of into an error."""
    with suppress(OSError, ValueError):  # a stream without a descriptor has nothing to flush into
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
