"""Configurations of the anchor-free built-in components: template attention, the point head and its loss. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from trackcli.config.component import HeadConfig, LossConfig, MatcherConfig
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError


class TemplateAttentionConfig(MatcherConfig):
    """Every cell of the search region asks every cell of the template: what are you, and where in the target?

    Source: memory reading as in Oh et al. 2019 (Space-Time Memory Networks), equation 1, with cosine similarity, and
    with the similarity maps themselves beside what is read, as in Liao et al. 2020 (PG-Net), equation 2.
    """

    levels: tuple[str, ...] = Field(default=(), description="Backbone levels of one stride; none named: all")
    channels: int = Field(default=128, ge=8, le=4096, description="Width of keys, of what is read, and of the response")
    template_cells: int = Field(default=16, ge=1, le=64, description="Side of the template's part that is asked, cells")
    probe_cells: int = Field(
        default=8, ge=1, le=64, description="Side of the template's middle whose similarity maps are handed on, cells"
    )
    sharpness: float = Field(default=10.0, gt=0, description="Factor on the cosine at the start; it is learnt")

    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        """One response, named after the deepest level."""
        chosen = self.chosen(levels)
        shapes = {(levels[name].stride, levels[name].offset) for name in chosen}
        if len(shapes) != 1:
            listed = ", ".join(f"{name} (stride {levels[name].stride})" for name in chosen)
            raise FitError(
                f"matcher 'template-attention' joins its levels and needs one stride, but the backbone gives {listed}; "
                "use --set backbone.max_stride=8, or name levels of one stride with --set matcher.levels=…"
            )
        return {chosen[-1]: MatchShape(self.channels, self.channels, levels[chosen[-1]].stride, shared=True)}

    def adjusted(self, levels: Mapping[str, LevelShape]) -> dict[str, LevelShape]:
        """The joined levels after the 1×1 convolution, named after the deepest."""
        name = self.chosen(levels)[-1]
        return {name: LevelShape(self.channels, levels[name].stride, levels[name].offset)}

    def chosen(self, levels: Mapping[str, LevelShape]) -> tuple[str, ...]:
        """The levels that are joined.

        Raises:
            FitError: if the backbone lacks one.
        """
        chosen = self.levels or tuple(levels)
        missing = [name for name in chosen if name not in levels]
        if missing:
            raise FitError(
                f"matcher.levels names {missing[0]!r}, which the backbone does not give; it gives: {', '.join(levels)}"
            )
        return chosen


class PointConfig(HeadConfig):
    """A centre heat map and the distances to the box's four sides, per cell of one level.

    Source: Zhou et al. 2019 (Objects as Points), section 3 (heat map); Tian et al. 2019 (FCOS), section 3.1
    (distances).
    """

    predicts: ClassVar[str] = "heatmap"
    channels: int = Field(default=128, ge=8, le=4096, description="Width of the towers")
    depth: int = Field(default=3, ge=0, le=16, description="3×3 convolutions in each of the two towers")

    def widths(self) -> HeadWidths:
        """One score and four distances per cell."""
        return HeadWidths(1, 4)

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """One level."""
        if len(matches) != 1:
            raise FitError(
                f"head 'point' works on one response, but the matcher gives {', '.join(matches)}; "
                f"use --set matcher.levels='[\"{tuple(matches)[-1]}\"]', or the matcher template-attention"
            )


class PointLossConfig(LossConfig):
    """Penalty-reduced focal loss on the heat map; GIoU and normalised L1 on the boxes of points near the centre.

    Source: Law and Deng 2018 (CornerNet), equation 1; Rezatofighi et al. 2019 (GIoU).
    """

    takes: ClassVar[tuple[str, ...]] = ("heatmap",)
    sigma: float = Field(default=0.125, gt=0, description="Width of the Gaussian label, as a share of the box's sides")
    positive_ratio: float = Field(
        default=0.25, gt=0, le=0.5, description="Points this near to the centre learn the box, as a share of its sides"
    )
    focal_power: float = Field(default=2.0, ge=0, description="α: how little sure points count")
    penalty_power: float = Field(
        default=4.0, ge=0, description="β: how little points near the centre count as negative"
    )
    giou_weight: float = Field(default=2.0, ge=0)
    l1_weight: float = Field(default=2.0, ge=0, description="Weight of |Δ distance| over the box's side")
