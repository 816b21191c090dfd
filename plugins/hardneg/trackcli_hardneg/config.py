"""Settings of the head and the losses. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from trackcli.config.component import HeadConfig, LossConfig
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError


class FcosConfig(HeadConfig):
    """Per cell: background or target, centre-ness, and the distances to the box's four sides; levels are added.

    Source: Zhang and Zhang 2020, section 3.2, equations 1, 4 and 5; section 3.5, equation 9.
    """

    predicts: ClassVar[str] = "points"
    channels: int = Field(default=256, ge=8, le=4096, description="Width of the 3×3 convolutions")
    depth: int = Field(default=4, ge=0, le=16, description="3×3 convolutions in each of the two towers (ψ, eq. 1)")
    centerness: bool = Field(default=True, description="Predict centre-ness and multiply the score by it")
    distances: Literal["exp", "softplus"] = Field(default="exp", description="What keeps distances positive")
    fuse: Literal["raw", "distances"] = Field(
        default="raw", description="What equation 9 adds up for R: raw values, or each level's positive distances"
    )

    def widths(self) -> HeadWidths:
        """Two scores and four distances per cell."""
        return HeadWidths(2, 4)

    def check(self, matches: Mapping[str, MatchShape], levels: Mapping[str, LevelShape]) -> None:
        """All responses lie on one grid, since their outputs are added."""
        deepest = tuple(matches)[-1]
        one_level = f"one level with --set matcher.levels='[\"{deepest}\"]'"
        if len({shape.stride for shape in matches.values()}) != 1:
            listed = ", ".join(f"{name} (stride {shape.stride})" for name, shape in matches.items())
            raise FitError(
                f"head 'fcos' adds its levels and needs one stride, but the matcher gives {listed}; "
                f"use --set backbone.max_stride=8, or {one_level}"
            )
        if len({levels[name].offset for name in matches if name in levels}) > 1:
            raise FitError(
                f"head 'fcos' adds its levels and needs one grid, but {', '.join(matches)} begin at different places; "
                f"use --set backbone.padding=true, or {one_level}"
            )


class FcosLossConfig(LossConfig):
    """Focal loss on the scores, cross-entropy on centre-ness, IoU loss on the boxes. A term of weight 0 is left out.

    Source: Zhang and Zhang 2020, section 3.4, equations 7 and 8; Lin et al. 2017 (focal loss).
    """

    takes: ClassVar[tuple[str, ...]] = ("points",)
    positive_ratio: float = Field(
        default=0.5,
        gt=0,
        le=0.5,
        description="Points this near to the centre are positive, as a share of the box's sides; 0.5: the whole box",
    )
    focal_gamma: float = Field(default=2.0, ge=0, description="γ: how little sure points count; 0: cross-entropy")
    focal_alpha: float = Field(
        default=0.75, gt=0, lt=1, description="α: weight of positive points; 1 − α: of the others"
    )
    centerness_over: Literal["all", "positive"] = Field(
        default="all", description="Points that learn centre-ness: all (0 at negative ones), or FCOS's positive ones"
    )
    box: Literal["iou", "giou"] = Field(default="iou", description="−ln IoU (equation 7), or 1 − GIoU")
    score_weight: float = Field(default=1.0, ge=0, description="λ₁")
    centerness_weight: float = Field(default=1.0, ge=0, description="λ₂; ignored for heads without centre-ness")
    box_weight: float = Field(default=1.0, ge=0, description="λ₃")

    @model_validator(mode="after")
    def _something_is_learnt(self) -> Self:
        if self.score_weight == self.centerness_weight == self.box_weight == 0:
            raise ValueError("score_weight, centerness_weight and box_weight are all 0; give one a weight above 0")
        return self


class EmphasisConfig(LossConfig):
    """Contrastive loss between the exemplar, positive and hard negative regions; for any head.

    Source: Zhang and Zhang 2020, sections 3.3 and 4.1, equation 6.
    """

    weight: float = Field(default=0.1, ge=0, description="λ₄ (equation 8)")
    levels: tuple[str, ...] = Field(
        default=(), description="Adjusted levels to pool from and join; none named: the two deepest (3 and 4)"
    )
    rois: int = Field(
        default=11, ge=3, le=255, description="Regions per pair: k positive, k hard negative, and the truth; odd"
    )
    positive_iou: float = Field(default=0.8, gt=0, lt=1, description="T_h: regions above this IoU are positive")
    negative_iou: float = Field(
        default=0.3, gt=0, lt=1, description="T_l: candidates under this IoU are hard negatives"
    )
    nms_iou: float = Field(default=0.7, gt=0, le=1, description="Candidates that overlap a better one more are dropped")
    proposals: int = Field(
        default=64, ge=1, le=1024, description="Candidates that are kept, best first, before they are told apart"
    )
    margin: float = Field(default=2.0, gt=0, description="m: hard negatives this far away are far enough")
    roi_size: int = Field(default=5, ge=3, le=15, description="Cells per side of a pooled region")
    hidden: int = Field(default=256, ge=1, le=4096, description="Width between the two convolutions")
    embedding: int = Field(default=256, ge=1, le=4096, description="Length of the vectors")
    probe: bool = Field(
        default=False,
        description="Whether only the two convolutions learn: to measure features that no emphasis has shaped. The "
        "tracker learns what it would without, but where the norm of all gradients together exceeds train.clip",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rois % 2 == 0:
            raise ValueError(f"rois is {self.rois}; expected an odd number: k positive, k hard negative and the truth")
        if self.negative_iou > self.positive_iou:
            raise ValueError(
                f"negative_iou {self.negative_iou:g} is above positive_iou {self.positive_iou:g}; "
                "a region cannot be both"
            )
        return self

    @property
    def per_kind(self) -> int:
        """k: positive regions, and hard negative ones, per pair."""
        return (self.rois - 1) // 2

    def chosen(self, adjusted: Mapping[str, LevelShape]) -> tuple[str, ...]:
        """The levels that are joined.

        Raises:
            FitError: if the matcher does not give one of them, or none at all.
        """
        if not adjusted:
            raise FitError(
                "loss 'hard-negative-emphasis' learns on adjusted features, which the matcher does not give; "
                "use one that does, e.g. --matcher dw-xcorr"
            )
        missing = [name for name in self.levels if name not in adjusted]
        if missing:
            raise FitError(
                f"loss.hard-negative-emphasis.levels names {missing[0]!r}, which the matcher does not adjust; "
                f"it adjusts: {', '.join(adjusted)}"
            )
        return self.levels or tuple(adjusted)[-2:]

    def check(self, adjusted: Mapping[str, LevelShape]) -> None:
        """The levels are there."""
        self.chosen(adjusted)
