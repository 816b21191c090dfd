"""ResNet-18: the levels it declares are those it gives, and folded weights compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trackcli.builtin.backbones.resnet18 import ResNet18
from trackcli.builtin.config import ResNet18Config
from trackcli.composition.foreign import load_foreign, read_state_dict

VARIANTS = [(depth, max_stride) for depth in (2, 3, 4) for max_stride in (8, 16, 32)]


def build(**settings: Any) -> ResNet18:
    torch.manual_seed(0)
    return ResNet18(ResNet18Config(**settings)).eval()


@pytest.mark.parametrize(("depth", "max_stride"), VARIANTS)
def test_declared_levels_equal_the_real_ones(depth: int, max_stride: int) -> None:
    backbone = build(depth=depth, max_stride=max_stride)
    declared = backbone.config.levels()
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, 96, 96))
    assert list(features) == list(declared) == [f"layer{stage}" for stage in range(2, depth + 1)]
    for name, level in features.items():
        assert (level.map.shape[1], level.stride, level.offset) == (
            declared[name].channels,
            declared[name].stride,
            declared[name].offset,
        )
        assert level.map.shape[-2:] == (96 // declared[name].stride,) * 2


def seen_extent(backbone: ResNet18, name: str, cell: int, size: int) -> tuple[Tensor, Tensor]:
    """Gradient of one cell with respect to the picture's columns and rows, in continuous pixels from the cell's centre.

    With equal positive weights and average instead of maximum pooling the network is linear and its receptive field
    symmetric, wherever its centre lies.
    """
    backbone.maxpool = nn.AvgPool2d(3, stride=2, padding=1)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    image = torch.ones(1, 3, size, size, requires_grad=True)
    level = backbone(image)[name]
    (gradient,) = torch.autograd.grad(level.map[0, 0, cell, cell], image)
    center = level.offset + cell * level.stride
    pixels = torch.arange(size) + 0.5 - center
    profile = gradient.sum(dim=(0, 1, 2))
    return pixels[profile > 0], profile[profile > 0]


@pytest.mark.parametrize(("depth", "max_stride", "size"), [(2, 8, 256), (3, 8, 385), (3, 16, 512), (4, 8, 640)])
def test_cells_see_the_picture_symmetrically_around_their_declared_centre(
    depth: int, max_stride: int, size: int
) -> None:
    backbone = build(depth=depth, max_stride=max_stride)
    name = f"layer{depth}"
    cell = size // backbone.config.levels()[name].stride // 2
    pixels, profile = seen_extent(backbone, name, cell, size)
    assert 8 < -pixels[0] < size / 2 - 16, "the receptive field must not touch the picture's border"
    torch.testing.assert_close(pixels, -pixels.flip(0))
    torch.testing.assert_close(profile, profile.flip(0))


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does what both do."""
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return convolution.weight * factor[:, None, None, None], norm.bias - norm.running_mean * factor


def folded_weights(backbone: ResNet18) -> dict[str, Tensor]:
    modules = dict(backbone.named_modules())
    weights = {}
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d):
            norm = modules[f"{name[:-1]}1" if name.endswith("downsample.0") else name.replace("conv", "bn")]
            assert isinstance(norm, nn.BatchNorm2d)
            weights[f"{name}.weight"], weights[f"{name}.bias"] = fold(module, norm)
    return weights


def test_folded_weights_compute_what_batch_norm_computes() -> None:
    plain = build(depth=3, max_stride=8)
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5)
    folded = build(depth=3, max_stride=8, norm="folded")
    folded.load_state_dict(folded_weights(plain))
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected, found = plain(images), folded(images)
    for name in expected:
        torch.testing.assert_close(found[name].map, expected[name].map, rtol=1e-4, atol=1e-4)


def test_dilation_needs_no_other_weights() -> None:
    dilated = build(depth=4, max_stride=8).state_dict()
    plain = build(depth=4, max_stride=32).state_dict()
    assert {name: value.shape for name, value in dilated.items()} == {
        name: value.shape for name, value in plain.items()
    }


def test_stages_name_every_parameter_once() -> None:
    backbone = build(depth=3)
    stages = backbone.stages()
    assert list(stages) == ["stem", "layer1", "layer2", "layer3"]
    listed = [parameter for stage in stages.values() for parameter in stage.parameters()]
    assert {id(parameter) for parameter in listed} == {id(parameter) for parameter in backbone.parameters()}
    assert len(listed) == len(list(backbone.parameters()))


def test_imagenet_weights_with_folded_batch_norm_fit_without_remainder(shared_weights: Path) -> None:
    backbone = build(depth=3, norm="folded")
    report = load_foreign(backbone, read_state_dict(shared_weights / "resnet18_in1k_bnfolded_to_layer3.safetensors"))
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert len(report.loaded) == len(backbone.state_dict())
