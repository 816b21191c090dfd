"""AlexNet at stride 8, padded or not, with the channels that trackers use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from trackcli.builtin.backbones.adapting import absorb_biases
from trackcli.builtin.config_backbones import AlexNetConfig
from trackcli.contracts.components import Backbone
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.weights import AdaptedWeights

_CONVOLUTIONS = {1: (3, 96, 11), 2: (96, 256, 5), 3: (256, 384, 3), 4: (384, 384, 3), 5: (384, 256, 3)}
"""Inputs, outputs and kernel side of each convolution."""

_GROUPED = (2, 4, 5)
_POOLED = (1, 2)
_LAST = 5


class AlexNet(Backbone):
    """Five convolutions, the first with stride 2 instead of 4; max-pooling behind the first two.

    ReLU follows all but the fifth, as in SiamFC. Local response norm lies between ReLU and pooling, with Caffe's
    numbers (size 5, α 1e-4 over the size, β 0.75, k 1), as its weights are meant.

    Source: Krizhevsky et al. 2012, section 3; Bertinetto et al. 2016 (SiamFC), table 1.
    """

    folds = tuple((f"conv{index}", f"bn{index}") for index in _CONVOLUTIONS)

    def __init__(self, config: AlexNetConfig) -> None:
        super().__init__()
        self.config = config
        self.depth = max(int(name[-1]) for name in config.outputs)
        for index in _CONVOLUTIONS:
            # Those beyond the depth are no modules: nothing is folded, saved or trained there.
            self.add_module(f"conv{index}", _conv(index, config) if index <= self.depth else nn.Identity())
            normed = config.norm == "batch" and index <= self.depth
            self.add_module(f"bn{index}", nn.BatchNorm2d(_CONVOLUTIONS[index][1]) if normed else nn.Identity())
        self.relu = nn.ReLU(inplace=True)
        self.lrn = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0) if config.norm == "lrn" else nn.Identity()
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1 if config.padding else 0)

    def forward(self, images: Tensor) -> Features:
        """``(B, 3, S, S)`` → the levels of ``outputs``."""
        shapes = self.config.levels()
        x = images
        features: Features = {}
        for index in range(1, self.depth + 1):
            name = f"conv{index}"
            x = self.get_submodule(f"bn{index}")(self.get_submodule(name)(x))
            if index != _LAST:
                x = self.relu(x)
            if index in _POOLED:
                x = self.maxpool(self.lrn(x))
            if name in shapes:
                features[name] = Level(x, shapes[name].stride, shapes[name].offset)
        return features

    def stages(self) -> dict[str, nn.Module]:
        """``stem`` is conv1, ``layer1`` … ``layer4`` are conv2 … conv5, as ResNet's conv2_x … conv5_x are called."""
        return {
            "stem" if index == 1 else f"layer{index - 1}": nn.ModuleList(
                [self.get_submodule(f"conv{index}"), self.get_submodule(f"bn{index}")]
            )
            for index in range(1, self.depth + 1)
        }

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> AdaptedWeights:
        """Names such as ``layer1.0`` and ``layer1.1``, and biases before batch norms."""
        renamed = {_own_name(name): value for name, value in weights.items()}
        count = sum(name not in weights for name in renamed)
        notes = (f"{count} tensors renamed",) if count else ()
        return AdaptedWeights(renamed, notes).then(absorb_biases, lambda name: name.replace("conv", "bn"))


def _conv(index: int, config: AlexNetConfig) -> nn.Conv2d:
    inputs, outputs, kernel = _CONVOLUTIONS[index]
    return nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride=2 if index == 1 else 1,
        padding=kernel // 2 if config.padding else 0,
        groups=config.groups if index in _GROUPED else 1,
        bias=config.norm != "batch",
    )


def _own_name(name: str) -> str:
    """``layer2.0.weight`` → ``conv2.weight``, ``layer2.1.bias`` → ``bn2.bias``; others stay."""
    found = re.fullmatch(r"layer([1-5])\.([01])\.(.+)", name)
    if found is None:
        return name
    return f"{('conv', 'bn')[int(found[2])]}{found[1]}.{found[3]}"
