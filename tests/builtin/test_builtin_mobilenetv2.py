"""MobileNetV2: parameters of the paper, features of the table written down call by call, published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.backbones.mobilenetv2 import MobileNetV2
from trackcli.builtin.config_backbones import MobileNetV2Config
from trackcli.composition.foreign import load_foreign, read_state_dict
from trackcli.errors import InputDataError

# Inputs, expansion, outputs and stride of the 17 blocks.
BLOCKS = [
    *[(32, 1, 16, 1)],
    *[(16, 6, 24, 2), (24, 6, 24, 1)],
    *[(24, 6, 32, 2), (32, 6, 32, 1), (32, 6, 32, 1)],
    *[(32, 6, 64, 2), (64, 6, 64, 1), (64, 6, 64, 1), (64, 6, 64, 1)],
    *[(64, 6, 96, 1), (96, 6, 96, 1), (96, 6, 96, 1)],
    *[(96, 6, 160, 2), (160, 6, 160, 1), (160, 6, 160, 1)],
    *[(160, 6, 320, 1)],
]


def build(**settings: Any) -> MobileNetV2:
    torch.manual_seed(0)
    backbone = MobileNetV2(MobileNetV2Config(**settings)).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5)
    return backbone


@pytest.mark.parametrize("expand_first", [False, True])
def test_parameters_are_as_computed_by_hand(expand_first: bool) -> None:
    expected = 3 * 32 * 9 + 2 * 32
    for inputs, expansion, outputs, _ in BLOCKS:
        width = inputs * expansion
        if expansion > 1 or expand_first:
            expected += inputs * width + 2 * width
        expected += 9 * width + 2 * width + width * outputs + 2 * outputs
    # The features of the published network, less the last convolution and its norm.
    assert expected == 2_223_872 - (320 * 1280 + 2 * 1280) + expand_first * (32 * 32 + 2 * 32)
    found = sum(parameter.numel() for parameter in build(expand_first=expand_first).parameters())
    assert found == expected


def literal(weights: Mapping[str, Tensor], images: Tensor, windows: Mapping[int, tuple[int, int]]) -> Tensor:
    """The network written down call by call; ``windows`` gives stride and dilation of a block's 3×3."""

    def conv(x: Tensor, name: str, norm: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        x = F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, groups)
        mean, variance, gain, bias = (
            weights[f"{norm}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    x = conv(images, "stem.conv", "stem.bn", 2).clamp(0, 6)
    for index, (inputs, expansion, outputs, stride) in enumerate(BLOCKS):
        name = f"block{index}"
        y = conv(x, f"{name}.expand", f"{name}.expand_bn").clamp(0, 6) if expansion > 1 else x
        y = conv(y, f"{name}.dw", f"{name}.dw_bn", *windows.get(index, (stride, 1))).clamp(0, 6)
        y = conv(y, f"{name}.project", f"{name}.project_bn")
        x = x + y if stride == 1 and inputs == outputs else y
    return x


@pytest.mark.parametrize(
    ("max_stride", "windows"),
    [
        (32, {}),
        (16, {13: (1, 1), **dict.fromkeys(range(14, 17), (1, 2))}),
        (8, {**dict.fromkeys(range(7, 14), (1, 2)), **dict.fromkeys(range(14, 17), (1, 4)), 6: (1, 1)}),
    ],
)
def test_features_equal_the_table_written_down_call_by_call(
    max_stride: int, windows: dict[int, tuple[int, int]]
) -> None:
    backbone = build(max_stride=max_stride).double()
    images = torch.rand(1, 3, 96, 96, dtype=torch.float64)
    with torch.inference_mode():
        features = backbone(images)
        torch.testing.assert_close(features["layer7"].map, literal(backbone.state_dict(), images, windows))
    for name, shape in backbone.config.levels().items():
        assert features[name].map.shape == (1, shape.channels, 96 // shape.stride, 96 // shape.stride)
        assert (features[name].stride, features[name].offset) == (shape.stride, 0.5)


def torchvision_name(name: str) -> str:
    """``block3.dw.weight`` → ``features.4.conv.1.0.weight``."""
    owner, part, tensor = name.split(".")
    if owner == "stem":
        return f"features.0.{'0' if part == 'conv' else '1'}.{tensor}"
    places = ["expand", "expand_bn", "dw", "dw_bn", "project", "project_bn"]
    index = int(owner.removeprefix("block"))
    numbers = ["", "", "0.0", "0.1", "1", "2"] if index == 0 else ["0.0", "0.1", "1.0", "1.1", "2", "3"]
    return f"features.{index + 1}.conv.{numbers[places.index(part)]}.{tensor}"


def test_torchvisions_names_find_their_place() -> None:
    backbone = build()
    weights = {name: torch.rand_like(value.float()) for name, value in backbone.state_dict().items()}
    renamed = {torchvision_name(name): value for name, value in weights.items()}
    assert "features.1.conv.1.weight" in renamed and "features.17.conv.3.running_var" in renamed
    report = load_foreign(backbone, renamed | {"features.18.0.weight": torch.zeros(1280, 320, 1, 1)})
    assert (report.missing, report.misfits, report.unused) == ((), (), ("features.18.0.weight",))
    for name, value in backbone.state_dict().items():
        assert torch.equal(value.float(), weights[name].to(value.dtype).float())


def test_weights_with_another_first_block_are_refused() -> None:
    with_it, without = build(depth=3, expand_first=True), build(depth=3)
    with pytest.raises(InputDataError, match=r"have an expansion in block 0; use --set backbone.expand_first=true"):
        load_foreign(without, with_it.state_dict())
    with pytest.raises(InputDataError, match=r"have no expansion in block 0; use --set backbone.expand_first=false"):
        load_foreign(with_it, without.state_dict())


def test_stages_name_every_parameter_once() -> None:
    backbone = build(depth=5)
    stages = backbone.stages()
    assert list(stages) == ["stem", "layer1", "layer2", "layer3", "layer4", "layer5"]
    listed = [id(parameter) for stage in stages.values() for parameter in stage.parameters()]
    assert sorted(listed) == sorted(id(parameter) for parameter in backbone.parameters())


def test_imagenet_weights_see_what_they_were_trained_on(
    shared_weights: Path, photographs: Tensor, statistics_agree: Any
) -> None:
    backbone = build(max_stride=32, expand_first=True)
    report = load_foreign(backbone, read_state_dict(shared_weights / "mobilenetv2_in1k_features.safetensors"))
    assert (report.missing, report.misfits) == ((), ())
    assert {name.split(".")[0] for name in report.unused} == {"last"}
    # Behind the bottlenecks, which have no activation, means are about 0 and say nothing.
    named = ("dw_bn", "project_bn")
    assert statistics_agree(backbone, backbone.config.normalisation(), photographs, named=named) > 0.93
