"""Tracking in fewer bits: the network computes in bfloat16, everything around it in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from trackcli.composition.model import Embedding, TrackerModel
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.predictions import Predictions
from trackcli.contracts.state import Kernel

T = TypeVar("T")


class Bf16Model(TrackerModel):
    """A network whose backbone, matcher and head compute in bfloat16 where their operations allow it.

    What they hand on is float32 again, so links, boxes and positions lose nothing further. Convolutions take half the
    time on processors with bfloat16 instructions, and longer than before on those without.
    """

    @classmethod
    def of(cls, model: TrackerModel) -> Bf16Model:
        """The same parts, not copied."""
        return cls(
            backbone=model.backbone,
            matcher=model.matcher,
            head=model.head,
            candidate_links=list(model.candidate_links.items()),  # type: ignore[arg-type]  # ModuleDict
            select=model.select,
            track_links=list(model.track_links.items()),  # type: ignore[arg-type]  # ModuleDict
            crop=model.crop,
            normalisation=model.normalisation,
        )

    def branch(self, crops: Tensor, boxes_xyxy: Tensor | None = None) -> Branch:
        """Normalise crops and run the backbone."""
        with _autocast(crops):
            return in_float32(super().branch(crops, boxes_xyxy))

    def embed(self, template: Branch) -> Embedding:
        """What depends on the target alone."""
        with _autocast(template.images):
            return in_float32(super().embed(template))

    def predict(self, kernel: Kernel, context: Context) -> Predictions[object]:
        """Match the search region with the kernel and run the head."""
        with _autocast(context.search.images):
            return in_float32(super().predict(kernel, context))


def in_float32(value: T) -> T:
    """The same dataclasses, dictionaries and tensors, with every bfloat16 tensor in float32."""
    result: Any = value
    if isinstance(value, Tensor):
        result = value.float() if value.dtype is torch.bfloat16 else value
    elif isinstance(value, dict):
        result = {name: in_float32(each) for name, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        changed = {name: new for name, old in parts.items() if (new := in_float32(old)) is not old}
        result = replace(value, **changed) if changed else value
    converted: T = result
    return converted


def _autocast(like: Tensor) -> AbstractContextManager[None]:
    return torch.autocast(like.device.type, dtype=torch.bfloat16)
