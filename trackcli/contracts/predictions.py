"""What heads predict, and the candidates that all later parts work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import Tensor

from trackcli.geometry.grids import Grid


@dataclass(frozen=True)
class AnchorOutput:
    """Anchor-based predictions, kind ``anchors``. N = anchors per cell · height · width, anchor by anchor, row by row.

    Attributes:
        logits: ``(B, N, 2)`` background and target.
        deltas: ``(B, N, 4)`` centre shift over anchor size, log size ratio (SiamRPN's parametrisation).
        anchors_xyxy: ``(N, 4)`` in search-crop pixels.
        grid: The cells.
    """

    logits: Tensor
    deltas: Tensor
    anchors_xyxy: Tensor
    grid: Grid


@dataclass(frozen=True)
class PointOutput:
    """Per-point predictions, N = height · width, row by row.

    Heads with background and target scores (K = 2, perhaps with centre-ness) are of kind ``points``, heads with one
    centre map (K = 1) that is a score as it is of kind ``centers``, with one that a sigmoid turns into a score of kind
    ``heatmap``: a loss fits one of them.

    Attributes:
        logits: ``(B, N, K)``: K = 1 for a centre map, K = 2 for background and target.
        distances: ``(B, N, 4)`` l, t, r, b from the point to the box's sides, in search-crop pixels, positive.
        points_xy: ``(N, 2)`` in search-crop pixels.
        grid: The cells.
        centerness: ``(B, N)`` logits, for heads that have them.
    """

    logits: Tensor
    distances: Tensor
    points_xy: Tensor
    grid: Grid
    centerness: Tensor | None = None


OutputT = TypeVar("OutputT")


@dataclass(frozen=True)
class Predictions(Generic[OutputT]):
    """A head's result.

    Attributes:
        output: The fused output, which inference decodes.
        stages: The same type per level or stage, where there are several; losses may constrain each.
    """

    output: OutputT
    stages: dict[str, OutputT] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidates:
    """N candidate boxes per target: after ``decode`` nobody needs to know which head it was.

    Attributes:
        boxes_xyxy: ``(B, N, 4)`` in search-crop pixels.
        scores: ``(B, N)`` confidence in 0..1: drives "target gone", hold and smoothing.
        ranking: ``(B, N)`` penalised, windowed, mixed: only selects.
        penalty: ``(B, N)`` in 0..1, 1 where nothing was penalised; scales the size's learning rate.
        points_xy: ``(B, N, 2)`` where a response map is sampled to be mixed in (cells, or box centres), crop pixels.
        valid: ``(B, N)`` bool.
        flags: ``(B,)`` tensors that candidate links want read out with the boxes (target lost, distractor, …), by name;
            they become the selection's flags.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    ranking: Tensor
    penalty: Tensor
    points_xy: Tensor
    valid: Tensor
    flags: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The chosen box of every target, and where to search next.

    Attributes:
        boxes_xyxy: ``(B, 4)`` in image pixels: the answer for this frame.
        scores: ``(B,)`` confidence in 0..1.
        penalty: ``(B,)`` of the chosen candidate.
        search_boxes_xyxy: ``(B, 4)`` image pixels: the next search region has this box's centre and context.
        shape_index: ``(B,)`` int64 into the finite set of search sizes.
        flags: Further ``(B,)`` tensors that are read out with the boxes (target lost, distractor, …), by name.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    penalty: Tensor
    search_boxes_xyxy: Tensor
    shape_index: Tensor
    flags: dict[str, Tensor] = field(default_factory=dict)
