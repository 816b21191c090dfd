"""A worker process of a build: takes shards from its standard input, reports on its standard output.

It is a plain child process, not a fork: it inherits no lock, no thread and no open file of the builder's. It dies with
its parent: the system kills it where Linux can be asked to, and everywhere the end of its input tells it.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO, NamedTuple

import cv2

from trackcli_cache.division import ShardTask
from trackcli_cache.errors import CacheError
from trackcli_cache.frames import FrameReader
from trackcli_cache.shard_job import BuildPlan, ShardResult, finish_shard

REPORT_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


class Advance(NamedTuple):
    """So many more images are encoded."""

    images: int


class Failure(NamedTuple):
    """The build cannot go on.

    Attributes:
        message: For the person, or a traceback.
        expected: An error of a kind that people are told in one line.
    """

    message: str
    expected: bool


Message = ShardResult | Advance | Failure


def main(parent: int) -> None:
    """Run until the input ends.

    Args:
        parent: Process id of the builder.
    """
    _die_with(parent)
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the messages
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, inbox), daemon=True).start()
    cv2.setNumThreads(1)  # there is a process per core already
    plan: BuildPlan = inbox.get()
    frames = FrameReader()
    while True:
        task: ShardTask = inbox.get()
        _send(outgoing, _work(plan, task, frames, outgoing))


def _work(plan: BuildPlan, task: ShardTask, frames: FrameReader, outgoing: BinaryIO) -> Message:
    counter = _Counter(outgoing)
    try:
        result = finish_shard(plan, task, frames, counter.count)
        counter.report()
    except CacheError as error:
        return Failure(str(error), expected=True)
    except Exception:
        return Failure(traceback.format_exc(), expected=False)
    return result


class _Counter:
    """Reports images in handfuls, so that thousands a second cost the builder nothing."""

    def __init__(self, outgoing: BinaryIO) -> None:
        self._outgoing = outgoing
        self._images = 0
        self._last = time.monotonic()

    def count(self) -> None:
        self._images += 1
        if time.monotonic() - self._last >= REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        if self._images:
            _send(self._outgoing, Advance(self._images))
        self._images, self._last = 0, time.monotonic()


def _send(outgoing: BinaryIO, message: Message) -> None:
    try:
        pickle.dump(message, outgoing)
        outgoing.flush()
    except OSError:  # the builder is gone
        os._exit(1)


def _receive(incoming: BinaryIO, inbox: queue.SimpleQueue[Any]) -> None:
    """The pipe comes from the builder that started this process: what it carries may be unpickled."""
    while True:
        try:
            inbox.put(pickle.load(incoming))
        except (EOFError, pickle.UnpicklingError, OSError):
            os._exit(0)


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when the builder dies, in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.name == "posix" and os.getppid() != parent:  # it died before it could be asked
        os._exit(1)
