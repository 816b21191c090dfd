"""ResNet-50: SiamRPN++'s modified form (unpadded, dilated, stride 8) and the plain one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from trackcli.builtin.backbones.adapting import absorb_biases, place_center_taps
from trackcli.builtin.config_backbones import ResNet50Config
from trackcli.contracts.components import Backbone
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.weights import AdaptedWeights
from trackcli.errors import InputDataError

_WIDTHS = {1: 64, 2: 128, 3: 256, 4: 512}
_BLOCKS = {1: 3, 2: 4, 3: 6, 4: 3}
_EXPANSION = 4


@dataclass(frozen=True)
class Window:
    """How a convolution walks over its input."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0

    def conv(self, inputs: int, outputs: int) -> nn.Conv2d:
        """The convolution, without bias."""
        return nn.Conv2d(inputs, outputs, self.kernel, self.stride, self.padding, self.dilation, bias=False)


@dataclass(frozen=True)
class StagePlan:
    """The three windows in which the stages differ.

    Attributes:
        first: The 3×3 convolution of the first block.
        shortcut: The first block's shortcut.
        others: The 3×3 convolutions of the other blocks.
    """

    first: Window
    shortcut: Window
    others: Window


def plan_stage(config: ResNet50Config, stage: int) -> StagePlan:
    """Strides, dilations and paddings of a stage.

    A stage that would exceed ``max_stride`` keeps the resolution instead: its 3×3 convolutions dilate to what they
    would have seen. Where torchvision's 3×3 strides itself, the first one still sees the stage's input grid: half the
    dilation. In Caffe's layout the 1×1 before it strides, so that it sees the coarser grid already: full dilation. That
    also expresses Caffe's stride: a 3×3 of stride 2 and dilation 2 behind an unstrided 1×1 sees the same cells.
    """
    wanted = 1 if stage == 1 else 2
    full_stride = 4 * 2 ** (stage - 1)
    dilation = max(1, full_stride // config.max_stride)
    before = max(1, full_stride // wanted // config.max_stride)
    stride = 1 if dilation > 1 else wanted
    first_dilation = before * (wanted if config.layout == "caffe" else 1)
    unpadded = config.form == "modified" and stride == 2
    first = Window(3, stride, first_dilation, first_dilation - 1 if unpadded else first_dilation)
    shortcut = Window(1, stride)
    if config.form == "modified" and stage > 1:
        shortcut = Window(3, stride, before, 0 if unpadded else before)
    return StagePlan(first, shortcut, Window(3, 1, dilation, dilation))


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 and a shortcut (He et al. 2016, figure 5 right)."""

    folds = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inputs: int, width: int, window: Window, shortcut: Window | None) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = window.conv(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if shortcut is not None:
            self.downsample = nn.Sequential(shortcut.conv(inputs, outputs), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, 4 · width, H', W')``."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.relu(self.bn3(self.conv3(y)) + self.downsample(x))
        return out


class ResNet50(Backbone):
    """ResNet-50; parameter names are torchvision's.

    Source: He et al. 2016; modified form of Li et al. 2019 (SiamRPN++), section 3.2.
    """

    folds = (("conv1", "bn1"),)

    def __init__(self, config: ResNet50Config) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3 if config.form == "plain" else 0, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for stage in range(1, config.depth + 1):
            layer = _make_stage(inputs, stage, plan_stage(config, stage))
            self.add_module(f"layer{stage}", layer)
            inputs = _WIDTHS[stage] * _EXPANSION

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
        """Biases of Caffe's and Keras's convolutions; torchvision's 1×1 shortcuts for the modified form's 3×3 ones.

        The middle tap is the right one: an unpadded 3×3 of stride 2 is centred where the main path is. Keras adds
        1.001e-5 to variances where this adds 1e-5: less than what half precision loses.

        Raises:
            InputDataError: for Caffe's weights in torchvision's layout, which stride elsewhere and take other colours.
        """
        if self.config.layout == "torchvision" and "conv1.weight" in weights and "conv1.bias" in weights:
            raise InputDataError(
                "these ResNet-50 weights have biases behind their convolutions, as Caffe's and Keras's do; "
                "use --set backbone.layout=caffe"
            )
        return absorb_biases(weights, _norm_of).then(place_center_taps, self.state_dict())


def _make_stage(inputs: int, stage: int, plan: StagePlan) -> nn.Sequential:
    width = _WIDTHS[stage]
    first = Bottleneck(inputs, width, plan.first, plan.shortcut)
    others = (Bottleneck(width * _EXPANSION, width, plan.others, None) for _ in range(_BLOCKS[stage] - 1))
    return nn.Sequential(first, *others)


def _norm_of(convolution: str) -> str:
    """``layer1.0.conv2`` → ``layer1.0.bn2``; ``layer1.0.downsample.0`` → ``layer1.0.downsample.1``."""
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    return convolution.replace("conv", "bn")
