"""Comparing two boxes: overlap and the distance between centres, row by row. One definition each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trackcli.errors import ShapeError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def iou_xywh(boxes_a_xywh: Floats, boxes_b_xywh: Floats, *, bounded: bool = True) -> Floats:
    """Intersection over union of boxes, row by row; continuous coordinates, so no pixel is added to any side.

    Args:
        boxes_a_xywh: ``(T, 4)`` x, y, w, h.
        boxes_b_xywh: ``(T, 4)``, the same unit.
        bounded: Keep the intersection within both boxes to the last bit. Other toolkits do not, and an overlap that
            lies on a threshold may then fall on its other side.

    Returns:
        ``(T,)`` in 0..1; 0 where either box holds a NaN or an infinity, or has no area.

    Raises:
        ShapeError: if the shapes differ or are not ``(T, 4)``.
    """
    check_shapes(boxes_a_xywh, boxes_b_xywh)
    usable = is_box_xywh(boxes_a_xywh) & is_box_xywh(boxes_b_xywh)
    overlaps = np.zeros(len(usable))
    with np.errstate(over="ignore", invalid="ignore"):  # absurdly large boxes end as overlap 0
        overlaps[usable] = _overlaps(boxes_a_xywh[usable], boxes_b_xywh[usable], bounded)
    return overlaps


def is_box_xywh(boxes_xywh: Floats) -> Bools:
    """``(T, 4)`` → ``(T,)``: whether a row is a box at all: finite, with width and height above 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(boxes_xywh).all(axis=1) & (boxes_xywh[:, 2:] > 0).all(axis=1))


def center_errors(boxes_xywh: Floats, truth_xywh: Floats, *, measure_empty: bool = False) -> Floats:
    """Distance between the centres, row by row.

    Args:
        boxes_xywh: ``(T, 4)`` x, y, w, h in pixels.
        truth_xywh: ``(T, 4)``.
        measure_empty: Also measure boxes that are finite but without area, as other toolkits do.

    Returns:
        ``(T,)`` pixels; infinite where ``boxes_xywh`` is not a box.
    """
    return _center_distances(boxes_xywh, truth_xywh, np.ones((len(truth_xywh), 2)), measure_empty)


def normalised_center_errors(boxes_xywh: Floats, truth_xywh: Floats, *, measure_empty: bool = False) -> Floats:
    """Distance between the centres with x divided by the true width and y by the true height, row by row.

    Args:
        boxes_xywh: ``(T, 4)`` x, y, w, h in pixels.
        truth_xywh: ``(T, 4)`` boxes with an area.
        measure_empty: As for :func:`center_errors`.

    Returns:
        ``(T,)`` without unit; infinite where ``boxes_xywh`` is not a box.

    Source: Müller et al. 2018 (TrackingNet), section 3.3.
    """
    return _center_distances(boxes_xywh, truth_xywh, truth_xywh[:, 2:], measure_empty)


def centers(boxes_xywh: Floats) -> Floats:
    """``(T, 4)`` → ``(T, 2)`` x, y of the centres."""
    return np.asarray(boxes_xywh[:, :2] + boxes_xywh[:, 2:] / 2)


def move_into_image(boxes_xywh: Floats, size_wh: tuple[int, int]) -> Floats:
    """Boxes as GOT-10k compares them: the corner is moved into the image, then the size cut at the far border.

    A box that reaches over the left border is moved, not cut: its width stays. Rows with NaN stay NaN.

    Args:
        boxes_xywh: ``(T, 4)`` x, y, w, h in pixels.
        size_wh: Width and height of the image.
    """
    image = np.asarray(size_wh, dtype=np.float64)
    corners = np.clip(boxes_xywh[:, :2], 0, image)
    return np.concatenate((corners, np.clip(boxes_xywh[:, 2:], 0, image - corners)), axis=1)


def check_shapes(boxes_a_xywh: Floats, boxes_b_xywh: Floats) -> None:
    """Refuse arrays that are not both ``(T, 4)``.

    Raises:
        ShapeError: naming both shapes.
    """
    if boxes_a_xywh.shape != boxes_b_xywh.shape or boxes_a_xywh.shape[1:] != (4,):
        raise ShapeError(
            f"boxes of shapes {boxes_a_xywh.shape} and {boxes_b_xywh.shape} cannot be compared; expected twice (T, 4)"
        )


def _overlaps(a_xywh: Floats, b_xywh: Floats, bounded: bool) -> Floats:
    top_left = np.maximum(a_xywh[:, :2], b_xywh[:, :2])
    bottom_right = np.minimum(a_xywh[:, :2] + a_xywh[:, 2:], b_xywh[:, :2] + b_xywh[:, 2:])
    # (x + w) - x may exceed w in the last bit: without this bound a box could overlap itself by more than 1.
    most = np.minimum(a_xywh[:, 2:], b_xywh[:, 2:]) if bounded else np.inf
    intersection = np.clip(bottom_right - top_left, 0, most).prod(axis=1)
    union = a_xywh[:, 2:].prod(axis=1) + b_xywh[:, 2:].prod(axis=1) - intersection
    overlaps: Floats = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return np.minimum(overlaps, 1)


def _center_distances(boxes_xywh: Floats, truth_xywh: Floats, units_wh: Floats, measure_empty: bool) -> Floats:
    check_shapes(boxes_xywh, truth_xywh)
    usable: Bools = np.asarray(np.isfinite(boxes_xywh).all(axis=1)) if measure_empty else is_box_xywh(boxes_xywh)
    offsets = centers(boxes_xywh[usable]) - centers(truth_xywh[usable])
    distances = np.full(len(usable), np.inf)
    with np.errstate(over="ignore"):
        distances[usable] = np.hypot(*(offsets / units_wh[usable]).T)
    return distances
