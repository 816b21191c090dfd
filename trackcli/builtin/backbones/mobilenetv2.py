"""MobileNetV2 with levels at stride 8, 16 and 32, or dilated so that deep levels keep a smaller stride."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from trackcli.builtin.config_backbones import MobileNetV2Config
from trackcli.contracts.components import Backbone
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.weights import AdaptedWeights
from trackcli.errors import InputDataError

_STAGES = {
    1: (1, 16, 1, 1),
    2: (6, 24, 2, 2),
    3: (6, 32, 3, 2),
    4: (6, 64, 4, 2),
    5: (6, 96, 3, 1),
    6: (6, 160, 3, 2),
    7: (6, 320, 1, 1),
}
"""Expansion t, channels c, blocks n and stride s (Sandler et al. 2018, table 2)."""

_STEM = 32


class Stem(nn.Module):
    """The first convolution, stride 2."""

    folds = (("conv", "bn"),)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, _STEM, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(_STEM)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, S, S)`` → ``(B, 32, S / 2, S / 2)``."""
        out: Tensor = self.relu(self.bn(self.conv(images)))
        return out


class InvertedResidual(nn.Module):
    """1×1 up, 3×3 depth-wise, 1×1 down without activation; a shortcut where the shape stays.

    Source: Sandler et al. 2018, section 3.3 and table 1.
    """

    folds = (("expand", "expand_bn"), ("dw", "dw_bn"), ("project", "project_bn"))

    def __init__(
        self, inputs: int, outputs: int, *, expansion: int, stride: int, dilation: int, expanded: bool
    ) -> None:
        super().__init__()
        width = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.relu = nn.ReLU6(inplace=True)
        self.expanded = expanded
        self.expand: nn.Module = nn.Conv2d(inputs, width, 1, bias=False) if expanded else nn.Identity()
        self.expand_bn: nn.Module = nn.BatchNorm2d(width) if expanded else nn.Identity()
        self.dw = nn.Conv2d(width, width, 3, stride, dilation, dilation, groups=width, bias=False)
        self.dw_bn = nn.BatchNorm2d(width)
        self.project = nn.Conv2d(width, outputs, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, C', H / stride, W / stride)``."""
        y = self.relu(self.expand_bn(self.expand(x))) if self.expanded else x
        y = self.relu(self.dw_bn(self.dw(y)))
        out: Tensor = self.project_bn(self.project(y))
        return x + out if self.shortcut else out


class MobileNetV2(Backbone):
    """MobileNetV2 without its last 1×1 convolution, which is for classification.

    Stages beyond ``max_stride`` keep the resolution and dilate instead, the first block of a stage at half dilation.

    Source: Sandler et al. 2018; dilation as in Li et al. 2019 (SiamRPN++), section 3.2.
    """

    def __init__(self, config: MobileNetV2Config) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem()
        self.blocks_of_stage: dict[int, list[str]] = {}
        inputs, full_stride, dilation, index = _STEM, 2, 1, 0
        for stage in range(1, config.depth + 1):
            expansion, outputs, count, wanted = _STAGES[stage]
            full_stride *= wanted
            before, dilation = dilation, max(1, full_stride // config.max_stride)
            strides = [1 if dilation > 1 else wanted] + [1] * (count - 1)
            dilations = [before] + [dilation] * (count - 1)
            for stride, cells in zip(strides, dilations, strict=True):
                expanded = expansion > 1 or config.expand_first
                block = InvertedResidual(
                    inputs, outputs, expansion=expansion, stride=stride, dilation=cells, expanded=expanded
                )
                self.add_module(f"block{index}", block)
                self.blocks_of_stage.setdefault(stage, []).append(f"block{index}")
                inputs, index = outputs, index + 1

    def forward(self, images: Tensor) -> Features:
        """``(B, 3, S, S)`` → levels ``layer3``, ``layer5`` and ``layer7``, as far as they are built."""
        shapes = self.config.levels()
        x = self.stem(images)
        features: Features = {}
        for stage, blocks in self.blocks_of_stage.items():
            for block in blocks:
                x = self.get_submodule(block)(x)
            name = f"layer{stage}"
            if name in shapes:
                features[name] = Level(x, shapes[name].stride, shapes[name].offset)
        return features

    def stages(self) -> dict[str, nn.Module]:
        """``stem`` and ``layer1`` … ``layer<depth>``."""
        layers = {
            f"layer{stage}": nn.ModuleList([self.get_submodule(block) for block in blocks])
            for stage, blocks in self.blocks_of_stage.items()
        }
        return {"stem": self.stem, **layers}

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> AdaptedWeights:
        """torchvision's names.

        Raises:
            InputDataError: if the weights have a first expansion and this network has none, or the other way round:
                what was loaded would be another function.
        """
        renamed = {_own_name(name): value for name, value in weights.items()}
        count = sum(name not in weights for name in renamed)
        has_first = "block0.expand.weight" in renamed
        if "block0.dw.weight" in renamed and has_first != self.config.expand_first:
            raise InputDataError(
                f"these MobileNetV2 weights have {'an' if has_first else 'no'} expansion in block 0; "
                f"use --set backbone.expand_first={'true' if has_first else 'false'}"
            )
        return AdaptedWeights(renamed, (f"{count} tensors renamed from torchvision's names",) if count else ())


def _own_name(name: str) -> str:
    """torchvision's ``features.4.conv.1.0.weight`` → ``block3.dw.weight``; other names stay."""
    found = re.fullmatch(r"(?:features\.)?(\d+)\.(?:conv\.)?(.+)", name)
    if found is None:
        return name
    index, rest = int(found[1]), found[2]
    parts = {"0.0": "expand", "0.1": "expand_bn", "1.0": "dw", "1.1": "dw_bn", "2": "project", "3": "project_bn"}
    if index == 1:  # torchvision leaves the first expansion out and counts on
        parts = {"0.0": "dw", "0.1": "dw_bn", "1": "project", "2": "project_bn"}
    if index == 0:
        parts = {"0": "conv", "1": "bn"}
    place, _, tensor = rest.rpartition(".")
    owner = "stem" if index == 0 else f"block{index - 1}"
    return f"{owner}.{parts[place]}.{tensor}" if place in parts else name
