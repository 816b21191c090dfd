"""The contract's "no host synchronisation in the step": counted where there is a CUDA device."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trackcli.testing import Scene, build_seeded, registry_of, synthetic_clip, tiny_plan
from trackcli.testing.steps import count_synchronisations, expect_no_synchronisation

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="counts what a CUDA device does")


class ReadsBack(nn.Module):
    """Looks at a value in the middle of the step."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Any:
        return self.inner(images if images.mean().item() > -1e9 else images + 1)


@needs_cuda
def test_the_built_in_composition_never_waits() -> None:
    planned = tiny_plan(registry_of())
    expect_no_synchronisation(build_seeded(planned), Scene(synthetic_clip(), planned.recipe.crop))


@needs_cuda
def test_a_value_that_is_read_back_is_counted() -> None:
    planned = tiny_plan(registry_of())
    model = build_seeded(planned)
    model.backbone = ReadsBack(model.backbone)  # type: ignore[assignment]
    with pytest.raises(AssertionError, match=r"the host waits 1 times for the device within the step; use torch.where"):
        expect_no_synchronisation(model, Scene(synthetic_clip(), planned.recipe.crop))


@needs_cuda
def test_what_copies_to_the_host_is_counted() -> None:
    on_device = torch.ones(3, device="cuda")
    assert count_synchronisations(on_device.cpu) == 1
    assert count_synchronisations(lambda: on_device * 2) == 0


def test_counting_puts_the_debug_mode_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a device: torch's side of it is played."""
    device = SimpleNamespace(mode="default")
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: device.mode)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: setattr(device, "mode", mode))

    def waits_twice() -> None:
        assert device.mode == "warn"
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    def fails() -> None:
        raise RuntimeError("in the step")

    assert count_synchronisations(waits_twice) == 2
    with pytest.raises(RuntimeError):
        count_synchronisations(fails)
    assert device.mode == "default"
