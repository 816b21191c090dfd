"""Settings of sampling, augmentation and training. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trackcli.config.component import ComponentConfig


class AugmentConfig(ComponentConfig):
    """Random changes of a crop. Lengths in crop pixels at the recipe's sizes.

    The values of template and search differ only in shift and scale, as in SiamRPN++ (Li et al. 2019, section 4.1).
    """

    shift: float = Field(default=64.0, ge=0, description="Largest shift of the target from the crop's centre, pixels")
    scale: float = Field(default=0.18, ge=0, lt=1, description="Largest relative change of scale")
    aspect: float = Field(default=0.0, ge=0, lt=1, description="Largest relative change of the aspect ratio")
    rotation: float = Field(default=0.0, ge=0, le=180, description="Largest rotation in degrees")
    blur: float = Field(default=0.2, ge=0, le=1, description="Chance of blur")
    low_resolution: float = Field(
        default=0.0, ge=0, le=1, description="Chance that the crop is shrunk and enlarged again"
    )
    color: float = Field(default=0.2, ge=0, le=1, description="Strength of brightness, contrast and colour changes")


class SamplerConfig(ComponentConfig):
    """Which pairs are drawn. Chances are renormalised when the data lacks what a kind needs, with one warning."""

    max_gap: int = Field(default=100, ge=0, description="Largest distance of the pair's frames within a sequence")
    negative: float = Field(default=0.1, ge=0, le=1, description="Share of pairs whose search region lacks the target")
    video: float = Field(
        default=0.5, ge=0, le=1, description="Share of pairs from sequences of several frames; the rest from stills"
    )
    paste: float = Field(
        default=0.0, ge=0, le=1, description="Share of the still pairs whose target is pasted onto another photograph"
    )
    distractors: int = Field(default=0, ge=0, description="Most objects pasted beside the target in a pasted pair")
    min_size: float = Field(default=8.0, ge=0, description="Smallest target to learn from, sqrt(w·h) in source pixels")
    person_cap: float = Field(default=1.0, gt=0, le=1, description="Largest share of still pairs of category 'person'")
    flip: float = Field(default=0.5, ge=0, le=1, description="Chance to mirror the whole pair")
    grey: float = Field(default=0.05, ge=0, le=1, description="Chance that the whole pair is grey")
    template: AugmentConfig = AugmentConfig(shift=4.0, scale=0.05)
    search: AugmentConfig = AugmentConfig()


class TrainConfig(ComponentConfig):
    """The optimiser, its schedule and what is saved."""

    epochs: int = Field(default=20, ge=1)
    pairs_per_epoch: int = Field(default=20_000, ge=1, description="An epoch is counted in pairs")
    steps: int | None = Field(default=None, ge=1, description="Stop after this many steps instead of after the epochs")
    batch: int = Field(default=16, ge=1, description="Pairs per step")
    seed: int = Field(default=0, ge=0)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=5e-3, gt=0, description="Highest rate, reached after the warm-up")
    final_rate: float = Field(default=5e-4, ge=0, description="Rate at the end of the schedule")
    schedule: Literal["cosine", "exponential"] = "exponential"
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of all steps in which the rate rises linearly")
    warmup_rate: float = Field(default=1e-3, ge=0, description="Rate at the first step of the warm-up")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    clip: float = Field(default=10.0, ge=0, description="Largest norm of the gradient; 0: no clipping")
    backbone_factor: float = Field(default=0.1, ge=0, description="Learning-rate factor of the backbone")
    unfreeze: dict[str, float] = Field(
        default_factory=dict,
        description=(
            "Backbone stage → share of the schedule after which it and all deeper stages learn; {} keeps all frozen"
        ),
    )
    ema: float = Field(default=0.0, ge=0, lt=1, description="Decay of the averaged weights that are saved; 0: none")
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    workers: int = Field(default=2, ge=0, description="Threads that read and augment pairs")
    checkpoint_every: int = Field(default=500, ge=1, description="Steps between checkpoints")
    keep: int = Field(default=2, ge=1, description="How many checkpoints are kept")
    validate_every: int = Field(
        default=0, ge=0, description="Steps between validations by tracking; 0: at the end only"
    )
