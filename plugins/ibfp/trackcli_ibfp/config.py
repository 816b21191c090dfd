"""Settings of the matcher, the head and the loss. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from trackcli.config.component import HeadConfig, LossConfig, MatcherConfig
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError

FINEST_CELLS = 7
"""Template cells at the shallowest level; two fewer at each deeper one: 7, 5, 3."""


class IbuPyramidConfig(MatcherConfig):
    """Instance-based upsampling from the deepest level to the shallowest, channel selection before each correlation.

    The defaults are the last row of table I. ``selection = false`` is the third, ``fusion = "plain"`` without
    selection the second, one level (``levels = ["layer3"]``) without selection the first.

    Source: Pi et al. 2021 (IBFP), sections III.B and III.C.
    """

    levels: tuple[str, ...] = Field(
        default=(), description="Backbone levels, each at twice the stride of the one before; none named: all"
    )
    channels: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Width of the shallowest level after a 1×1 adjust convolution, doubled at each deeper one; "
        "0: the backbone's own widths, not adjusted (the paper)",
    )
    fusion: Literal["ibu", "plain"] = Field(
        default="ibu",
        description="Instance-based upsampling, or levels that are only brought to one size and concatenated",
    )
    selection: bool = Field(
        default=True, description="Compressed space channel selection re-weights the template's channels (eq. 6–8)"
    )
    ratio: float = Field(default=0.5, gt=0, le=1, description="η: width of the compressed space over the full one")
    template_cells: tuple[int, ...] = Field(
        default=(), description="Sides of the template's centre crops, shallow to deep, odd; none: 7, 5, 3"
    )
    similarity: Literal["mean", "sum"] = Field(
        default="mean",
        description="Mean over the template's cells, which begins as large as the features beside it, or the sum of a "
        "plain correlation",
    )

    @field_validator("template_cells")
    @classmethod
    def _odd(cls, cells: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 1 or count % 2 == 0 for count in cells):
            raise ValueError(f"{list(cells)} are not all odd; a response has its map's size (eq. 3) for odd sides only")
        return cells

    def chosen(self, levels: Mapping[str, LevelShape]) -> tuple[str, ...]:
        """The levels, shallow to deep.

        Raises:
            FitError: if the backbone lacks one, or they do not halve from one to the next.
        """
        chosen = self.levels or tuple(levels)
        missing = [name for name in chosen if name not in levels]
        if missing:
            raise FitError(
                f"matcher.levels names {missing[0]!r}, which the backbone does not give; it gives: {', '.join(levels)}"
            )
        for fine, coarse in pairwise(chosen):
            if levels[coarse].stride != 2 * levels[fine].stride or levels[coarse].offset != levels[fine].offset:
                listed = ", ".join(
                    f"{name} (stride {levels[name].stride}, from {levels[name].offset:g})" for name in chosen
                )
                raise FitError(
                    f"matcher 'ibu-pyramid' needs levels that begin at one place, each at twice the stride of the one "
                    f"before, but has {listed}; with a ResNet use --set backbone.max_stride=32 (resnet50: also "
                    f"--set backbone.form=plain), or one level with --set matcher.levels='[\"{chosen[-1]}\"]'"
                )
        if self.template_cells and len(self.template_cells) != len(chosen):
            raise FitError(
                f"matcher.template_cells has {len(self.template_cells)} sides for {len(chosen)} levels "
                f"({', '.join(chosen)}); expected one for each, shallow to deep"
            )
        return chosen

    def widths(self, levels: Mapping[str, LevelShape]) -> dict[str, int]:
        """Channels of each level, shallow to deep."""
        chosen = self.chosen(levels)
        return {
            name: self.channels * 2**depth if self.channels else levels[name].channels
            for depth, name in enumerate(chosen)
        }

    def cells(self, levels: Mapping[str, LevelShape]) -> dict[str, int]:
        """Side of the template's centre crop in each level."""
        chosen = self.chosen(levels)
        usual = tuple(max(1, FINEST_CELLS - 2 * depth) for depth in range(len(chosen)))
        return dict(zip(chosen, self.template_cells or usual, strict=True))

    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        """One response, at the shallowest level."""
        (name, width), *_ = self.widths(levels).items()
        return {name: MatchShape(width, width, levels[name].stride, shared=True)}

    def adjusted(self, levels: Mapping[str, LevelShape]) -> dict[str, LevelShape]:
        """The levels after the 1×1 convolution; none where there is no such convolution."""
        widths = self.widths(levels) if self.channels else {}
        return {name: replace(levels[name], channels=width) for name, width in widths.items()}


class CenterConfig(HeadConfig):
    """A map of how near a point is to the target's centre, and the distances to the box's four sides.

    Source: Pi et al. 2021 (IBFP), section III.D, figure 6.
    """

    predicts: ClassVar[str] = "centers"
    channels: int = Field(default=256, ge=8, le=4096, description="Width of the hidden convolutions")
    depth: int = Field(default=5, ge=1, le=16, description="3×3 convolutions of each branch, the last gives the output")

    def widths(self) -> HeadWidths:
        """One score and four distances per cell."""
        return HeadWidths(1, 4)

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """One level."""
        if len(matches) != 1:
            raise FitError(
                f"head 'center' works on one response, but the matcher gives {', '.join(matches)}; "
                f"use --set matcher.levels='[\"{tuple(matches)[-1]}\"]', or the matcher ibu-pyramid"
            )


class FocalHingeConfig(LossConfig):
    """Focal hinge loss of the centre map and L1 loss of the boxes.

    Source: Pi et al. 2021 (IBFP), equations 9 and 10, table II; α, γ and τ are those of section IV.A.
    """

    takes: ClassVar[tuple[str, ...]] = ("centers",)
    form: Literal["printed", "squared"] = Field(
        default="printed", description="Equation 9 as printed, linear in the error, or squared as its name, MSE, says"
    )
    alpha: float = Field(default=0.9, ge=0, description="α: weight of points whose label is under τ")
    gamma: float = Field(default=0.1, ge=0, description="γ: power of the label that weights the other points")
    tau: float = Field(default=0.05, gt=0, lt=1, description="τ: label under which a score at or below 0 costs nothing")
    sigma: float = Field(
        default=0.25, gt=0, description="Width of the Gaussian label, as a share of the box's width and height"
    )
    center_weight: float = Field(default=20.0, ge=0, description="Weight of equation 9, the mean over all points")
    box_weight: float = Field(default=0.25, ge=0, description="Weight of equation 10, distances in strides")
    positive_ratio: float = Field(
        default=0.25,
        gt=0,
        le=0.5,
        description="Points this near to the centre learn the box, as a share of its sides: table II (b); 0.5 is (a)",
    )
    positive_distance: float | None = Field(
        default=None,
        gt=0,
        description="Instead of positive_ratio a distance in crop pixels: table II (c) is 24, (d) 36",
    )
