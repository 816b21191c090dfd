"""Configurations of the built-in backbones beside ResNet-18: ResNet-50, AlexNet, MobileNetV2. No torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trackcli.config.component import BackboneConfig, Normalisation
from trackcli.contracts.shapes import LevelShape

CAFFE_RESNET = Normalisation(channels="bgr", scale=1.0, mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
CAFFE_ALEXNET = Normalisation(channels="bgr", scale=1.0, mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0))


class ResNet50Config(BackboneConfig):
    """ResNet-50 (He et al. 2016): SiamRPN++'s modified form, or the plain one.

    Modified: the stem and the down-sampling of layer2 are unpadded, layer3 and layer4 keep layer2's resolution and
    dilate. All levels then have stride 8, cell 0 is centred at 7.5, and 127 and 255 pixels become 15 and 31 cells.
    Plain: 'same' padding, hence offset 0.5.

    Source: Li et al. 2019 (SiamRPN++), section 3.2.
    """

    depth: Literal[2, 3, 4] = Field(default=4, description="Last stage that is built: layer2, layer3 or layer4")
    form: Literal["modified", "plain"] = Field(
        default="modified", description="SiamRPN++'s unpadded and dilated form, or the padded one of the ResNet paper"
    )
    max_stride: Literal[8, 16, 32] = Field(
        default=8, description="Stages beyond this stride keep the resolution and dilate; the modified form has 8"
    )
    layout: Literal["torchvision", "caffe"] = Field(
        default="torchvision",
        description="Where the weights come from: torchvision strides in the 3×3 convolution and takes RGB; Caffe (and "
        "Keras) stride in the 1×1 before it and take BGR less a mean",
    )

    @model_validator(mode="after")
    def _modified_has_stride_8(self) -> Self:
        if self.form == "modified" and self.max_stride != 8:
            raise ValueError(f"the modified form has stride 8, not {self.max_stride}; use form = 'plain'")
        return self

    def levels(self) -> dict[str, LevelShape]:
        """Levels layer2 … layer<depth>."""
        offset = 7.5 if self.form == "modified" else 0.5
        stages = {2: (512, 8), 3: (1024, 16), 4: (2048, 32)}
        return {
            f"layer{stage}": LevelShape(channels, min(stride, self.max_stride), offset)
            for stage, (channels, stride) in stages.items()
            if stage <= self.depth
        }

    def normalisation(self) -> Normalisation:
        """What weights of this layout were trained with."""
        return CAFFE_RESNET if self.layout == "caffe" else Normalisation()


AlexNetLevel = Literal["conv3", "conv4", "conv5"]

_ALEXNET_CHANNELS = {"conv3": 384, "conv4": 384, "conv5": 256}
_ALEXNET_UNPADDED_OFFSETS = {"conv3": 27.5, "conv4": 35.5, "conv5": 43.5}


class AlexNetConfig(BackboneConfig):
    """AlexNet's five convolutions at stride 8, as trackers use them: 96, 256, 384, 384 and 256 channels.

    Padded, 127 pixels become 16 cells and cell 0 is centred at 0.5; unpadded (SiamFC, SiamRPN), 6 cells.

    Source: Krizhevsky et al. 2012; stride and unpadded form of Bertinetto et al. 2016 (SiamFC), table 1.
    """

    outputs: tuple[AlexNetLevel, ...] = Field(
        default=("conv3", "conv5"), min_length=1, max_length=3, description="Levels to give, shallow to deep"
    )
    padding: bool = Field(default=True, description="Keep the padding of convolutions and pooling (SPM)")
    groups: Literal[1, 2] = Field(
        default=1, description="2: the second, fourth and fifth convolution see half of the channels each, as in 2012"
    )
    norm: Literal["batch", "lrn", "none"] = Field(
        default="batch",
        description="Batch norm behind each convolution, local response norm behind the first two, or none",
    )

    @model_validator(mode="after")
    def _outputs_go_deeper(self) -> Self:
        if list(self.outputs) != sorted(set(self.outputs)):
            raise ValueError("outputs must be named once each, shallow to deep, such as ['conv3', 'conv5']")
        return self

    def levels(self) -> dict[str, LevelShape]:
        """The chosen convolutions, all at stride 8."""
        return {
            name: LevelShape(_ALEXNET_CHANNELS[name], 8, 0.5 if self.padding else _ALEXNET_UNPADDED_OFFSETS[name])
            for name in self.outputs
        }

    def normalisation(self) -> Normalisation:
        """Caffe's, whose weights most trackers started from."""
        return CAFFE_ALEXNET


class MobileNetV2Config(BackboneConfig):
    """MobileNetV2 of width 1.0 with 'same' padding (offset 0.5); layers are the rows of its table 2.

    Source: Sandler et al. 2018, table 2; layers 3, 5 and 7 as levels as in the public code of SiamRPN++.
    """

    depth: Literal[3, 5, 7] = Field(default=7, description="Last layer that is built, and the last level")
    max_stride: Literal[8, 16, 32] = Field(
        default=8, description="Stages beyond this stride keep the resolution and dilate their 3×3 convolutions"
    )
    expand_first: bool = Field(
        default=False, description="Whether the first block has an expansion too, as some published weights have"
    )

    def levels(self) -> dict[str, LevelShape]:
        """Levels layer3, layer5 and layer7, as far as they are built."""
        stages = {3: (32, 8), 5: (96, 16), 7: (320, 32)}
        return {
            f"layer{stage}": LevelShape(channels, min(stride, self.max_stride), 0.5)
            for stage, (channels, stride) in stages.items()
            if stage <= self.depth
        }
