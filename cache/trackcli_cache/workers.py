"""The builder's side of its worker processes: hands out shards, gathers results, notices a death."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from trackcli_cache.division import ShardTask
from trackcli_cache.errors import CacheError
from trackcli_cache.shard import shard_name
from trackcli_cache.shard_job import BuildPlan, ShardResult
from trackcli_cache.worker import Advance, Failure

TASKS_AHEAD = 2
"""Shards that a worker has at most, so that it never waits for the builder to read annotations."""

# Ctrl-C, and a terminal that is closed, reach the whole group, while modules load too: the builder ends its workers.
_START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "hasattr(signal, 'SIGHUP') and signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    "sys.path[:] = {path!r}; from trackcli_cache.worker import main; main({parent})"
)
_QUIET = {"OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}


class Workers:
    """Processes that build shards.

    Args:
        plan: What all shards have in common.
        count: How many processes.
    """

    def __init__(self, plan: BuildPlan, count: int) -> None:
        self._inbox: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._workers.append(_Worker(self._inbox))
            for worker in self._workers:
                worker.send(plan)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._workers:
            worker.kill()

    def run(self, tasks: Iterator[ShardTask], on_images: Callable[[int], None]) -> Iterator[ShardResult]:
        """Build shards, in whatever order they get finished.

        Args:
            tasks: What to build; taken only as fast as workers need it.
            on_images: Called with how many more images were encoded.

        Raises:
            CacheError: if a worker died, or a shard cannot be written.
        """
        more = True
        while True:
            while more and (worker := self._idle()) is not None:
                task = next(tasks, None)
                if task is None:
                    more = False
                else:
                    worker.assign(task)
            if not more and not any(worker.shards for worker in self._workers):
                return
            worker, message = self._next_message()
            if isinstance(message, Advance):
                on_images(message.images)
            elif isinstance(message, ShardResult):
                worker.shards.remove(message.entry.name)
                yield message
            else:
                raise _failed(message) if isinstance(message, Failure) else worker.death()

    def _idle(self) -> _Worker | None:
        worker = min(self._workers, key=lambda worker: len(worker.shards))
        return worker if len(worker.shards) < TASKS_AHEAD else None

    def _next_message(self) -> tuple[_Worker, Any]:
        while True:
            try:
                return self._inbox.get(timeout=1)  # Windows delivers Ctrl-C only between waits
            except queue.Empty:
                continue


class _Worker:
    """One process, and the names of the shards that it works on."""

    def __init__(self, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        self.shards: list[str] = []
        command = [sys.executable, "-c", _START.format(path=sys.path, parent=os.getpid())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | _QUIET, bufsize=-1
        )
        threading.Thread(target=self._receive, args=(inbox,), daemon=True).start()

    def assign(self, task: ShardTask) -> None:
        self.shards.append(shard_name(task.number))
        self.send(task)

    def send(self, content: BuildPlan | ShardTask) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(content, self._process.stdin)
            self._process.stdin.flush()
        except OSError:
            raise self.death() from None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was still to be flushed has nowhere to go
                pass

    def death(self) -> CacheError:
        """What to tell the person after the process ended on its own."""
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        memory = " (out of memory?)" if code == -getattr(signal, "SIGKILL", 9) else ""
        busy = f" while it built {self.shards[0]}" if self.shards else ""
        return CacheError(
            f"worker process {self._process.pid} {how}{memory}{busy}; finished shards are kept: run the same command "
            "again to continue, with fewer --jobs if memory is short"
        )

    def _receive(self, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                message = pickle.load(self._process.stdout)
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                inbox.put((self, None))
                return
            inbox.put((self, message))


def _failed(failure: Failure) -> Exception:
    return CacheError(failure.message) if failure.expected else RuntimeError(f"a worker failed\n{failure.message}")
