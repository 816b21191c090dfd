"""Fixtures that all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail: speed is measured in benchmarks/, never in a test. And the same examples every
# time, so that a change is blamed for what it broke and for nothing else.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# A shell starts its background jobs with Ctrl-C ignored, and processes hand that on to those they start; tests that
# interrupt processes would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def untrained_tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tracker file with random weights: it tracks badly, but through all the real code."""
    import trackcli

    path = tmp_path_factory.mktemp("trackers") / "untrained.safetensors"
    tracker = trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "dw-xcorr", "channels": 16},
        head={"name": "rpn", "hidden": 16},
        device="cpu",
    )
    tracker.save(path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images and videos beside the checkout; tests that need them are skipped where there are none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Backbone weights beside the checkout; tests that need them are skipped where there are none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "weights"
    if not folder.is_dir():
        pytest.skip("no ../shared/weights beside this checkout")
    return folder
