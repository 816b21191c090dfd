"""What a person or program hands to a tracker, checked before it is used: frames and boxes. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackcli.errors import InputDataError, ShapeError

Image = NDArray[np.uint8]
"""``(H, W, 3)`` uint8, RGB."""

SMALLEST_SIDE, LARGEST_COORDINATE = 0.01, 1e6
"""Limits of boxes in pixels: in float32, what lies beyond is no box any more."""


def check_frame(frame: object) -> None:
    """Make sure that a frame is an image.

    Raises:
        InputDataError: if it is no array ``(H, W, 3)`` of uint8.
    """
    if not isinstance(frame, np.ndarray):
        raise InputDataError(
            f"frame is a {type(frame).__name__}; expected a NumPy array (H, W, 3) of uint8 in RGB order, "
            "such as np.asarray(image) or tensor.numpy()"
        )
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise InputDataError(
            f"frame has shape {frame.shape} and type {frame.dtype}; expected (H, W, 3) uint8 in RGB order"
        )


def read_boxes(boxes_xywh: ArrayLike) -> NDArray[np.float64]:
    """Boxes as a caller gives them, ``(4,)`` or ``(B, 4)``, as ``(B, 4)`` float64.

    Raises:
        InputDataError: if they are no numbers.
        ShapeError: if they have another shape.
    """
    try:
        boxes = np.atleast_2d(np.asarray(boxes_xywh, dtype=np.float64))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputDataError(
            f"boxes_xywh cannot be read as numbers ({error}); expected (4,) or (B, 4): x, y, w, h in pixels"
        ) from error
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"boxes_xywh has shape {boxes.shape}; expected (4,) or (B, 4)")
    return boxes


def check_boxes(boxes_xyxy: NDArray[np.float64], frames: Sequence[Image]) -> None:
    """Make sure that every box can be followed from its frame on.

    Args:
        boxes_xyxy: ``(B, 4)`` image pixels.
        frames: B frames.

    Raises:
        InputDataError: if there is none, or one is not finite, without area, beyond float32's reach, or outside its
            frame.
        ShapeError: if their numbers differ.
    """
    if len(boxes_xyxy) == 0:
        raise InputDataError("no boxes were given; expected at least one target")
    if boxes_xyxy.shape != (len(frames), 4):
        raise ShapeError(f"boxes_xyxy has shape {boxes_xyxy.shape}; expected ({len(frames)}, 4)")
    for box_xyxy, frame in zip(boxes_xyxy, frames, strict=True):
        _check_box(box_xyxy, frame)


def xyxy_from_xywh(boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(B, 4)`` corners from top-left corners and sizes."""
    return np.concatenate((boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]), axis=1)


def _check_box(box_xyxy: NDArray[np.float64], frame: Image) -> None:
    height, width = frame.shape[:2]
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    if not np.isfinite(box_xyxy).all():
        raise InputDataError(f"box {box_xyxy.tolist()} is not finite; expected x0,y0,x1,y1 in pixels")
    if x1 <= x0 or y1 <= y0:
        raise InputDataError(f"box {box_xyxy.tolist()} has no area; expected x1 > x0 and y1 > y0")
    if min(x1 - x0, y1 - y0) < SMALLEST_SIDE or np.abs(box_xyxy).max() > LARGEST_COORDINATE:
        raise InputDataError(
            f"box {box_xyxy.tolist()} is nothing to follow; expected sides of at least {SMALLEST_SIDE:g} pixels and "
            f"coordinates up to {LARGEST_COORDINATE:g}"
        )
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise InputDataError(
            f"box {box_xyxy.tolist()} lies outside the {width}x{height} frame; expected one that overlaps it"
        )
