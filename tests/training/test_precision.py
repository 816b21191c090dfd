"""Where the processor's bf16 arithmetic cannot be trusted, training computes in float32."""

from __future__ import annotations

import copy
from typing import Any

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
    learnt = weight_gradient(plain, images, BF16)
    assert (learnt - expected).norm() < 0.01 * expected.norm()  # bf16 rounds to 8 bits
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
    assert dilated and all(type(one) is not nn.Conv2d for one in dilated)


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": 2, "dilation": 2},
        {"padding": 1, "dilation": 2},
        {"padding": "same", "dilation": 4},
        {"padding": (2, 6), "dilation": (2, 3), "stride": 2},
        {"padding": 2, "dilation": 2, "padding_mode": "reflect", "bias": False},
        {"dilation": 3, "kernel_size": (1, 3)},
    ],
    ids=str,
)
@pytest.mark.parametrize("size_hw", [(13, 14), (16, 16)], ids=str)
def test_the_other_way_computes_the_same_for_every_kind_of_dilated_convolution(
    settings: dict[str, Any], size_hw: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, **{"kernel_size": 3, "groups": 4, **settings})
    network = nn.Sequential(copy.deepcopy(plain))
    exact_grouped_convolutions(network, BF16, CPU)
    images = torch.randn(2, 8, *size_hw)
    torch.testing.assert_close(network(images), plain(images))
