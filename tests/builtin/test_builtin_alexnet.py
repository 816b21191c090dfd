"""AlexNet: sizes and parameters of the literature, features of the network written down call by call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from trackcli.builtin.backbones.alexnet import AlexNet
from trackcli.builtin.config_backbones import AlexNetConfig
from trackcli.composition.foreign import load_foreign
from trackcli.engines.eager import optimised
from trackcli.host.registry import installed
from trackcli.testing import build_seeded, tiny_plan

ALL = ("conv3", "conv4", "conv5")


def build(**settings: Any) -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(AlexNetConfig(**{"outputs": ALL, **settings})).eval()


@pytest.mark.parametrize(("groups", "count"), [(1, 3_747_200), (2, 2_334_080)])
def test_parameters_are_as_computed_by_hand(groups: int, count: int) -> None:
    shapes = ((96, 3, 11), (256, 96 // groups, 5), (384, 256, 3), (384, 384 // groups, 3), (256, 384 // groups, 3))
    assert sum(outputs * inputs * side * side + outputs for outputs, inputs, side in shapes) == count
    found = sum(parameter.numel() for parameter in build(norm="none", groups=groups).parameters())
    assert found == count
    # A batch norm has a gain and a bias per channel, and its convolution none.
    normed = sum(parameter.numel() for parameter in build(groups=groups).parameters())
    assert normed - count == 96 + 256 + 384 + 384 + 256


@pytest.mark.parametrize(
    ("padding", "size", "cells"),
    [(True, 127, (16, 16, 16)), (True, 271, (34, 34, 34)), (False, 127, (10, 8, 6)), (False, 255, (26, 24, 22))],
)
def test_sizes_are_those_of_the_papers(padding: bool, size: int, cells: tuple[int, ...]) -> None:
    backbone = build(padding=padding)
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, size, size))
    assert tuple(level.map.shape[-1] for level in features.values()) == cells
    assert [level.map.shape[1] for level in features.values()] == [384, 384, 256]
    for name, shape in backbone.config.levels().items():
        assert (features[name].stride, features[name].offset) == (shape.stride, shape.offset)
        if not padding:  # the unpadded grid lies in the crop's middle
            assert shape.offset + (features[name].map.shape[-1] - 1) / 2 * 8 == size / 2


def literal(weights: dict[str, Tensor], images: Tensor, *, pad: int, groups: int, lrn: bool, normed: bool) -> Tensor:
    def conv(x: Tensor, index: int, stride: int, side: int, count: int) -> Tensor:
        name = f"conv{index}"
        x = F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), stride, side // 2 * pad, 1, count)
        if not normed:
            return x
        mean, variance, gain, bias = (
            weights[f"bn{index}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    def respond(x: Tensor) -> Tensor:
        """b = a / (1 + 1e-4 / 5 · Σ a²)^0.75 over five neighbouring channels (Krizhevsky et al. 2012, section 3.3)."""
        if not lrn:
            return x
        sums = torch.stack([x[:, max(0, c - 2) : c + 3].square().sum(dim=1) for c in range(x.shape[1])], dim=1)
        return x / (1 + 1e-4 / 5 * sums) ** 0.75

    x = F.max_pool2d(respond(conv(images, 1, 2, 11, 1).relu()), 3, 2, pad)
    x = F.max_pool2d(respond(conv(x, 2, 1, 5, groups).relu()), 3, 2, pad)
    x = conv(conv(x, 3, 1, 3, 1).relu(), 4, 1, 3, groups).relu()
    return conv(x, 5, 1, 3, groups)


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize(("groups", "norm"), [(1, "batch"), (2, "lrn"), (2, "none")])
def test_features_equal_the_network_written_down_call_by_call(padding: bool, groups: int, norm: str) -> None:
    backbone = build(padding=padding, groups=groups, norm=norm).double()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5)
    images = torch.rand(2, 3, 103, 103, dtype=torch.float64) * 255
    with torch.inference_mode():
        found = backbone(images)["conv5"].map
        expected = literal(
            backbone.state_dict(), images, pad=int(padding), groups=groups, lrn=norm == "lrn", normed=norm == "batch"
        )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_cells_see_the_picture_symmetrically_around_their_declared_centre(padding: bool, name: str) -> None:
    backbone = build(padding=padding, norm="none")
    backbone.maxpool = nn.AvgPool2d(3, stride=2, padding=1 if padding else 0)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    image = torch.ones(1, 3, 255, 255, requires_grad=True)
    level = backbone(image)[name]
    cell = level.map.shape[-1] // 2
    (gradient,) = torch.autograd.grad(level.map[0, 0, cell, cell], image)
    profile = gradient.sum(dim=(0, 1, 2))
    pixels = (torch.arange(255) + 0.5 - (level.offset + cell * level.stride))[profile > 0]
    torch.testing.assert_close(pixels, -pixels.flip(0))
    assert len(pixels) == {"conv3": 55, "conv4": 71, "conv5": 87}[name]  # SiamFC's fields at stride 8


def test_only_what_the_outputs_need_is_built() -> None:
    backbone = build(outputs=("conv3",))
    assert {name.split(".")[0] for name in backbone.state_dict()} == {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3"}
    assert list(backbone.stages()) == ["stem", "layer1", "layer2"]


def test_outputs_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="shallow to deep"):
        AlexNetConfig(outputs=("conv5", "conv3"))


def test_weights_named_by_layer_and_with_biases_fit() -> None:
    backbone = build().double()
    weights = {name: value.clone() for name, value in backbone.state_dict().items()}
    named = {
        name.replace("conv", "layer").replace("bn", "layer").replace(".", ".0." if "conv" in name else ".1.", 1): value
        for name, value in weights.items()
    }
    assert "layer2.1.running_mean" in named
    named |= {f"layer{index}.0.bias": torch.rand(96 if index == 1 else 256).double() for index in (1, 2, 5)}
    report = load_foreign(backbone, named)
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert report.notes[1] == "3 biases of convolutions moved into the batch norms behind"
    moved = weights["bn2.running_mean"].float() - named["layer2.0.bias"].float()
    assert torch.equal(backbone.state_dict()["bn2.running_mean"].float(), moved)


def test_folded_for_tracking_it_computes_the_same() -> None:
    registry = installed()
    planned = tiny_plan(registry, partners={"backbone": {"name": "alexnet", "outputs": ["conv3"]}})
    model = build_seeded(planned)
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.inference_mode():
        fast = optimised(model)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.backbone.modules())
        expected, found = model.backbone(images)["conv3"].map, fast.backbone(images)["conv3"].map
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
