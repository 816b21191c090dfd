"""How well a trajectory agrees with the ground truth: overlap, success, precision. One definition each.

Which frames count is the :class:`~trackcli.evaluation.variants.Variant`'s; ``docs/evaluation.md`` explains why there
are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trackcli.errors import ShapeError
from trackcli.evaluation.overlaps import (
    Bools,
    Floats,
    center_errors,
    centers,
    check_shapes,
    iou_xywh,
    is_box_xywh,
    move_into_image,
    normalised_center_errors,
)
from trackcli.evaluation.variants import TRACKCLI, Curve, EmptyAnswers, FirstFrame, Variant

__all__ = [
    "NORMALISED_PRECISION_AT",
    "NORMALISED_PRECISION_THRESHOLDS",
    "PRECISION_AT_PIXELS",
    "PRECISION_THRESHOLDS",
    "SUCCESS_THRESHOLDS",
    "Floats",
    "Score",
    "center_errors",
    "has_counted_frames",
    "iou_xywh",
    "is_box_xywh",
    "mean_score",
    "normalised_center_errors",
    "score_boxes",
]

SUCCESS_THRESHOLDS: Floats = TRACKCLI.success_thresholds
"""0, 0.05, … 1 of overlap; other variants may have others."""
PRECISION_THRESHOLDS: Floats = np.arange(51, dtype=np.float64)
"""0, 1, … 50 pixels."""
NORMALISED_PRECISION_THRESHOLDS: Floats = np.arange(51) / 100
"""0, 0.01, … 0.5 of the target's size."""

PRECISION_AT_PIXELS = 20
NORMALISED_PRECISION_AT = 0.2


@dataclass(frozen=True, eq=False)
class Score:
    """Agreement with the ground truth on one sequence, or the mean over several.

    All numbers are shares in 0..1, and higher is better.

    Attributes:
        success_curve: ``(21,)`` share of frames whose overlap is above (not equal to) each success threshold.
        precision_curve: ``(51,)`` share of frames whose centre error is at most 0, 1, … 50 pixels.
        normalised_precision_curve: ``(51,)`` the same with the normalised error, at most 0, 0.01, … 0.5.
        mean_overlap: Mean over frames; GOT-10k's average overlap (AO).
        success_50: Share of frames whose overlap is above 0.5 (SR 0.5).
        success_75: The same above 0.75.
        evaluated_frames: Frames that count.
        variant: How they were counted.
    """

    success_curve: Floats
    precision_curve: Floats
    normalised_precision_curve: Floats
    mean_overlap: float
    success_50: float
    success_75: float
    evaluated_frames: int
    variant: Variant = TRACKCLI

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

    @property
    def weight(self) -> float:
        """What it weighs in a mean over sequences: 1, or its frames where the variant pools them."""
        return float(self.evaluated_frames) if self.variant.pooled else 1.0


def score_boxes(
    boxes_xywh: Floats,
    truth_xywh: Floats,
    *,
    variant: Variant = TRACKCLI,
    hidden: Bools | None = None,
    size_wh: tuple[int, int] | None = None,
) -> Score:
    """Compare one trajectory with the ground truth.

    Args:
        boxes_xywh: ``(T, 4)`` tracked boxes in pixels; a NaN or empty one counts as overlap 0 and infinitely far off.
        truth_xywh: ``(T, 4)`` true boxes; rows without a box (NaN, or no area) are frames without a target.
        variant: Which frames count, and how.
        hidden: ``(T,)`` frames marked as frames without a target, box or not; see ``Variant.marks``.
        size_wh: Size of the images, for variants that move boxes into them; without it they stay.

    Raises:
        ShapeError: if the shapes differ or are not ``(T, 4)``, or if no frame counts.
    """
    check_shapes(boxes_xywh, truth_xywh)
    has_box = is_box_xywh(truth_xywh)
    marked = np.zeros(len(has_box), dtype=bool) if hidden is None else hidden
    frames = _counted(has_box & ~marked, variant)
    if not frames.any():
        raise ShapeError(f"{len(frames)} frames of ground truth hold no box after the first; expected at least one")
    boxes = _prepare(boxes_xywh, truth_xywh, variant)
    overlaps, near, nearly = _compare(boxes, truth_xywh, has_box & ~marked, variant, size_wh)
    without_box = ~has_box & ~marked
    near[without_box] = -np.inf if Curve.PRECISION in variant.hits_without_box else np.inf
    nearly[without_box] = -np.inf if Curve.NORMALISED_PRECISION in variant.hits_without_box else np.inf
    # Where absent frames leave the denominator, hits among them still count: with pytracking shares can exceed 1.
    members = np.ones(len(frames), dtype=bool)
    members[:1] = variant.first_frame is not FirstFrame.SKIPPED
    total = int(frames.sum())
    return Score(
        success_curve=(overlaps[members, None] > variant.success_thresholds).sum(axis=0) / total,
        precision_curve=(near[members, None] <= PRECISION_THRESHOLDS).sum(axis=0) / total,
        normalised_precision_curve=(nearly[members, None] <= NORMALISED_PRECISION_THRESHOLDS).sum(axis=0) / total,
        mean_overlap=float(np.maximum(overlaps[members], 0).sum() / total),
        success_50=float((overlaps[members] > 0.5).sum() / total),
        success_75=float((overlaps[members] > 0.75).sum() / total),
        evaluated_frames=total,
        variant=variant,
    )


def has_counted_frames(truth_xywh: Floats, variant: Variant, hidden: Bools) -> bool:
    """Whether :func:`score_boxes` has anything to compare."""
    return bool(_counted(is_box_xywh(truth_xywh) & ~hidden, variant).any())


def mean_score(scores: Sequence[Score]) -> Score:
    """Mean over sequences, each of equal weight however long it is, unless their variant pools frames.

    Raises:
        ValueError: if there are none.
    """
    if not scores:
        raise ValueError("no scores; expected at least one to take the mean of")
    weights = np.array([score.weight for score in scores])

    def mean(values: Sequence[float] | Sequence[Floats]) -> Floats:
        return np.asarray(np.average(np.array(values), axis=0, weights=weights))

    return Score(
        success_curve=mean([score.success_curve for score in scores]),
        precision_curve=mean([score.precision_curve for score in scores]),
        normalised_precision_curve=mean([score.normalised_precision_curve for score in scores]),
        mean_overlap=float(mean([score.mean_overlap for score in scores])),
        success_50=float(mean([score.success_50 for score in scores])),
        success_75=float(mean([score.success_75 for score in scores])),
        evaluated_frames=sum(score.evaluated_frames for score in scores),
        variant=scores[0].variant,
    )


def _counted(present: Bools, variant: Variant) -> Bools:
    """The frames of the denominator."""
    counted = present.copy() if variant.drop_absent else np.ones(len(present), dtype=bool)
    if variant.first_frame is FirstFrame.SKIPPED:
        counted[:1] = False
    return counted


def _prepare(boxes_xywh: Floats, truth_xywh: Floats, variant: Variant) -> Floats:
    """The answers as the variant takes them."""
    boxes = boxes_xywh.copy()
    if variant.empty_answers is EmptyAnswers.REPEATED:
        for index in np.flatnonzero((boxes[:, 2:] == 0).any(axis=1) & ~np.isnan(truth_xywh).any(axis=1)):
            boxes[index] = boxes[index - 1] if index else boxes[0]
    if variant.first_frame is FirstFrame.GIVEN:
        boxes[:1] = truth_xywh[:1]
    return boxes


def _compare(
    boxes_xywh: Floats, truth_xywh: Floats, present: Bools, variant: Variant, size_wh: tuple[int, int] | None
) -> tuple[Floats, Floats, Floats]:
    """Overlaps and both centre errors of all frames; -1, infinite and infinite where there is no target."""
    overlaps, near, nearly = np.full(len(present), -1.0), np.full(len(present), np.inf), np.full(len(present), np.inf)
    boxes, truth = boxes_xywh[present], truth_xywh[present]
    measure_empty = variant.empty_answers is not EmptyAnswers.FAR
    near[present] = center_errors(boxes, truth, measure_empty=measure_empty)
    nearly[present] = normalised_center_errors(boxes, truth, measure_empty=measure_empty)
    if variant.hits_off_corner:
        off = present.copy()
        off[present] = (centers(truth) - 0.5 <= 0).any(axis=1)
        near[off] = nearly[off] = -np.inf
    if variant.move_into_image and size_wh is not None:
        boxes, truth = move_into_image(boxes, size_wh), move_into_image(truth, size_wh)
    overlaps[present] = iou_xywh(boxes, truth, bounded=not variant.toolkit_rounding)
    return overlaps, near, nearly
