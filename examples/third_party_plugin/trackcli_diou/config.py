"""Settings of the loss. Torch-free."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from trackcli.config.component import LossConfig


class DiouConfig(LossConfig):
    """Distance-IoU over the anchors that overlap the target."""

    takes: ClassVar[tuple[str, ...]] = ("anchors",)
    positive_iou: float = Field(default=0.6, gt=0, lt=1, description="An anchor is positive from this overlap on")
