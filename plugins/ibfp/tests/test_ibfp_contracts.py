"""The components keep trackcli's contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from trackcli.testing import HeadContract, LinkContract, LossContract, MatcherContract

TWO_LEVELS = {"backbone": {"name": "resnet18", "depth": 3, "max_stride": 16}}
THREE_LEVELS = {"backbone": {"name": "resnet18", "depth": 4, "max_stride": 32}}
CENTER = {"head": {"name": "center", "channels": 16, "depth": 2}}
ONLINE: Mapping[str, Any] = {"fast": True, "channels": 8, "memory": 14, "first_rounds": 2, "first_iterations": 6}


class TestPyramidOfOneStep(MatcherContract):
    name = "ibu-pyramid"
    settings: ClassVar[Mapping[str, Any]] = {"template_cells": (3, 3)}
    partners: ClassVar[Mapping[str, Any]] = TWO_LEVELS


class TestPyramidOfTwoSteps(MatcherContract):
    name = "ibu-pyramid"
    settings: ClassVar[Mapping[str, Any]] = {"channels": 16, "template_cells": (5, 3, 1)}
    partners: ClassVar[Mapping[str, Any]] = {
        **THREE_LEVELS,
        **CENTER,
        "crop": {"template_size": 128, "search_size": 128, "context": 0, "context_size": 40},
    }


class TestPlainFusion(MatcherContract):
    name = "ibu-pyramid"
    settings: ClassVar[Mapping[str, Any]] = {
        "channels": 16,
        "fusion": "plain",
        "selection": False,
        "template_cells": (5, 3),
    }
    partners: ClassVar[Mapping[str, Any]] = TWO_LEVELS


class TestOneLevel(MatcherContract):
    name = "ibu-pyramid"
    settings: ClassVar[Mapping[str, Any]] = {"template_cells": (3,), "similarity": "sum"}


class TestCenterHead(HeadContract):
    name = "center"
    settings: ClassVar[Mapping[str, Any]] = {"channels": 16, "depth": 2}
    partners: ClassVar[Mapping[str, Any]] = {"matcher": {"name": "dw-xcorr", "channels": 16, "template_cells": 4}}


class TestFocalHinge(LossContract):
    name = "focal-hinge"
    partners: ClassVar[Mapping[str, Any]] = CENTER


class TestSquaredFocalHinge(LossContract):
    name = "focal-hinge"
    settings: ClassVar[Mapping[str, Any]] = {"form": "squared", "positive_distance": 24.0}
    partners: ClassVar[Mapping[str, Any]] = CENTER


class TestOnlineUpdate(LinkContract):
    name = "online-update"
    settings: ClassVar[Mapping[str, Any]] = ONLINE


class TestTemplateTuning(LinkContract):
    name = "template-tuning"
    settings: ClassVar[Mapping[str, Any]] = {"steps": 1}
