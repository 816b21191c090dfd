"""Following targets through a source of frames: the loop that every command and program shares."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trackcli.errors import InputDataError, ShapeError, TrackcliError
from trackcli.tracking.inputs import xyxy_from_xywh
from trackcli.tracking.timing import StageTimer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trackcli.video.frames import Frame


class Measured(Protocol):
    """Where a tracker sees its targets in one frame."""

    @property
    def boxes_xyxy(self) -> NDArray[np.float64]:
        """``(B, 4)``, image pixels, half-open."""
        ...

    @property
    def scores(self) -> NDArray[np.float64]:
        """``(B,)`` confidence, 0..1."""
        ...


class FollowsTargets(Protocol):
    """What the loop needs of a tracker; :func:`trackcli.load` returns one, and anything alike will do."""

    def start(self, image_rgb: NDArray[np.uint8], boxes_xywh: NDArray[np.float64], /) -> None:
        """Learn the targets in ``boxes_xywh`` ``(B, 4)`` from an ``(H, W, 3)`` image."""
        ...

    def update(self, image_rgb: NDArray[np.uint8], /) -> Measured:
        """Find the targets in the next image ``(H', W', 3)``."""
        ...


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame of a source and where the targets are in it.

    Attributes:
        index: The frame's number in its source.
        time_s: Seconds since the source's frame 0.
        image: ``(H, W, 3)`` uint8, RGB; ``None`` if the frame could not be read.
        boxes_xyxy: ``(B, 4)`` float64, image pixels, half-open.
        scores: ``(B,)`` float64, 0..1. 1 where the box was given; 0 where the frame could not be read and the last
            box is held, because nothing was measured there.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8] | None
    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def boxes_xywh(self) -> NDArray[np.float64]:
        """``(B, 4)`` x, y, w, h in image pixels, top-left, 0-based."""
        boxes_xywh = self.boxes_xyxy.copy()
        boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
        return boxes_xywh


def track_source(
    source: Iterable[Frame],
    tracker: FollowsTargets,
    boxes_xywh: NDArray[np.float64],
    *,
    strict: bool = False,
    timer: StageTimer | None = None,
) -> Iterator[TrackedFrame]:
    """Follow targets through a source, frame by frame.

    The tracker starts on the first frame that can be read, with the boxes given. A frame that cannot be read keeps
    its number; its boxes are the last ones.

    Args:
        source: Frames in order, see :func:`trackcli.video.sources.open_source`.
        tracker: Follows the targets.
        boxes_xywh: ``(B, 4)`` x, y, w, h in the first frame, pixels, top-left, 0-based.
        strict: Stop with an error at the first frame that cannot be read.
        timer: Gets the time of stage ``decode`` (reading a frame); what the tracker does is on its own timer.

    Yields:
        One result per frame of the source.

    Raises:
        ShapeError: if ``boxes_xywh`` is not ``(B, 4)``, or the tracker returns another number of targets.
        InputDataError: with ``strict``, at a frame that cannot be read.
        TrackcliError: if the tracker answers NaN or infinity.
    """
    if np.ndim(boxes_xywh) != 2 or np.shape(boxes_xywh)[1] != 4:
        raise ShapeError(f"boxes_xywh has shape {np.shape(boxes_xywh)}; expected (B, 4)")
    boxes_xyxy = xyxy_from_xywh(np.array(boxes_xywh, dtype=np.float64))
    timer = timer or StageTimer()
    started = False
    for frame in _timed(source, timer):
        if frame.image is None:
            if strict:
                raise InputDataError(
                    f"frame {frame.index} is unreadable and --strict stops there; without --strict the last box is held"
                )
            scores = np.zeros(len(boxes_xyxy))
        elif started:
            boxes_xyxy, scores = _measure(tracker, frame, len(boxes_xyxy))
        else:
            tracker.start(frame.image, np.array(boxes_xywh, dtype=np.float64))
            scores = np.ones(len(boxes_xyxy))
            started = True
        yield TrackedFrame(frame.index, frame.time_s, frame.image, boxes_xyxy, scores)


def _measure(tracker: FollowsTargets, frame: Frame, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert frame.image is not None
    measured = tracker.update(frame.image)
    # Copies: a tracker may reuse its arrays, and results outlive the next frame.
    boxes_xyxy = np.array(measured.boxes_xyxy, dtype=np.float64)
    scores = np.array(measured.scores, dtype=np.float64)
    if boxes_xyxy.shape != (count, 4) or scores.shape != (count,):
        raise ShapeError(
            f"the tracker returned boxes {boxes_xyxy.shape} and scores {scores.shape}; "
            f"expected ({count}, 4) and ({count},)"
        )
    for box_xyxy in boxes_xyxy:
        if not np.isfinite(box_xyxy).all():
            given = ",".join(f"{value:g}" for value in box_xyxy)
            raise TrackcliError(
                f"the tracker answered {given} in frame {frame.index}; expected x0,y0,x1,y1 in numbers; its weights or "
                "a plugin in it are damaged: try another with --tracker"
            )
    return boxes_xyxy, scores


def _timed(source: Iterable[Frame], timer: StageTimer) -> Iterator[Frame]:
    frames = iter(source)
    while True:
        began = time.perf_counter()
        frame = next(frames, None)
        if frame is None:
            return
        timer.add("decode", time.perf_counter() - began)
        yield frame
