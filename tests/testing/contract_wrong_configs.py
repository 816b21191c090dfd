"""Configurations of deliberately wrong components; torch-free, except where that is what is wrong (see the parts)."""

from __future__ import annotations

from pydantic import ConfigDict, Field, field_serializer

from trackcli.builtin.config import DepthwiseConfig, HoldConfig, ResNet18Config, RpnConfig, RpnLossConfig
from trackcli.contracts.shapes import LevelShape, MatchShape


class Forgiving(HoldConfig):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ChangedByFiles(HoldConfig):
    threshold: float = Field(default=0.2)

    @field_serializer("threshold")
    def shown(self, value):
        return value + 1


class NoPostprocessor(RpnLossConfig):
    pass


class WiderLevels(ResNet18Config):
    def levels(self):
        return {
            name: LevelShape(shape.channels, shape.stride * 2, shape.offset) for name, shape in super().levels().items()
        }


class Moved(ResNet18Config):
    """The backbone says what is declared: that cells lie a stride further than they do."""

    def levels(self):
        return {
            name: LevelShape(shape.channels, shape.stride, shape.offset + 8) for name, shape in super().levels().items()
        }


class SharedByDeclaration(DepthwiseConfig):
    def matches(self, levels):
        return {
            name: MatchShape(shape.classification, shape.regression, shape.stride, shared=True)
            for name, shape in super().matches(levels).items()
        }


class TooNarrow(DepthwiseConfig):
    def adjusted(self, levels):
        return {name: LevelShape(8, shape.stride, shape.offset) for name, shape in super().adjusted(levels).items()}


class CallsItselfPoints(RpnConfig):
    predicts = "points"
