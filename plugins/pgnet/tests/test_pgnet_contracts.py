"""The components keep trackcli's contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from trackcli.testing import LinkContract, LossContract, MatcherContract

THREE_LEVELS = {"backbone": {"name": "resnet18", "depth": 3}}


class TestPgCorr(MatcherContract):
    name = "pg-corr"
    settings: ClassVar[Mapping[str, Any]] = {"channels": 16, "template_cells": 4}


class TestSeparatePgCorrByTwoProducts(MatcherContract):
    name = "pg-corr"
    settings: ClassVar[Mapping[str, Any]] = {
        "channels": 16,
        "template_cells": 4,
        "shared": False,
        "form": "two-matmul",
        "similarity": "sum",
    }


class TestMultiLoss(LossContract):
    name = "multi-loss"
    partners: ClassVar[Mapping[str, Any]] = THREE_LEVELS


class TestLongTerm(LinkContract):
    name = "long-term"
    settings: ClassVar[Mapping[str, Any]] = {"lost_below": 0.8, "found_above": 0.9, "sizes": 2, "frames_per_size": 2}
    partners: ClassVar[Mapping[str, Any]] = {
        "crop": {"template_size": 64, "search_size": 128, "larger_search_sizes": [192, 256]}
    }
