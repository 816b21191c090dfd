"""ResNet-50: both forms compute what is written, cells lie where they are declared, weights find their place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from trackcli.builtin.backbones.resnet50 import ResNet50
from trackcli.builtin.config_backbones import ResNet50Config
from trackcli.composition.foreign import load_foreign, read_state_dict
from trackcli.errors import InputDataError

BLOCKS = {1: 3, 2: 4, 3: 6, 4: 3}


def build(**settings: Any) -> ResNet50:
    torch.manual_seed(0)
    backbone = ResNet50(ResNet50Config(**settings)).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5)
    return backbone


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_plain_form_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        plain, modified = ResNet50(ResNet50Config(form="plain")), ResNet50(ResNet50Config())
    # 25,557,032 with the 2048 · 1000 + 1000 of the classifier.
    assert parameters(plain) == 23_508_032
    # Three shortcuts of 3×3 instead of 1×1.
    assert parameters(modified) - parameters(plain) == 8 * (256 * 512 + 512 * 1024 + 1024 * 2048)


@pytest.mark.parametrize(("size", "cells"), [(127, 15), (255, 31)])
@pytest.mark.parametrize("layout", ["torchvision", "caffe"])
def test_the_modified_form_turns_127_and_255_pixels_into_15_and_31_cells(size: int, cells: int, layout: str) -> None:
    backbone = build(depth=3, layout=layout)
    sizes: dict[str, int] = {}
    for name in ("conv1", "maxpool", "layer1", "layer2", "layer3"):
        backbone.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: sizes.update({name: output.shape[-1]})
        )
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, size, size))
    stem = {127: (61, 31), 255: (125, 63)}[size]
    assert list(sizes.values()) == [*stem, stem[1], cells, cells]
    assert {name: (level.stride, level.offset) for name, level in features.items()} == {
        "layer2": (8, 7.5),
        "layer3": (8, 7.5),
    }
    # The middle cell is the crop's middle.
    assert features["layer2"].offset + (cells - 1) / 2 * 8 == size / 2


Windows = Mapping[int, tuple[dict[str, int], dict[str, int], dict[str, int], dict[str, int]]]
"""Per stage: first block's 1×1, its 3×3, its shortcut, and the 3×3 of the others."""

SAME: dict[str, int] = {"padding": 1}
MODIFIED: Windows = {
    1: ({}, SAME, {}, SAME),
    2: ({}, {"stride": 2}, {"stride": 2}, SAME),
    3: ({}, SAME, {"padding": 1}, {"padding": 2, "dilation": 2}),
    4: ({}, {"padding": 2, "dilation": 2}, {"padding": 2, "dilation": 2}, {"padding": 4, "dilation": 4}),
}
PLAIN: Windows = {1: ({}, SAME, {}, SAME)} | {
    stage: ({}, {"stride": 2, "padding": 1}, {"stride": 2}, SAME) for stage in (2, 3, 4)
}
CAFFE: Windows = {1: ({}, SAME, {}, SAME)} | {stage: ({"stride": 2}, SAME, {"stride": 2}, SAME) for stage in (2, 3, 4)}


def literal(weights: Mapping[str, Tensor], images: Tensor, windows: Windows, depth: int, stem: int) -> Tensor:
    """The network written down call by call."""

    def conv(x: Tensor, name: str, norm: str, **window: int) -> Tensor:
        x = F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **window)
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        gain = weights[f"{norm}.weight"] / (variance + 1e-5).sqrt()
        return (x - mean[:, None, None]) * gain[:, None, None] + weights[f"{norm}.bias"][:, None, None]

    x = F.max_pool2d(conv(images, "conv1", "bn1", stride=2, padding=stem).relu(), 3, 2, 1)
    for stage in range(1, depth + 1):
        reduce, first, shortcut, others = windows[stage]
        for block in range(BLOCKS[stage]):
            name = f"layer{stage}.{block}"
            y = conv(x, f"{name}.conv1", f"{name}.bn1", **(reduce if block == 0 else {})).relu()
            y = conv(y, f"{name}.conv2", f"{name}.bn2", **(first if block == 0 else others)).relu()
            y = conv(y, f"{name}.conv3", f"{name}.bn3")
            down = f"{name}.downsample"
            x = (y + (conv(x, f"{down}.0", f"{down}.1", **shortcut) if block == 0 else x)).relu()
    return x


@pytest.mark.parametrize(
    ("settings", "windows", "stem"),
    [
        ({"depth": 4}, MODIFIED, 0),
        ({"depth": 4, "form": "plain", "max_stride": 32}, PLAIN, 3),
        ({"depth": 3, "form": "plain", "max_stride": 32, "layout": "caffe"}, CAFFE, 3),
    ],
)
def test_features_equal_the_network_written_down_call_by_call(
    settings: dict[str, Any], windows: Windows, stem: int
) -> None:
    backbone = build(**settings).double()
    images = torch.rand(1, 3, 71, 71, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    depth = settings["depth"]
    with torch.inference_mode():
        found = backbone(images)[f"layer{depth}"].map
        torch.testing.assert_close(found, literal(backbone.state_dict(), images, windows, depth, stem))


@pytest.mark.parametrize("max_stride", [8, 16])
def test_dilated_stages_compute_the_strided_features_where_those_have_cells(max_stride: int) -> None:
    """Away from the border a dilated network holds the plain one's numbers at every second or fourth cell."""
    plain = build(depth=3, form="plain", max_stride=32, layout="caffe").double()
    dilated = build(depth=3, form="plain", max_stride=max_stride, layout="caffe").double()
    dilated.load_state_dict(plain.state_dict())
    # One block per stage keeps the receptive field small beside the picture.
    for backbone in (plain, dilated):
        for stage in (1, 2, 3):
            setattr(backbone, f"layer{stage}", backbone.get_submodule(f"layer{stage}")[0])  # type: ignore[index]
    images = torch.rand(1, 3, 160, 160, dtype=torch.float64)
    with torch.inference_mode():
        coarse, fine = plain(images)["layer3"], dilated(images)["layer3"]
    step = int(coarse.stride // fine.stride)
    assert (coarse.stride, fine.stride) == (16, max_stride)
    torch.testing.assert_close(fine.map[..., ::step, ::step][..., 3:-3, 3:-3], coarse.map[..., 3:-3, 3:-3])


@pytest.mark.parametrize("layout", ["torchvision", "caffe"])
@pytest.mark.parametrize(
    ("settings", "size"), [({"depth": 2}, 191), ({"depth": 3}, 335), ({"depth": 2, "form": "plain"}, 193)]
)
def test_cells_see_the_picture_symmetrically_around_their_declared_centre(
    settings: dict[str, Any], size: int, layout: str
) -> None:
    """With equal positive weights and average pooling the network is linear and its receptive field symmetric."""
    backbone = build(**settings, layout=layout)
    backbone.maxpool = nn.AvgPool2d(3, stride=2, padding=1)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    image = torch.ones(1, 3, size, size, requires_grad=True)
    level = backbone(image)[f"layer{settings['depth']}"]
    cell = level.map.shape[-1] // 2
    (gradient,) = torch.autograd.grad(level.map[0, 0, cell, cell], image)
    profile = gradient.sum(dim=(0, 1, 2))
    pixels = (torch.arange(size) + 0.5 - (level.offset + cell * level.stride))[profile > 0]
    seen = profile[profile > 0]
    assert len(seen) < size - 8, "the receptive field must not touch the picture's border"
    torch.testing.assert_close(pixels, -pixels.flip(0))
    torch.testing.assert_close(seen, seen.flip(0))


def test_the_modified_form_refuses_other_strides() -> None:
    with pytest.raises(ValidationError, match=r"the modified form has stride 8, not 16; use form = 'plain'"):
        ResNet50Config(max_stride=16)


def test_torchvisions_shortcuts_become_the_middle_taps_of_the_modified_form() -> None:
    weights = build(form="plain", max_stride=32).state_dict()
    modified = build()
    report = load_foreign(modified, weights)
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert report.notes == ("3 kernels of 1×1 put into the middle of 3×3 ones",)
    kernel = modified.state_dict()["layer3.0.downsample.0.weight"]
    assert torch.equal(kernel[..., 1, 1], weights["layer3.0.downsample.0.weight"][..., 0, 0])
    kernel[..., 1, 1] = 0
    assert not kernel.any()


def test_biases_before_batch_norms_are_absorbed_without_changing_the_features() -> None:
    backbone = build(depth=2, form="plain", max_stride=32, layout="caffe").double()
    weights = {name: value.clone() for name, value in backbone.state_dict().items()}
    biases = {
        f"{name}.bias": torch.rand(module.out_channels, dtype=torch.float64)
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    report = load_foreign(backbone, weights | biases)
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert report.notes == (f"{len(biases)} biases of convolutions moved into the batch norms behind",)
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        expected = literal(weights | biases, images, CAFFE, 2, 3)
        # Running means pass through single precision.
        torch.testing.assert_close(backbone(images)["layer2"].map, expected, rtol=1e-5, atol=1e-5)


def test_caffes_weights_are_refused_in_torchvisions_layout() -> None:
    backbone = build(depth=2)
    with pytest.raises(InputDataError, match=r"use --set backbone.layout=caffe"):
        load_foreign(backbone, backbone.state_dict() | {"conv1.bias": torch.zeros(64)})


def test_stages_name_every_parameter_once() -> None:
    backbone = build(depth=3)
    stages = backbone.stages()
    assert list(stages) == ["stem", "layer1", "layer2", "layer3"]
    listed = [id(parameter) for stage in stages.values() for parameter in stage.parameters()]
    assert sorted(listed) == sorted(id(parameter) for parameter in backbone.parameters())


@pytest.mark.parametrize("settings", [{}, {"form": "plain", "max_stride": 32}])
def test_imagenet_weights_see_what_they_were_trained_on(
    settings: dict[str, Any], shared_weights: Path, photographs: Tensor, statistics_agree: Any
) -> None:
    backbone = build(depth=3, layout="caffe", **settings)
    report = load_foreign(backbone, read_state_dict(shared_weights / "resnet50v1_in1k_to_layer3.safetensors"))
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert statistics_agree(backbone, backbone.config.normalisation(), photographs) > 0.93


def test_a_stage_without_weights_is_named(shared_weights: Path) -> None:
    backbone = build(layout="caffe")
    report = load_foreign(backbone, read_state_dict(shared_weights / "resnet50v1_in1k_to_layer3.safetensors"))
    assert report.missing and all(name.startswith("layer4.") for name in report.missing)
    own = {name for name in backbone.state_dict() if name.startswith("layer4.") and "num_batches" not in name}
    assert set(report.missing) == own
