"""The built-in components keep the contracts that plugin authors test against."""

from __future__ import annotations

from typing import ClassVar

from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.testing import (
    BackboneContract,
    DatasetContract,
    HeadContract,
    LinkContract,
    LossContract,
    MatcherContract,
    SamplerContract,
)


class TestResNet18(BackboneContract):
    name = "resnet18"
    settings: ClassVar = {"depth": 2}


class TestResNet50(BackboneContract):
    name = "resnet50"
    settings: ClassVar = {"depth": 2}


class TestAlexNet(BackboneContract):
    name = "alexnet"
    settings: ClassVar = {"outputs": ["conv3"], "groups": 2}


class TestMobileNetV2(BackboneContract):
    name = "mobilenetv2"
    settings: ClassVar = {"depth": 5}


class TestDepthwiseCorrelation(MatcherContract):
    name = "dw-xcorr"
    settings: ClassVar = {"channels": 16, "template_cells": 4}


class TestSharedCorrelation(MatcherContract):
    name = "dw-xcorr"
    settings: ClassVar = {"channels": 16, "template_cells": 5, "shared": True}


class TestCrossCorrelation(MatcherContract):
    name = "xcorr"
    settings: ClassVar = {"channels": 16, "template_cells": 4}


class TestUpChannelCorrelation(MatcherContract):
    name = "up-xcorr"
    settings: ClassVar = {"channels": 4, "template_cells": 5}


class TestTemplateAttention(MatcherContract):
    name = "template-attention"
    settings: ClassVar = {"channels": 16, "template_cells": 6, "probe_cells": 4}


class TestPointHead(HeadContract):
    name = "point"
    settings: ClassVar = {"channels": 16, "depth": 1}


class TestPointLoss(LossContract):
    name = "point"
    partners: ClassVar = {"head": {"name": "point", "channels": 16, "depth": 1}}


class TestRpnHead(HeadContract):
    name = "rpn"
    settings: ClassVar = {"hidden": 16}


class TestRpnLoss(LossContract):
    name = "rpn"


class TestScalePenalty(LinkContract):
    name = "scale-penalty"


class TestCosineWindow(LinkContract):
    name = "cosine-window"


class TestSelect(LinkContract):
    name = "select"


class TestSmoothSize(LinkContract):
    name = "smooth-size"


class TestClip(LinkContract):
    name = "clip"


class TestMotion(LinkContract):
    name = "motion"


class TestPresence(LinkContract):
    name = "presence"


class TestHold(LinkContract):
    name = "hold"


class TestPairs(SamplerContract):
    name = "pairs"


class TestFolder(DatasetContract):
    name = "folder"

    def write(self, root):
        for seed in range(2):
            scene = SceneSettings(frames=3, size_wh=(96, 72), seed=seed)
            write_sequence(make_sequence(scene), root / f"sequence-{seed}", video=False)
