"""Depth-wise correlation with one kernel per sample: its own gradient against PyTorch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.depthwise import correlate_per_channel


def grouped(maps: Tensor, kernels: Tensor) -> Tensor:
    batch, channels, *size = maps.shape
    flat = F.conv2d(maps.reshape(1, -1, *size), kernels.reshape(-1, 1, *kernels.shape[-2:]), groups=batch * channels)
    return flat.reshape(batch, channels, *flat.shape[-2:])


def test_its_gradient_is_the_numerical_one() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 7, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    kernels = torch.randn(2, 3, 3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(correlate_per_channel, (maps, kernels))
    assert torch.equal(correlate_per_channel(maps, kernels), grouped(maps, kernels))


@pytest.mark.parametrize("learns", ["maps", "kernels"])
def test_only_what_is_asked_for_is_computed(learns: str) -> None:
    maps, kernels = torch.randn(1, 2, 5, 5), torch.randn(1, 2, 3, 3)
    wanted = maps if learns == "maps" else kernels
    wanted.requires_grad_()
    (found,) = torch.autograd.grad(correlate_per_channel(maps, kernels).square().sum(), wanted)
    (expected,) = torch.autograd.grad(grouped(maps, kernels).square().sum(), wanted)
    assert torch.allclose(found, expected, atol=1e-4)


def test_under_autocast_it_computes_in_bfloat16_and_gives_gradients_in_float32() -> None:
    maps, kernels = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        response = correlate_per_channel(maps, kernels)
    assert response.dtype == torch.bfloat16
    found = torch.autograd.grad(response.float().sum(), (maps, kernels))
    expected = torch.autograd.grad(grouped(maps, kernels).sum(), (maps, kernels))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert torch.allclose(one, other, atol=0.05 * float(other.abs().max()))
