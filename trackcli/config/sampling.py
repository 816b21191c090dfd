"""Settings of samplers: which pairs are drawn, and how their crops are changed. No torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trackcli.config.component import ComponentConfig

DEFAULT_SAMPLER = "pairs"
"""The sampler of recipes that name none."""


class AugmentConfig(ComponentConfig):
    """Random changes of a crop. Lengths in crop pixels at the recipe's sizes; 0 switches a change off.

    The usual shift and scale are those of search regions in SiamRPN++ (Li et al. 2019, section 4.1).
    """

    shift: float = Field(default=64.0, ge=0, description="Largest shift of the target from the crop's centre, pixels")
    scale: float = Field(default=0.18, ge=0, lt=1, description="Largest relative change of scale")
    aspect: float = Field(default=0.0, ge=0, lt=1, description="Largest relative change of the aspect ratio")
    rotation: float = Field(default=0.0, ge=0, le=180, description="Largest rotation in degrees")
    blur: float = Field(default=0.2, ge=0, le=1, description="Chance of blur")
    blur_size: int = Field(default=15, ge=1, le=99, description="Longest blur in pixels, across and down separately")
    low_resolution: float = Field(
        default=0.0, ge=0, le=1, description="Chance that the crop is shrunk and enlarged again"
    )
    bend: float = Field(
        default=0.0,
        ge=0,
        le=0.1,
        description="Largest displacement of a pasted object's parts against each other, as a share of its size",
    )
    color: float = Field(default=0.2, ge=0, le=1, description="Strength of brightness, contrast and colour changes")
    noise: float = Field(default=0.0, ge=0, le=64, description="Largest standard deviation of noise, of 255 levels")


class TemplateAugmentConfig(AugmentConfig):
    """Random changes of a template: a tracker cuts it where the user says, so it hardly moves."""

    shift: float = Field(default=4.0, ge=0, description="Largest shift of the target from the crop's centre, pixels")
    scale: float = Field(default=0.05, ge=0, lt=1, description="Largest relative change of scale")


class SamplerConfig(ComponentConfig):
    """What every sampler's pairs go through; a sampler's own configuration derives from it and adds what it draws."""

    flip: float = Field(default=0.5, ge=0, le=1, description="Chance to mirror the whole pair")
    grey: float = Field(default=0.05, ge=0, le=1, description="Chance that the whole pair is grey")
    template: TemplateAugmentConfig = TemplateAugmentConfig()
    search: AugmentConfig = AugmentConfig()


class PairsConfig(SamplerConfig):
    """Which pairs are drawn. Shares are renormalised when the data lacks what a kind needs, with one warning.

    Source: Zhu et al. 2018 (DaSiamRPN), section 3.2, for negative pairs of the same and of other categories.
    """

    max_gap: int = Field(default=100, ge=0, description="Largest distance of the pair's frames within a sequence")
    max_gaps: dict[str, int] = Field(
        default_factory=dict, description="The same for single caches, by the name of their folder or dataset"
    )
    negative: float = Field(default=0.1, ge=0, le=1, description="Share of pairs whose search region lacks the target")
    same_category: float = Field(
        default=0.5, ge=0, le=1, description="Share of the negative pairs that show an object of the target's category"
    )
    video: float = Field(
        default=0.5, ge=0, le=1, description="Share of pairs from sequences of several frames; the rest from stills"
    )
    part: float = Field(default=0.0, ge=0, le=1, description="Share of the positive pairs of a part of an object")
    look_alike: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the positive pairs centred on another object of the category beside the target",
    )
    paste: float = Field(
        default=0.0, ge=0, le=1, description="Share of the still pairs whose target is pasted onto another photograph"
    )
    distractors: int = Field(default=0, ge=0, description="Most objects pasted beside the target in a pasted pair")
    min_size: float = Field(default=8.0, ge=0, description="Smallest target to learn from, sqrt(w·h) in source pixels")
    person_cap: float = Field(
        default=1.0, gt=0, le=1, description="Largest share of category 'person' among still pairs that are not pasted"
    )

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.part + self.look_alike > 1:
            raise ValueError(
                f"part {self.part:g} and look_alike {self.look_alike:g} are shares of the same pairs; "
                "expected a sum of at most 1"
            )
        if any(gap < 0 for gap in self.max_gaps.values()):
            raise ValueError("max_gaps holds a negative number of frames; expected 0 or more")
        return self
