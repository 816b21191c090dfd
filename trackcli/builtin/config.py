"""Configurations of the built-in components. No torch: composition is checked with these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat

from trackcli.config.component import (
    BackboneConfig,
    HeadConfig,
    LossConfig,
    MatcherConfig,
    PostprocessorConfig,
)
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError


class ResNet18Config(BackboneConfig):
    """ResNet-18 (He et al. 2016) with 'same' padding.

    Cell 0 of every level is centred on pixel 0, hence offset 0.5 in continuous pixels.
    """

    depth: Literal[2, 3, 4] = Field(default=3, description="Last stage that is built: layer2, layer3 or layer4")
    max_stride: Literal[8, 16, 32] = Field(
        default=8, description="Stages beyond this stride keep the resolution and dilate their 3×3 convolutions"
    )
    norm: Literal["batch", "folded"] = Field(
        default="batch", description="Batch norm, or convolutions with bias into which it was folded"
    )

    def levels(self) -> dict[str, LevelShape]:
        """Levels layer2 … layer<depth>."""
        stages = {2: (128, 8), 3: (256, 16), 4: (512, 32)}
        return {
            f"layer{stage}": LevelShape(channels, min(stride, self.max_stride), 0.5)
            for stage, (channels, stride) in stages.items()
            if stage <= self.depth
        }


class CorrelationConfig(MatcherConfig):
    """Cross-correlation of the template's centre with the search region, level by level.

    Source: Li et al. 2019 (SiamRPN++), section 3.2–3.4.
    """

    levels: tuple[str, ...] = Field(default=(), description="Backbone levels to match; none named: all")
    channels: int = Field(default=256, ge=8, le=4096, description="Width after the 1×1 adjust convolution")
    template_cells: int = Field(default=7, ge=3, le=64, description="Side of the template's centre crop, in cells")
    shared: bool = Field(default=False, description="One correlation for classification and regression")

    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        """One response per level, all levels by default."""
        chosen = self.levels or tuple(levels)
        missing = [name for name in chosen if name not in levels]
        if missing:
            raise FitError(
                f"matcher.levels names {missing[0]!r}, which the backbone does not give; it gives: {', '.join(levels)}"
            )
        width = self.response_channels()
        return {name: MatchShape(width, width, levels[name].stride, shared=self.shared) for name in chosen}

    def adjusted(self, levels: Mapping[str, LevelShape]) -> dict[str, LevelShape]:
        """The levels after the 1×1 adjust convolution."""
        return {name: replace(levels[name], channels=self.channels) for name in self.matches(levels)}

    def response_channels(self) -> int:
        """Channels of a response."""
        return self.channels


class DepthwiseConfig(CorrelationConfig):
    """Depth-wise cross-correlation: every channel of the template correlates with its own channel of the search."""


class CrossConfig(CorrelationConfig):
    """Plain cross-correlation: the whole template is one kernel, the response has one channel.

    Source: Bertinetto et al. 2016, equation 1.
    """

    def response_channels(self) -> int:
        """One similarity per cell."""
        return 1


Width = Annotated[int, Field(ge=1, le=4096)] | Literal["auto"]


class UpChannelConfig(MatcherConfig):
    """Up-channel cross-correlation: the template becomes one kernel per output of the head.

    Source: Li et al. 2018 (SiamRPN), section 3.2; the scale is that of SPM-Tracker's public code.
    """

    levels: tuple[str, ...] = Field(default=(), description="Backbone levels to match; none named: the deepest")
    channels: int = Field(default=256, ge=1, le=4096, description="Width in which template and search are correlated")
    template_cells: int = Field(default=6, ge=3, le=64, description="Side of the template's centre crop, in cells")
    search_margin: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Cells along the search region's border, whose features see padding, left out",
    )
    scale: float = Field(
        default=1e-3, gt=0, description="Factor on the correlation, which sums over thousands of products"
    )
    classification_channels: Width = Field(default="auto", description="Responses for classification; auto: the head's")
    regression_channels: Width = Field(default="auto", description="Responses for regression; auto: the head's")

    def resolve(self, widths: HeadWidths) -> Self:
        """``auto`` widths are the head's: 2k and 4k for k anchors."""
        wanted = {"classification_channels": widths.classification, "regression_channels": widths.regression}
        return self.model_copy(update={name: width for name, width in wanted.items() if getattr(self, name) == "auto"})

    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        """One response per level; the deepest level by default, as the kernels are large."""
        chosen = self.levels or tuple(levels)[-1:]
        missing = [name for name in chosen if name not in levels]
        if missing:
            raise FitError(
                f"matcher.levels names {missing[0]!r}, which the backbone does not give; it gives: {', '.join(levels)}"
            )
        widths = (self.classification_channels, self.regression_channels)
        if not all(isinstance(width, int) for width in widths):
            raise FitError("matcher 'up-xcorr' has widths left at auto; resolve them from a head first")
        classification, regression = (int(width) for width in widths)
        return {name: MatchShape(classification, regression, levels[name].stride) for name in chosen}


class RpnConfig(HeadConfig):
    """Region proposal head: scores and deltas for every anchor, fused over levels by learnt weights.

    Source: Li et al. 2018 (SiamRPN), section 3; Li et al. 2019 (SiamRPN++), equations 3 and 4 (level weights).
    """

    predicts: ClassVar[str] = "anchors"
    ratios: tuple[PositiveFloat, ...] = Field(
        default=(0.33, 0.5, 1.0, 2.0, 3.0), min_length=1, max_length=64, description="Height over width"
    )
    scale: float = Field(default=8.0, gt=0, description="Side of the square anchor in strides")
    hidden: int = Field(
        default=256,
        ge=0,
        le=4096,
        description="Width of the hidden convolution; 0: none, as behind up-xcorr, which gives the outputs itself",
    )

    def widths(self) -> HeadWidths:
        """Two scores and four deltas per anchor."""
        return HeadWidths(2 * len(self.ratios), 4 * len(self.ratios))

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """All responses lie on one grid, since their outputs are added."""
        strides = {shape.stride for shape in matches.values()}
        if len(strides) != 1:
            listed = ", ".join(f"{name} (stride {shape.stride})" for name, shape in matches.items())
            raise FitError(
                f"head 'rpn' adds its levels and needs one stride, but the matcher gives {listed}; "
                "use --set backbone.max_stride=8, or name levels of one stride with --set matcher.levels=…"
            )
        offsets = {levels[name].offset for name in matches if name in levels}
        if len(offsets) > 1:
            deepest = tuple(matches)[-1]
            raise FitError(
                f"head 'rpn' adds its levels and needs one grid, but {', '.join(matches)} begin at different places; "
                f"use --set backbone.padding=true, or one level with --set matcher.levels='[\"{deepest}\"]'"
            )


class RpnLossConfig(LossConfig):
    """Cross-entropy over sampled anchors and smooth L1 over the positive ones.

    Source: Li et al. 2018, section 3.3; sampling as in SiamRPN++ (16 positives of at most 64 anchors).
    """

    takes: ClassVar[tuple[str, ...]] = ("anchors",)
    positive_iou: float = Field(default=0.6, gt=0, lt=1, description="Anchors from this IoU on are positive")
    negative_iou: float = Field(
        default=0.3, gt=0, lt=1, description="Anchors under this IoU are negative; between, ignored"
    )
    positives: int = Field(default=16, ge=1, description="Most positive anchors per pair")
    anchors: int = Field(default=64, ge=2, description="Most anchors per pair")
    box_weight: float = Field(default=1.2, ge=0, description="Weight of the box term (λ)")


class ScalePenaltyConfig(PostprocessorConfig):
    """Penalise candidates whose size or shape differs from the last box.

    Source: Li et al. 2018, section 4.3 (equation 13, in the form that all public code uses).
    """

    k: float = Field(default=0.05, ge=0, description="Strength")
    form: Literal["usual", "printed"] = Field(
        default="usual",
        description="usual: exp(−k · (change − 1)), 1 for no change; printed: exp(−k · change), as papers print it "
        "(with the sign that makes it a penalty), e^−k for no change",
    )


class CosineWindowConfig(PostprocessorConfig):
    """Prefer candidates near the centre of the search region. Source: Bertinetto et al. 2016, section 3.3."""

    influence: float = Field(default=0.42, ge=0, le=1, description="Share of the window in the ranking")
    span: float = Field(
        default=0.75,
        gt=0,
        le=2,
        description="Where the window reaches 0, as a share of the search region (25 of 31 cells)",
    )
    largest_search: int = Field(
        default=0,
        ge=0,
        description="Largest search size in pixels on which it acts; in a wider search for a lost target the last "
        "position says little. 0: all",
    )


class SelectConfig(PostprocessorConfig):
    """Select the candidate that ranks highest."""


class SmoothSizeConfig(PostprocessorConfig):
    """Let the size follow slowly: rate · penalty · score.

    Source: Li et al. 2018, section 4.3 (linear interpolation).
    """

    rate: float = Field(default=0.38, ge=0, le=1, description="Share of the new size when score and penalty are 1")


class ClipConfig(PostprocessorConfig):
    """Keep the box's centre in the frame and its sides between a minimum and the frame's."""

    min_side: float = Field(default=4.0, gt=0, description="Smallest side in pixels")


class MotionConfig(PostprocessorConfig):
    """Search where the target's motion leads, instead of around its last place.

    Source: none of the papers; an exponential mean of the velocity, as trackers before deep learning had it.
    """

    gain: float = Field(default=1.0, ge=0, le=1, description="Share of a frame's motion that the search goes ahead")
    rate: float = Field(default=0.4, gt=0, le=1, description="Share of the last frame's motion in the mean")
    largest: float = Field(
        default=0.75, gt=0, le=4, description="Farthest that the search goes ahead along x or y, in sides of the target"
    )


class HoldConfig(PostprocessorConfig):
    """Keep the last box while the score is low."""

    threshold: float = Field(default=0.2, ge=0, le=1, description="Score under which the last box is held")
