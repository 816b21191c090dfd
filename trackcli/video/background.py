"""Frames read in a thread of their own, so that a source that says nothing can be waited for, and left."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

from trackcli.errors import InputDataError

Item = TypeVar("Item")

QUEUE_LENGTH = 8
LEAVING_S = 1.0
"""How long closing waits for the thread; FFmpeg may sit in a call until its own time-out, and nobody needs it."""


class Background(Generic[Item]):
    """Items of an iterator that runs in a daemon thread.

    Ctrl-C, SIGTERM and SIGHUP act at once, because the main thread never waits inside FFmpeg or OpenCV.

    Args:
        items: Runs in the thread; what it raises is raised by iterating. Closed in the thread.
        patience_s: How many seconds to wait for an item.
        silence: The message for when that was in vain.
        drop_oldest: What to do if items come faster than they are taken: drop the oldest (live sources, which do not
            wait), or let the iterator wait.
    """

    def __init__(self, items: Iterator[Item], *, patience_s: float, silence: str, drop_oldest: bool = False) -> None:
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(QUEUE_LENGTH)
        self._items = items
        self.patience_s = patience_s
        self._silence = silence
        self.drop_oldest = drop_oldest
        self.dropped = 0
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trackcli-source", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """Items as they come.

        Raises:
            InputDataError: if nothing comes for ``patience_s``.
        """
        while True:
            item, error = self._next()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Tell the thread to end, and give it a moment."""
        self._left.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(LEAVING_S)

    def _next(self) -> tuple[Item | None, BaseException | None]:
        end = time.monotonic() + self.patience_s
        while (left := end - time.monotonic()) > 0:
            try:
                # In slices: not every platform lets a signal interrupt a lock with a long time-out.
                return self._queue.get(timeout=min(left, 0.2))
            except queue.Empty:
                continue
        raise InputDataError(self._silence)

    def _run(self) -> None:
        ending: tuple[Item | None, BaseException | None] = (None, None)
        try:
            for item in self._items:
                self._put((item, None), may_drop=self.drop_oldest)
                if self._left.is_set():
                    break
        except BaseException as error:  # raised again in the thread that iterates
            ending = (None, error)
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            self._put(ending, may_drop=False)

    def _put(self, entry: tuple[Item | None, BaseException | None], *, may_drop: bool) -> None:
        while not self._left.is_set():
            try:
                self._queue.put(entry, timeout=0 if may_drop else 0.2)
                return
            except queue.Full:
                if may_drop:
                    self._drop_one()

    def _drop_one(self) -> None:
        try:
            self._queue.get_nowait()
            self.dropped += 1
        except queue.Empty:  # taken in between
            pass
