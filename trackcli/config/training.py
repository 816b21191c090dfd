"""Settings of training. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trackcli.config.component import ComponentConfig
from trackcli.config.moments import Interval, Moment


class PhaseConfig(ComponentConfig):
    """A part of the run in which only some parts learn, or losses weigh something else.

    Parts are named as their parameters are: ``backbone``, ``backbone.layer3``, ``matcher``, ``head``,
    ``head.<module>``, ``loss.<name>`` (the loss's own parameters).
    """

    until: Moment = Field(default=1.0, description="End of the phase: share of the run, 'N epochs' or 'N steps'")
    train: tuple[str, ...] = Field(default=(), description="The parts that learn; none named: all that are not frozen")
    freeze: tuple[str, ...] = Field(default=(), description="Parts that do not learn")
    rate: float = Field(default=1.0, gt=0, description="Factor on the learning rate")
    losses: dict[str, float] = Field(
        default_factory=dict, description="Loss ('rpn') or term ('rpn.box') → factor on its weight; 0 leaves it out"
    )


class TrainConfig(ComponentConfig):
    """The optimiser, its schedule and what is saved.

    Moments are a share of the run (0..1 or '25%'), 'N epochs' or 'N steps'.
    """

    epochs: int = Field(default=20, ge=1)
    pairs_per_epoch: int = Field(default=20_000, ge=1, description="An epoch is counted in pairs")
    steps: int | None = Field(default=None, ge=1, description="Stop after this many steps instead of after the epochs")
    batch: int = Field(default=16, ge=1, description="Pairs per step, over all processes")
    accumulate: int = Field(
        default=1, ge=1, description="Parts in which a process makes its pairs of a step, one after the other"
    )
    seed: int = Field(default=0, ge=0)
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = Field(default=5e-3, gt=0, description="Highest rate, reached after the warm-up")
    final_rate: float = Field(default=5e-4, ge=0, description="Last rate (cosine, exponential), at most the highest")
    schedule: Literal["cosine", "exponential", "step", "constant"] = "exponential"
    milestones: tuple[Moment, ...] = Field(
        default=(), description="Moments at which schedule 'step' multiplies the rate by step_factor"
    )
    step_factor: float = Field(default=0.1, gt=0, description="Factor of schedule 'step'")
    warmup: Moment = Field(default=0.05, description="How long the rate rises linearly: a moment")
    warmup_rate: float = Field(default=1e-3, ge=0, description="First rate of the warm-up, at most the highest")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD")
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="Of Adam and AdamW")
    weight_decay: float = Field(default=1e-4, ge=0, description="Not on biases and norms")
    clip: float = Field(default=10.0, ge=0, description="Largest norm of the gradient; 0: no clipping")
    backbone_factor: float = Field(default=0.1, ge=0, description="Learning-rate factor of the backbone")
    factors: dict[str, float] = Field(
        default_factory=dict, description="Part ('backbone.layer3', 'head') → further learning-rate factor"
    )
    unfreeze: dict[str, Moment] = Field(
        default_factory=dict,
        description="Backbone stage → moment from which it and all deeper stages learn; {} keeps all frozen",
    )
    phases: tuple[PhaseConfig, ...] = Field(
        default=(), description="What learns when, in order: e.g. [{until = 0.5, train = ['head']}]"
    )
    ema: float = Field(default=0.0, ge=0, lt=1, description="Decay of the averaged weights that are saved; 0: none")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = Field(
        default=False, description="Compile the backbone with torch.compile; the first step takes minutes"
    )
    freeze_batch_norm: bool = Field(
        default=False, description="Batch norms use and keep the statistics they have; their factors still learn"
    )
    sync_batch_norm: bool = Field(
        default=False, description="Batch statistics over all processes' pairs (several GPUs only)"
    )
    workers: int = Field(default=2, ge=0, description="Threads that read and augment pairs, per process")
    checkpoint_every: Interval = Field(default=500, description="Steps between checkpoints, or 'N epochs'")
    keep: int = Field(default=2, ge=1, description="How many checkpoints are kept, beside the best")
    validate_every: Interval = Field(
        default=0, description="Steps between validations by tracking, or 'N epochs'; 0: at the end only"
    )
    tensorboard: bool = Field(default=True, description="Write curves and pictures for TensorBoard, if it is installed")
    pictures_every: Interval = Field(
        default=500, description="Steps between TensorBoard's pictures of pairs, or 'N epochs'; 0: none"
    )
    max_nonfinite: int = Field(default=20, ge=1, description="Non-finite steps in a row after which the run stops")
    keep_nonfinite: int = Field(default=3, ge=0, description="How many non-finite steps are saved for a replay")
