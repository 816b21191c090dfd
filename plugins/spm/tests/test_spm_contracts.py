"""The components keep trackcli's contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from trackcli.testing import HeadContract, LossContract

SMALL_COARSE = {"name": "rpn", "hidden": 16, "scale": 4.0}
SMALL: Mapping[str, Any] = {
    "coarse": SMALL_COARSE,
    "hidden": 16,
    "roi_size": 3,
    "proposals": 3,
    "train_rois": 8,
    "train_proposals": 24,
}
SMALL_HEAD = {"name": "series-parallel", **SMALL}
TWO_LEVELS = {"name": "resnet18", "depth": 3}


class TestSeriesParallelHead(HeadContract):
    name = "series-parallel"
    settings: ClassVar[Mapping[str, Any]] = SMALL


class TestSeriesParallelHeadWithCrossCorrelationOnTwoLevels(HeadContract):
    name = "series-parallel"
    settings: ClassVar[Mapping[str, Any]] = {
        **SMALL,
        "fine": "cross-correlation",
        "last_box": "score",
        "train_fill": "truth",
    }
    partners: ClassVar[Mapping[str, Any]] = {"backbone": TWO_LEVELS}


class TestCoarseStageAlone(HeadContract):
    name = "series-parallel"
    settings: ClassVar[Mapping[str, Any]] = {"coarse": SMALL_COARSE, "structure": "coarse"}


class TestAPointHeadAsTheCoarseStage(HeadContract):
    name = "series-parallel"
    settings: ClassVar[Mapping[str, Any]] = {
        **SMALL,
        "coarse": {"name": "point", "channels": 16, "depth": 1},
        "relation_kernel": 3,
        "last_box": "none",
    }


class TestSeriesParallelLoss(LossContract):
    name = "series-parallel"
    partners: ClassVar[Mapping[str, Any]] = {"head": SMALL_HEAD}


class TestSeriesParallelLossWithOtherSettings(LossContract):
    name = "series-parallel"
    settings: ClassVar[Mapping[str, Any]] = {"generalised": False, "coarse_box_weight": 1.0}
    partners: ClassVar[Mapping[str, Any]] = {"head": SMALL_HEAD}


class TestSeriesParallelLossOfAPointHead(LossContract):
    name = "series-parallel"
    partners: ClassVar[Mapping[str, Any]] = {
        "head": {"name": "series-parallel", **SMALL, "coarse": {"name": "point", "channels": 16, "depth": 1}}
    }
