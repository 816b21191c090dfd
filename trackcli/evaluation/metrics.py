"""How well a trajectory agrees with the ground truth: overlap, success, precision. One definition each.

Frame 0 is left out everywhere (its box was given), and so are frames in which the target is absent. What other
toolkits do differently is explained in ``docs/evaluation.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackcli.errors import ShapeError

Floats = NDArray[np.float64]

# Divided, not multiplied by 0.05: then each threshold is the float nearest to its decimal, as an overlap of 3/20 is.
SUCCESS_THRESHOLDS: Floats = np.arange(21) / 20
"""0, 0.05, … 1 of overlap."""
PRECISION_THRESHOLDS: Floats = np.arange(51, dtype=np.float64)
"""0, 1, … 50 pixels."""
NORMALISED_PRECISION_THRESHOLDS: Floats = np.arange(51) / 100
"""0, 0.01, … 0.5 of the target's size."""

PRECISION_AT_PIXELS = 20
NORMALISED_PRECISION_AT = 0.2


def iou_xywh(boxes_a_xywh: Floats, boxes_b_xywh: Floats) -> Floats:
    """Intersection over union of boxes, row by row; continuous coordinates, so no pixel is added to any side.

    Args:
        boxes_a_xywh: ``(T, 4)`` x, y, w, h.
        boxes_b_xywh: ``(T, 4)``, the same unit.

    Returns:
        ``(T,)`` in 0..1; 0 where either box holds a NaN or an infinity, or has no area.

    Raises:
        ShapeError: if the shapes differ or are not ``(T, 4)``.
    """
    _check_shapes(boxes_a_xywh, boxes_b_xywh)
    usable = is_box_xywh(boxes_a_xywh) & is_box_xywh(boxes_b_xywh)
    overlaps = np.zeros(len(usable))
    with np.errstate(over="ignore", invalid="ignore"):  # absurdly large boxes end as overlap 0
        overlaps[usable] = _overlaps(boxes_a_xywh[usable], boxes_b_xywh[usable])
    return overlaps


def is_box_xywh(boxes_xywh: Floats) -> NDArray[np.bool_]:
    """``(T, 4)`` → ``(T,)``: whether a row is a box at all: finite, with width and height above 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(boxes_xywh).all(axis=1) & (boxes_xywh[:, 2:] > 0).all(axis=1))


def center_errors(boxes_xywh: Floats, truth_xywh: Floats) -> Floats:
    """Distance between the centres, row by row.

    Args:
        boxes_xywh: ``(T, 4)`` x, y, w, h in pixels.
        truth_xywh: ``(T, 4)``.

    Returns:
        ``(T,)`` pixels; infinite where ``boxes_xywh`` is not a box.
    """
    return _center_distances(boxes_xywh, truth_xywh, np.ones((len(truth_xywh), 2)))


def normalised_center_errors(boxes_xywh: Floats, truth_xywh: Floats) -> Floats:
    """Distance between the centres with x divided by the true width and y by the true height, row by row.

    Args:
        boxes_xywh: ``(T, 4)`` x, y, w, h in pixels.
        truth_xywh: ``(T, 4)`` boxes with an area.

    Returns:
        ``(T,)`` without unit; infinite where ``boxes_xywh`` is not a box.

    Source: Müller et al. 2018 (TrackingNet), section 3.3.
    """
    return _center_distances(boxes_xywh, truth_xywh, truth_xywh[:, 2:])


@dataclass(frozen=True, eq=False)
class Score:
    """Agreement with the ground truth on one sequence, or the mean over several.

    All numbers are shares in 0..1, and higher is better.

    Attributes:
        success_curve: ``(21,)`` share of frames whose overlap is above (not equal to) each success threshold.
        precision_curve: ``(51,)`` share of frames whose centre error is at most 0, 1, … 50 pixels.
        normalised_precision_curve: ``(51,)`` the same with the normalised error, at most 0, 0.01, … 0.5.
        mean_overlap: Mean over frames.
        evaluated_frames: Frames that count: not the first, and with a target.
    """

    success_curve: Floats
    precision_curve: Floats
    normalised_precision_curve: Floats
    mean_overlap: float
    evaluated_frames: int

    @property
    def success_auc(self) -> float:
        """Mean of the success curve; at most 20/21, as no overlap is above the last threshold, 1."""
        return float(self.success_curve.mean())

    @property
    def precision(self) -> float:
        """Share of frames whose centre is at most 20 pixels off."""
        return float(self.precision_curve[PRECISION_THRESHOLDS == PRECISION_AT_PIXELS][0])

    @property
    def normalised_precision(self) -> float:
        """Share of frames whose normalised centre error is at most 0.2."""
        return float(self.normalised_precision_curve[NORMALISED_PRECISION_THRESHOLDS == NORMALISED_PRECISION_AT][0])


def score_boxes(boxes_xywh: Floats, truth_xywh: Floats) -> Score:
    """Compare one trajectory with the ground truth.

    Args:
        boxes_xywh: ``(T, 4)`` tracked boxes in pixels; a NaN or empty one counts as overlap 0 and infinitely far off.
        truth_xywh: ``(T, 4)`` true boxes; rows without a box (NaN, or no area) do not count.

    Raises:
        ShapeError: if the shapes differ or are not ``(T, 4)``, or if no frame counts.
    """
    _check_shapes(boxes_xywh, truth_xywh)
    counts = is_box_xywh(truth_xywh)
    counts[:1] = False
    if not counts.any():
        raise ShapeError(f"{len(counts)} frames of ground truth hold no box after the first; expected at least one")
    boxes, truth = boxes_xywh[counts], truth_xywh[counts]
    overlaps = iou_xywh(boxes, truth)
    normalised = normalised_center_errors(boxes, truth)
    return Score(
        success_curve=(overlaps[:, None] > SUCCESS_THRESHOLDS).mean(axis=0),
        precision_curve=(center_errors(boxes, truth)[:, None] <= PRECISION_THRESHOLDS).mean(axis=0),
        normalised_precision_curve=(normalised[:, None] <= NORMALISED_PRECISION_THRESHOLDS).mean(axis=0),
        mean_overlap=float(overlaps.mean()),
        evaluated_frames=int(counts.sum()),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Mean over sequences, each of equal weight however long it is.

    Raises:
        ValueError: if there are none.
    """
    if not scores:
        raise ValueError("no scores; expected at least one to take the mean of")
    return Score(
        success_curve=np.mean([score.success_curve for score in scores], axis=0),
        precision_curve=np.mean([score.precision_curve for score in scores], axis=0),
        normalised_precision_curve=np.mean([score.normalised_precision_curve for score in scores], axis=0),
        mean_overlap=float(np.mean([score.mean_overlap for score in scores])),
        evaluated_frames=sum(score.evaluated_frames for score in scores),
    )


def _overlaps(a_xywh: Floats, b_xywh: Floats) -> Floats:
    top_left = np.maximum(a_xywh[:, :2], b_xywh[:, :2])
    bottom_right = np.minimum(a_xywh[:, :2] + a_xywh[:, 2:], b_xywh[:, :2] + b_xywh[:, 2:])
    # (x + w) - x may exceed w in the last bit: without this bound a box could overlap itself by more than 1.
    sides = np.clip(bottom_right - top_left, 0, np.minimum(a_xywh[:, 2:], b_xywh[:, 2:]))
    intersection = sides.prod(axis=1)
    union = a_xywh[:, 2:].prod(axis=1) + b_xywh[:, 2:].prod(axis=1) - intersection
    overlaps: Floats = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return overlaps


def _center_distances(boxes_xywh: Floats, truth_xywh: Floats, units_wh: Floats) -> Floats:
    _check_shapes(boxes_xywh, truth_xywh)
    usable = is_box_xywh(boxes_xywh)
    offsets = _centers(boxes_xywh[usable]) - _centers(truth_xywh[usable])
    distances = np.full(len(usable), np.inf)
    with np.errstate(over="ignore"):
        distances[usable] = np.hypot(*(offsets / units_wh[usable]).T)
    return distances


def _centers(boxes_xywh: Floats) -> Floats:
    return np.asarray(boxes_xywh[:, :2] + boxes_xywh[:, 2:] / 2)


def _check_shapes(boxes_a_xywh: Floats, boxes_b_xywh: Floats) -> None:
    if boxes_a_xywh.shape != boxes_b_xywh.shape or boxes_a_xywh.shape[1:] != (4,):
        raise ShapeError(
            f"boxes of shapes {boxes_a_xywh.shape} and {boxes_b_xywh.shape} cannot be compared; expected twice (T, 4)"
        )
