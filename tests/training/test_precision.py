"""Where the processor's bf16 arithmetic cannot be trusted, training computes in float32."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.config.training import TrainConfig
from trackcli.host.registry import installed
from trackcli.training.engine import Engine
from trackcli.training.precision import autocast, exact_grouped_convolutions

CPU = torch.device("cpu")
BF16 = TrainConfig(precision="bf16")


def weight_gradient(convolution: nn.Conv2d, images: Tensor, config: TrainConfig) -> Tensor:
    with autocast(config, CPU):
        response = convolution(images.contiguous(memory_format=torch.channels_last))
    response.float().square().sum().backward()
    assert convolution.weight.grad is not None
    return convolution.weight.grad


@pytest.mark.parametrize("groups", [96, 48])
def test_a_dilated_depthwise_convolution_learns_in_bf16_what_it_learns_in_float32(groups: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(96, 96, 3, padding=2, dilation=2, groups=groups)
    expected = weight_gradient(
        copy.deepcopy(plain), images := torch.randn(4, 96, 24, 24), TrainConfig(precision="fp32")
    )
    network = nn.Sequential(plain).to(memory_format=torch.channels_last)
    exact_grouped_convolutions(network, BF16, CPU)
    torch.testing.assert_close(weight_gradient(plain, images, BF16), expected, rtol=1e-4, atol=1e-2)
    assert list(network.state_dict()) == ["0.weight", "0.bias"]


def test_other_convolutions_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3, dilation=2))
    exact_grouped_convolutions(network, BF16, CPU)
    with autocast(BF16, CPU):
        assert network(torch.zeros(1, 8, 12, 12)).dtype is torch.bfloat16


def test_float32_needs_no_help() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 3, dilation=2, groups=8))
    exact_grouped_convolutions(network, TrainConfig(precision="fp32"), CPU)
    assert type(network[0]) is nn.Conv2d


def test_a_training_takes_care_of_the_backbone_that_needs_it() -> None:
    made = plan(complete({"preset": "fast"}, installed(), ["train.precision=bf16"]).recipe, installed())
    backbone = Engine(made, CPU).model.backbone
    dilated = [
        one for one in backbone.modules() if isinstance(one, nn.Conv2d) and one.groups > 1 and one.dilation != (1, 1)
    ]
    with autocast(BF16, CPU):
        found = {one(torch.zeros(1, one.in_channels, 8, 8)).dtype for one in dilated}
    assert dilated and found == {torch.float32}
