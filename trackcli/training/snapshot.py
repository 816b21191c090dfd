"""Pictures of what the network makes of a few pairs, for progress displays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trackcli.composition.model import TrackerModel
from trackcli.contracts.training import Batch

RESPONSE_CELL = 8
"""Side in search pixels of a cell of the response picture: the usual stride, whatever the head's own."""


@dataclass(frozen=True)
class Snapshot:
    """A few pairs, seen by the network as it stands.

    Attributes:
        template_images: ``(B, 3, T, T)`` uint8, RGB.
        search_images: ``(B, 3, S, S)`` uint8, RGB.
        template_boxes_xyxy: ``(B, 4)`` the target in template pixels.
        true_boxes_xyxy: ``(B, 4)`` the target in search pixels; meaningless where not ``positive``.
        positive: ``(B,)`` bool: the target is in the search region.
        predicted_boxes_xyxy: ``(B, 4)`` the best candidate in search pixels.
        scores: ``(B,)`` its confidence in 0..1.
        response: ``(B, S / 8, S / 8)`` float in 0..1: the highest score of the candidates in each cell of 8 pixels.
        sample_ids: ``(B,)`` int64.
    """

    template_images: Tensor
    search_images: Tensor
    template_boxes_xyxy: Tensor
    true_boxes_xyxy: Tensor
    positive: Tensor
    predicted_boxes_xyxy: Tensor
    scores: Tensor
    response: Tensor
    sample_ids: Tensor


@torch.no_grad()
def take_snapshot(model: TrackerModel, batch: Batch, *, count: int = 4) -> Snapshot:
    """Run the first ``count`` pairs of a batch as in tracking; the model's modes and statistics stay as they are.

    Args:
        model: The network.
        batch: On the model's device, images in 0..255.
        count: At most so many pairs.
    """
    few = _first_rows(batch, count)
    with as_in_tracking(model):
        candidates = model(few, with_candidates=True).candidates
    ranking = candidates.ranking.float().masked_fill(~candidates.valid, -torch.inf)
    best = ranking.argmax(dim=1, keepdim=True)
    scores = candidates.scores.float().masked_fill(~candidates.valid, 0)
    boxes_xyxy = candidates.boxes_xyxy.float().gather(1, best.unsqueeze(-1).expand(-1, -1, 4)).squeeze(1)
    return Snapshot(
        template_images=_bytes(few.template_images),
        search_images=_bytes(few.search_images),
        template_boxes_xyxy=few.template_boxes_xyxy.cpu(),
        true_boxes_xyxy=few.search_boxes_xyxy.cpu(),
        positive=few.positive.cpu(),
        predicted_boxes_xyxy=boxes_xyxy.cpu(),
        scores=scores.gather(1, best).squeeze(1).cpu(),
        response=response_picture(candidates.points_xy.float(), scores, few.search_images.shape[-1]).cpu(),
        sample_ids=few.sample_ids.cpu(),
    )


@contextmanager
def as_in_tracking(model: TrackerModel) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module has its own mode again, and batch statistics are untouched."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def response_picture(points_xy: Tensor, scores: Tensor, size: int) -> Tensor:
    """The highest score in each cell, 0 where there is no candidate.

    Args:
        points_xy: ``(B, N, 2)`` search pixels; those outside the crop count for the nearest cell.
        scores: ``(B, N)`` in 0..1.
        size: Side of the search crop.

    Returns:
        ``(B, size / 8, size / 8)``, rounded up.
    """
    side = -(-size // RESPONSE_CELL)
    cells = (points_xy / RESPONSE_CELL).floor().long().clamp(0, side - 1)
    index = cells[..., 1] * side + cells[..., 0]
    picture = scores.new_zeros(len(scores), side * side).scatter_reduce(1, index, scores, reduce="amax")
    return picture.reshape(-1, side, side)


def _first_rows(batch: Batch, count: int) -> Batch:
    rows: dict[str, Any] = {name: value[:count] for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return replace(batch, **rows)


def _bytes(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8).cpu()
