"""One pass of one tracker over one sequence: started with the first true box, and never helped again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.errors import CacheError

from trackcli.errors import TrackcliError
from trackcli.evaluation.datasets import EvaluationSequence
from trackcli.evaluation.results import Trajectory
from trackcli.tracking.timing import StageTimer
from trackcli.video.images import read_image

DECODE_STAGE = "decode"
GIVEN_SCORE = 1.0

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]


class Tracked(Protocol):
    """One answer of a tracker: ``boxes_xyxy`` ``(B, 4)`` image pixels and ``scores`` ``(B,)``, arrays or tensors."""

    @property
    def boxes_xyxy(self) -> Any:
        """``(B, 4)`` image pixels."""

    @property
    def scores(self) -> Any:
        """``(B,)`` confidence."""


class Tracker(Protocol):
    """What can be evaluated.

    A ``timer`` attribute (:class:`StageTimer`), where there is one, is reported. ``deterministic = False`` says that a
    second run may answer otherwise.
    """

    @property
    def name(self) -> str:
        """Its name in tables and result folders."""

    def start(self, image: Image, boxes_xywh: Floats, /) -> None:
        """Begin with ``(H, W, 3)`` RGB uint8 and ``(B, 4)`` boxes in pixels."""

    def update(self, image: Image, /) -> Tracked:
        """Find the targets in the next frame, ``(H, W, 3)`` RGB uint8."""


class TrackerFailedError(TrackcliError):
    """A tracker raised something unforeseen; the message names the sequence (exit code 1)."""


class AnswerNotFiniteError(TrackerFailedError):
    """A tracker answered NaN or infinity; the message names sequence and frame (exit code 1)."""


def run_tracker(tracker: Tracker, sequence: EvaluationSequence, *, timer: StageTimer | None = None) -> Trajectory:
    """Track one sequence once, from its first true box.

    Args:
        tracker: Started anew.
        sequence: What to track.
        timer: Gets the time for reading images as stage ``decode``; this is not part of the trajectory's seconds.

    Returns:
        One row per frame. Row 0 is the true box with score 1, and its time is that of ``start``.

    Raises:
        InputDataError: if an image cannot be read.
        TrackerFailedError: if the tracker fails.
    """
    timer = timer or StageTimer()
    frames = len(sequence)
    boxes, scores, seconds = np.empty((frames, 4)), np.empty(frames), np.empty(frames)
    with naming(sequence.name):
        for index, path in enumerate(sequence.image_paths):
            with timer.stage(DECODE_STAGE):
                image = read_image(path)
            began = time.perf_counter()
            if index == 0:
                tracker.start(image, sequence.boxes_xywh[:1].copy())
                boxes[0], scores[0] = sequence.boxes_xywh[0], GIVEN_SCORE
            else:
                boxes[index], scores[index] = _read_out(tracker.update(image))
            seconds[index] = time.perf_counter() - began
            check_answer(boxes[index], sequence.name, index)
    return Trajectory(boxes, scores, seconds)


def check_answer(box_xywh: Floats, sequence: str, frame: int) -> None:
    """Refuse a box that is not finite: no result file may hold it, and toolkits disagree about what it counts.

    Raises:
        AnswerNotFiniteError: naming the sequence and the frame, from 0.
    """
    if not np.isfinite(box_xywh).all():
        given = ",".join(f"{value:g}" for value in box_xywh)
        raise AnswerNotFiniteError(
            f"the tracker answered {given} on sequence {sequence}, frame {frame}; expected x,y,w,h in numbers (an "
            "empty box, where it finds nothing); leave the sequence out with --sequences"
        )


@contextmanager
def naming(sequence: str) -> Iterator[None]:
    """Make every error of the block say which sequence it is about.

    Raises:
        TrackcliError: what was raised, with the name where it lacks it.
        TrackerFailedError: in place of anything unforeseen.
    """
    try:
        yield
    except (TrackcliError, CacheError) as error:
        if sequence in str(error):
            raise
        raise type(error)(f"sequence {sequence}: {error}") from error
    except Exception as error:
        raise TrackerFailedError(
            f"the tracker failed on sequence {sequence}: {type(error).__name__}: {error}; "
            "run again with --debug for the traceback, or leave it out with --sequences"
        ) from error


def corners_to_xywh(boxes_xyxy: Floats) -> Floats:
    """``(…, 4)`` corners to top-left corner and size."""
    with np.errstate(invalid="ignore"):  # infinite corners: whoever asked is told about the box
        return np.concatenate((boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]), axis=-1)


def _read_out(tracked: Tracked) -> tuple[Floats, float]:
    """The first target's box as ``(4,)`` xywh and its score, from whatever device they are on."""
    return corners_to_xywh(_to_floats(tracked.boxes_xyxy)[0]), float(_to_floats(tracked.scores)[0])


def _to_floats(values: Any) -> Floats:
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values, dtype=np.float64)
