"""How many runs get done: one after the other, in several processes, or many sequences in one batched step."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import astuple, dataclass
from multiprocessing import active_children, get_context
from typing import Protocol, runtime_checkable

from trackcli.errors import TrackcliError
from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.one_pass import Tracker, run_tracker
from trackcli.evaluation.results import Trajectory
from trackcli.signals import ensure_tracker_of_resources, leave_signals_to_parent
from trackcli.tracking.timing import StageTimer

_AHEAD_PER_JOB = 2
_SECONDS_TO_END = 10


@dataclass(frozen=True)
class Task:
    """One run.

    Attributes:
        index: Which sequence.
        repetition: Which of its repetitions, from 0.
    """

    index: int
    repetition: int = 0


@runtime_checkable
class Method(Protocol):
    """Gets runs done, in any order."""

    @property
    def timer(self) -> StageTimer:
        """Where the stages' times are, once all is done."""

    def run(self, sequences: Sequence[EvaluationSequence], tasks: Sequence[Task]) -> Iterator[tuple[Task, Trajectory]]:
        """Do the tasks and yield each as it is finished.

        Raises:
            InputDataError: if an image cannot be read.
            TrackcliError: if a run fails; the message names the sequence.
        """


class OneByOne:
    """One tracker, one run after the other."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.timer: StageTimer = getattr(tracker, "timer", None) or StageTimer()

    def run(self, sequences: Sequence[EvaluationSequence], tasks: Sequence[Task]) -> Iterator[tuple[Task, Trajectory]]:
        """Do the tasks in their order."""
        for task in tasks:
            yield task, run_tracker(self._tracker, sequences[task.index], timer=self.timer)


class Processes:
    """Several processes, each with a tracker of its own and one thread: as many jobs, the same results.

    Args:
        make_tracker: Makes the tracker in a process; must be picklable.
        jobs: How many processes.
    """

    def __init__(self, make_tracker: Callable[[], Tracker], jobs: int) -> None:
        self._make_tracker = make_tracker
        self._jobs = jobs
        self._timers: dict[int, StageTimer] = {}

    @property
    def timer(self) -> StageTimer:
        """The times of all processes together."""
        total = StageTimer()
        for timer in self._timers.values():
            total.merge(timer)
        return total

    def run(self, sequences: Sequence[EvaluationSequence], tasks: Sequence[Task]) -> Iterator[tuple[Task, Trajectory]]:
        """Do the tasks as processes become free; if one fails, the others stop, and what was finished is kept."""
        if not tasks:
            return
        others = set(active_children())
        ensure_tracker_of_resources()
        workers = min(self._jobs, len(tasks))
        with ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_begin_worker, initargs=(self._make_tracker,)
        ) as pool:
            try:
                yield from self._collect(pool, sequences, tasks)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                workers_left = set(active_children()) - others
                for process in workers_left:
                    process.terminate()
                for process in workers_left:
                    process.join(_SECONDS_TO_END)
                    if process.is_alive():  # still importing, on a busy machine, and deaf
                        process.kill()
                        process.join()
                raise

    def _collect(
        self, pool: ProcessPoolExecutor, sequences: Sequence[EvaluationSequence], tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Trajectory]]:
        waiting = iter(tasks)
        running: dict[Future[_Finished], Task] = {}
        for task in waiting:  # few at a time: sequences are read when their turn comes
            running[pool.submit(_track_in_worker, sequences[task.index])] = task
            while len(running) >= self._jobs * _AHEAD_PER_JOB:
                yield from self._take(running)
        while running:
            yield from self._take(running)

    def _take(self, running: dict[Future[_Finished], Task]) -> Iterator[tuple[Task, Trajectory]]:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        # What is finished is kept, whatever else fails meanwhile; of several failures the first one is told.
        for future in sorted(done, key=lambda each: (_has_failed(each), astuple(running[each]))):
            task = running.pop(future)
            try:
                finished = future.result()
            except BrokenProcessPool as error:
                raise TrackcliError(
                    f"a process of --jobs {self._jobs} ended unexpectedly (out of memory, perhaps); "
                    "expected it to go on; run again with fewer jobs, finished sequences are kept"
                ) from error
            self._timers[finished.process] = finished.timer
            yield task, finished.trajectory


def _has_failed(future: Future[_Finished]) -> bool:
    return future.exception() is not None


def use_one_thread() -> None:
    """Make torch and OpenCV compute with one thread, so that results do not depend on how many there are."""
    import cv2

    cv2.setNumThreads(1)
    if "torch" in sys.modules:  # not every tracker needs it, and importing it takes seconds
        import torch

        torch.set_num_threads(1)


@dataclass(frozen=True)
class _Finished:
    trajectory: Trajectory
    process: int
    timer: StageTimer
    """All its times so far."""


_worker: list[OneByOne] = []  # a worker process has one tracker; this is how the pool hands it from call to call


def _begin_worker(make_tracker: Callable[[], Tracker]) -> None:
    leave_signals_to_parent()
    _worker[:] = [OneByOne(make_tracker())]
    use_one_thread()


def _track_in_worker(sequence: EvaluationSequence) -> _Finished:
    method = _worker[0]
    ((_, trajectory),) = method.run([sequence], [Task(0)])
    return _Finished(trajectory, os.getpid(), method.timer)
