"""Many sequences in one batched step: each row of the batch follows one target through its own video.

Sequences end at different times. A row whose sequence has ended begins the next one; when none is left the batch gets
smaller. Images are read ahead by threads while the device works.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.methods import Task
from trackcli.evaluation.one_pass import DECODE_STAGE, GIVEN_SCORE, Image, check_answer, corners_to_xywh, naming
from trackcli.evaluation.results import Trajectory
from trackcli.tracking.inputs import xyxy_from_xywh
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import Tracker
from trackcli.video.images import read_image

_MAX_READERS = 8


class Batched:
    """Runs through a tracker's session, ``rows`` sequences at a time.

    A frame's time is its share of the step: the step's time divided by the rows in it.

    Args:
        tracker: A composed tracker.
        rows: How many sequences at once.
    """

    def __init__(self, tracker: Tracker, rows: int) -> None:
        self._session = tracker.session
        self._rows = rows
        self.timer: StageTimer = tracker.timer

    def run(self, sequences: Sequence[EvaluationSequence], tasks: Sequence[Task]) -> Iterator[tuple[Task, Trajectory]]:
        """Do the tasks and yield each as it is finished, shorter ones sooner."""
        if not tasks:
            return
        waiting = iter(tasks)
        with ThreadPoolExecutor(min(self._rows, os.cpu_count() or 1, _MAX_READERS)) as readers:

            def begin(task: Task) -> _Row:
                return _Row(task, sequences[task.index], readers)

            rows = [begin(task) for task in islice(waiting, self._rows)]
            self._start(rows, range(len(rows)), fresh=True)
            while rows:
                finished = [index for index, row in enumerate(rows) if row.is_finished]
                if not finished:
                    self._step(rows)
                    continue
                for index in finished:
                    yield rows[index].task, rows[index].trajectory()
                following = list(zip(finished, waiting, strict=False))
                for index, task in following:
                    rows[index] = begin(task)
                if following:
                    self._start(rows, [index for index, _ in following])
                ended = set(finished[len(following) :])
                if ended:
                    kept = [index for index in range(len(rows)) if index not in ended]
                    rows = [rows[index] for index in kept]
                    self._session.keep(kept)

    def _start(self, rows: Sequence[_Row], indices: Sequence[int], *, fresh: bool = False) -> None:
        images = [self._next_image(rows[index]) for index in indices]
        boxes_xywh = np.stack([rows[index].sequence.boxes_xywh[0] for index in indices])
        boxes_xyxy = xyxy_from_xywh(boxes_xywh)
        began = time.perf_counter()
        with naming(", ".join(rows[index].sequence.name for index in indices)):
            if fresh:
                self._session.start(images, range(len(images)), boxes_xyxy)
            else:
                self._session.restart(indices, images, range(len(images)), boxes_xyxy)
        share = (time.perf_counter() - began) / len(images)
        for index, box in zip(indices, boxes_xywh, strict=True):
            rows[index].note(box, GIVEN_SCORE, share)

    def _step(self, rows: Sequence[_Row]) -> None:
        images = [self._next_image(row) for row in rows]
        began = time.perf_counter()
        with naming(", ".join(row.sequence.name for row in rows)):
            readout = self._session.update(images, range(len(images)))
        share = (time.perf_counter() - began) / len(images)
        for row, box_xyxy, score in zip(rows, readout.boxes_xyxy, readout.scores, strict=True):
            row.note(corners_to_xywh(box_xyxy), float(score), share)

    def _next_image(self, row: _Row) -> Image:
        with self.timer.stage(DECODE_STAGE):  # what the threads could not hide
            return row.take_image()


class _Row:
    """Where one row of the batch is in its sequence."""

    def __init__(self, task: Task, sequence: EvaluationSequence, readers: ThreadPoolExecutor) -> None:
        self.task = task
        self.sequence = sequence
        self._readers = readers
        frames = len(sequence)
        self._boxes, self._scores, self._seconds = np.empty((frames, 4)), np.empty(frames), np.empty(frames)
        self._done = 0
        self._image = self._read_ahead(0)

    @property
    def is_finished(self) -> bool:
        return self._done == len(self.sequence)

    def take_image(self) -> Image:
        """The next frame's image; the one after it is read meanwhile."""
        with naming(self.sequence.name):
            image = self._image.result()
        if self._done + 1 < len(self.sequence):
            self._image = self._read_ahead(self._done + 1)
        return image

    def note(self, box_xywh: np.ndarray[tuple[int], np.dtype[np.float64]], score: float, seconds: float) -> None:
        """Remember the answer for the frame.

        Raises:
            AnswerNotFiniteError: if the box is not finite.
        """
        check_answer(box_xywh, self.sequence.name, self._done)
        self._boxes[self._done], self._scores[self._done], self._seconds[self._done] = box_xywh, score, seconds
        self._done += 1

    def trajectory(self) -> Trajectory:
        return Trajectory(self._boxes, self._scores, self._seconds)

    def _read_ahead(self, index: int) -> Future[Image]:
        return self._readers.submit(read_image, self.sequence.image_paths[index])
