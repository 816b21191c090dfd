"""A small tracker with random weights and frames to run it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import trackcli
from trackcli.tracking.session import Session
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import Tracker

Image = NDArray[np.uint8]


def _small_tracker(**changes: Any) -> Tracker:
    recipe: dict[str, Any] = {
        "backbone": {"name": "resnet18", "depth": 2},
        "matcher": {"name": "dw-xcorr", "channels": 16},
        "head": {"name": "rpn", "hidden": 16},
        "crop": {"template_size": 64, "search_size": 128},
        **changes,
    }
    return trackcli.compose(**recipe, device="cpu")


def _picture(height: int, width: int, seed: int) -> Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))[:height, :width])


@pytest.fixture(scope="session")
def make_tracker() -> Callable[..., Tracker]:
    """Composes a small tracker; arguments replace parts of its recipe."""
    return _small_tracker


@pytest.fixture(scope="session")
def tracker() -> Tracker:
    """A small tracker; tests start it afresh."""
    return _small_tracker()


@pytest.fixture
def session(tracker: Tracker) -> Session:
    """A session that has not started."""
    return Session(tracker.model, StageTimer())


@pytest.fixture(scope="session")
def picture() -> Callable[[int, int, int], Image]:
    """``(height, width, seed)`` → an image of coloured blocks, so that targets have something to be recognised by."""
    return _picture


@pytest.fixture(scope="session")
def frames() -> list[Image]:
    """Four 240×160 frames in which everything moves 4 pixels to the right each time."""
    return [np.roll(_picture(160, 240, seed=1), shift, axis=1) for shift in (0, 4, 8, 12)]
