"""What training passes around: the batch of labelled pairs, and what the network made of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor
from trackcli_cache.sampling import PairKind

from trackcli.contracts.counting import Counting
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched
from trackcli.contracts.predictions import Candidates, Predictions

__all__ = ["Batch", "Outputs", "PairKind"]


@dataclass(frozen=True)
class Batch:
    """B labelled pairs; M is the largest number of objects in one search region.

    Attributes:
        template_images: ``(B, 3, T, T)`` float in 0..255, RGB (normalised by the model).
        search_images: ``(B, 3, S, S)``, likewise.
        template_boxes_xyxy: ``(B, 4)`` the target in template pixels.
        search_boxes_xyxy: ``(B, 4)`` the target in search pixels; meaningless where not ``positive``.
        pair_kind: ``(B,)`` int64, :class:`PairKind`.
        positive: ``(B,)`` bool: the template's target is in the search region.
        objects_xyxy: ``(B, M, 4)`` all annotated objects in the search region, in search pixels; row 0 is the object
            that the region is centred on, in positive pairs the target itself.
        same_category: ``(B, M)`` bool: the object has the category of the template's target.
        valid: ``(B, M)`` bool: the row of ``objects_xyxy`` is an object.
        absent: ``(B,)`` bool: the frame is known not to show the target.
        sample_ids: ``(B,)`` int64, unique per sample of a run; random choices are keyed by it.
        counting: What losses average over; the batch alone unless a step is spread over several.
    """

    template_images: Tensor
    search_images: Tensor
    template_boxes_xyxy: Tensor
    search_boxes_xyxy: Tensor
    pair_kind: Tensor
    positive: Tensor
    objects_xyxy: Tensor
    same_category: Tensor
    valid: Tensor
    absent: Tensor
    sample_ids: Tensor
    counting: Counting = field(default_factory=Counting, compare=False)

    def to(self, device: torch.device | str, *, non_blocking: bool = True) -> Batch:
        """The batch on another device."""
        moved: dict[str, Any] = {
            entry.name: value.to(device, non_blocking=non_blocking)
            for entry in fields(self)
            if isinstance(value := getattr(self, entry.name), Tensor)
        }
        return replace(self, **moved)

    def with_images(self, template_images: Tensor, search_images: Tensor) -> Batch:
        """The batch with other pictures."""
        return replace(self, template_images=template_images, search_images=search_images)

    def __len__(self) -> int:
        return self.sample_ids.shape[0]


@dataclass(frozen=True)
class Outputs:
    """What the network made of a batch; losses read it.

    Attributes:
        template: The template branch, features included.
        search: The search branch, features included.
        matched: Responses and adjusted features.
        predictions: The head's predictions.
        candidates: Decoded candidates, detached; None unless a loss asks for them.
    """

    template: Branch
    search: Branch
    matched: Matched
    predictions: Predictions[Any]
    candidates: Candidates | None = None
