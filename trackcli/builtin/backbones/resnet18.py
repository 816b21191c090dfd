"""ResNet-18 with levels at stride 8, 16 and 32, or dilated so that deep levels keep a smaller stride."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from trackcli.builtin.backbones.adapting import fold_norms, unfold_norms
from trackcli.builtin.config import ResNet18Config
from trackcli.contracts.components import Backbone
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.weights import AdaptedWeights

_CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (He et al. 2016, figure 5 left)."""

    folds = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, inputs: int, outputs: int, *, stride: int, dilations: tuple[int, int], folded: bool) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=first, dilation=first, bias=folded)
        self.bn1 = _norm(outputs, folded)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=second, dilation=second, bias=folded)
        self.bn2 = _norm(outputs, folded)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            shortcut: list[nn.Module] = [nn.Conv2d(inputs, outputs, 1, stride, bias=folded)]
            self.downsample = nn.Sequential(*shortcut, *([] if folded else [nn.BatchNorm2d(outputs)]))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, C', H / stride, W / stride)``."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + self.downsample(x))
        return out


class ResNet18(Backbone):
    """ResNet-18; parameter names are torchvision's, so that its weights load as they are.

    Stages beyond ``max_stride`` keep the resolution and dilate instead, the first convolution of a stage at half
    dilation, so that weights trained at full stride stay usable.

    Source: He et al. 2016; dilation as in Li et al. 2019 (SiamRPN++), section 3.2.
    """

    folds = (("conv1", "bn1"),)

    def __init__(self, config: ResNet18Config) -> None:
        super().__init__()
        folded = config.norm == "folded"
        self.config = config
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=folded)
        self.bn1 = _norm(64, folded)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        inputs, full_stride = 64, 4
        for stage in range(1, config.depth + 1):
            wanted = 1 if stage == 1 else 2
            full_stride *= wanted
            dilation = max(1, full_stride // config.max_stride)
            stride = 1 if dilation > 1 else wanted
            outputs = _CHANNELS[stage]
            layer = nn.Sequential(
                BasicBlock(inputs, outputs, stride=stride, dilations=(max(1, dilation // 2), dilation), folded=folded),
                BasicBlock(outputs, outputs, stride=1, dilations=(dilation, dilation), folded=folded),
            )
            self.add_module(f"layer{stage}", layer)
            inputs = outputs

    def forward(self, images: Tensor) -> Features:
        """``(B, 3, S, S)`` → levels ``layer2`` … ``layer<depth>``."""
        shapes = self.config.levels()
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features: Features = {}
        for stage in range(1, self.config.depth + 1):
            name = f"layer{stage}"
            x = self.get_submodule(name)(x)
            if name in shapes:
                features[name] = Level(x, shapes[name].stride, shapes[name].offset)
        return features

    def stages(self) -> dict[str, nn.Module]:
        """``stem`` and ``layer1`` … ``layer<depth>``."""
        layers = {f"layer{stage}": self.get_submodule(f"layer{stage}") for stage in range(1, self.config.depth + 1)}
        return {"stem": nn.ModuleList([self.conv1, self.bn1]), **layers}

    def adapt_weights(self, weights: Mapping[str, Tensor]) -> AdaptedWeights:
        """Folds batch norms, or makes new ones for weights whose norms were folded, as the setting ``norm`` needs."""
        norms = {name.removesuffix(".weight"): _norm_of(name.removesuffix(".weight")) for name in weights}
        norms = {conv: norm for conv, norm in norms.items() if conv != norm}
        return fold_norms(weights, norms) if self.config.norm == "folded" else unfold_norms(weights, norms)


def _norm_of(convolution: str) -> str:
    """``layer1.0.conv2`` → ``layer1.0.bn2``; ``layer2.0.downsample.0`` → ``layer2.0.downsample.1``; others stay."""
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    return convolution.replace("conv", "bn")


def _norm(channels: int, folded: bool) -> nn.Module:
    return nn.Identity() if folded else nn.BatchNorm2d(channels)
