"""The components keep trackcli's contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from trackcli.testing import HeadContract, LossContract

SMALL_HEAD = {"name": "fcos", "channels": 16, "depth": 1}
SMALL_EMPHASIS = {"hidden": 8, "embedding": 8, "proposals": 16}


class TestFcosHead(HeadContract):
    name = "fcos"
    settings: ClassVar[Mapping[str, Any]] = {"channels": 16, "depth": 2}


class TestFcosHeadWithOtherSettings(HeadContract):
    name = "fcos"
    settings: ClassVar[Mapping[str, Any]] = {
        "channels": 16,
        "depth": 0,
        "centerness": False,
        "distances": "softplus",
        "fuse": "distances",
    }
    partners: ClassVar[Mapping[str, Any]] = {"backbone": {"name": "resnet18", "depth": 3}}


class TestFcosLoss(LossContract):
    name = "fcos"
    partners: ClassVar[Mapping[str, Any]] = {"head": SMALL_HEAD}


class TestFcosLossWithOtherSettings(LossContract):
    name = "fcos"
    settings: ClassVar[Mapping[str, Any]] = {"box": "giou", "centerness_over": "positive", "positive_ratio": 0.25}
    partners: ClassVar[Mapping[str, Any]] = {"head": SMALL_HEAD}


class TestHardNegativeEmphasis(LossContract):
    """Beside anchors; and, by the kit, beside every built-in head."""

    name = "hard-negative-emphasis"
    settings: ClassVar[Mapping[str, Any]] = SMALL_EMPHASIS


class TestHardNegativeEmphasisOnTheFcosHead(LossContract):
    name = "hard-negative-emphasis"
    settings: ClassVar[Mapping[str, Any]] = {**SMALL_EMPHASIS, "rois": 5, "roi_size": 3}
    partners: ClassVar[Mapping[str, Any]] = {
        "backbone": {"name": "resnet18", "depth": 3},
        "head": SMALL_HEAD,
    }
