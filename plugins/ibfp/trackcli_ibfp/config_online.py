"""Settings of what is learnt while tracking. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from trackcli.config.component import PostprocessorConfig
from trackcli.contracts.shapes import LevelShape
from trackcli.errors import FitError

FAST: Mapping[str, Any] = {
    "channels": 32,
    "memory": 50,
    "views": "few",
    "first_rounds": 4,
    "first_iterations": 24,
    "iterations": 3,
    "remember_every": 2,
}
"""What ``fast`` changes where nothing else is asked for."""

CLASSIFIERS: Mapping[str, Mapping[str, Any]] = {
    "atom": {"channels": 64, "filter_cells": 4},
    "four-layer": {"channels": 256, "filter_cells": 3},
}

VIEWS = {"full": 30, "few": 10}
"""How many views of the first frame there are."""


class OnlineUpdateConfig(PostprocessorConfig):
    """A classifier per target that learns while tracking, mixed into the score of any head.

    Values that the paper leaves to ATOM are those of its public parameters.

    Source: Pi et al. 2021 (IBFP), sections III.E and IV.A; Danelljan et al. 2019 (ATOM), section 3.3.
    """

    fast: bool = Field(
        default=False,
        description="Cheaper: " + ", ".join(f"{name} {value}" for name, value in FAST.items()),
    )
    level: str = Field(
        default="", description="Backbone level it learns on; none named: the deepest of stride 16 or less"
    )
    stride: int = Field(
        default=16, ge=1, le=64, description="Levels of a smaller stride are averaged to it; it is a multiple of theirs"
    )
    classifier: Literal["atom", "four-layer"] = Field(
        default="atom", description="ATOM's 1×1 and one filter, or the paper's four 3×3 layers"
    )
    channels: int = Field(default=64, ge=4, le=1024, description="Width in front of the filter; four-layer: 256")
    filter_cells: int = Field(default=4, ge=1, le=15, description="Side of the filter; four-layer: 3")
    power: float = Field(
        default=2.0, ge=0, le=8, description="Features are scaled so that the mean of |x|^power is 1; 0: as they are"
    )
    offline_weight: float = Field(default=0.3, ge=0, le=1, description="w of equation 11: share of the head's score")
    calibrate: bool = Field(
        default=True, description="Divide both scores by their value on the first frame's target before mixing"
    )
    loss: Literal["hinge", "mlu"] = Field(
        default="hinge", description="Squared hinge (the paper), or ATOM's activation, which costs a little below 0"
    )
    tau: float = Field(default=0.05, gt=0, lt=1, description="Label under which a response at or below 0 costs nothing")
    solver: Literal["conjugate-gradient", "steepest-descent"] = Field(
        default="conjugate-gradient",
        description="Gauss-Newton steps by conjugate gradients, or steepest descent with the exact step length",
    )
    sigma: float = Field(default=0.25, gt=0, description="Width of the label, as a share of sqrt(w · h)")
    regularisation: float = Field(default=0.1, ge=0, description="Weight of the filter's squares")
    layer_regularisation: float = Field(
        default=1e-4, ge=0, description="Weight of the squares of what lies before the filter"
    )
    memory: int = Field(default=250, ge=2, le=5000, description="Samples per target")
    learning_rate: float = Field(default=0.01, gt=0, lt=1, description="Share of a new sample in the memory")
    hard_negative_rate: float = Field(default=0.02, gt=0, lt=1, description="The same, of a frame with a hard negative")
    least_initial: float = Field(default=0.25, ge=0, lt=1, description="Least share of the first frame's samples")
    views: Literal["full", "few"] = Field(
        default="full", description="Copies of the first frame: 30 (ATOM's shifts, turns, blurs, …) or 10"
    )
    first_rounds: int = Field(default=6, ge=1, le=100, description="Gauss-Newton steps on the first frame")
    first_iterations: int = Field(default=60, ge=1, le=2000, description="Solver iterations in all of these together")
    every: int = Field(default=10, ge=1, description="Frames between updates")
    iterations: int = Field(default=5, ge=1, le=1000, description="Solver iterations of an update")
    remember_every: int = Field(default=1, ge=1, description="Frames between samples that are remembered")
    lost_below: float = Field(default=0.25, ge=0, le=1, description="Largest response under which a target is lost")
    distractor: float = Field(
        default=0.8, gt=0, le=1, description="Second peak over the first from which on there is a distractor"
    )
    hard_negative: float = Field(
        default=0.5, gt=0, le=1, description="Second peak over the first from which on it is a hard negative"
    )
    displacement: float = Field(
        default=0.8, gt=0, description="Way from the last position, over half the search region, that counts as far"
    )
    neighborhood: float = Field(
        default=2.2, gt=0, description="Side of the region that belongs to the first peak, in sides of the target"
    )
    seed: int = Field(default=0, ge=0, description="Of first weights, shifts and dropout")

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: Any) -> Any:
        """What is not given follows from the classifier and from ``fast``."""
        if not isinstance(given, Mapping):
            return given
        usual = dict(CLASSIFIERS.get(str(given.get("classifier", "atom")), {}))
        is_fast = given.get("fast", False) in {True, "true"}
        return {**usual, **(FAST if is_fast else {}), **given}

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.memory <= VIEWS[self.views]:
            raise ValueError(
                f"a memory of {self.memory} samples has no room beside the {VIEWS[self.views]} of the first frame; "
                f"expected more, or views = 'few' ({VIEWS['few']})"
            )
        return self

    def check(self, levels: Mapping[str, LevelShape], search_sizes: tuple[int, ...]) -> None:
        """The level is there, its stride divides ``stride``, and there is one search size: all samples have one."""
        name = self.chosen({name: shape.stride for name, shape in levels.items()})
        stride = levels[name].stride
        if self.stride % stride and stride < self.stride:
            raise FitError(
                f"postprocessor 'online-update' averages level {name} of stride {stride} to stride {self.stride}, "
                f"which is no multiple; use --set postprocessor.online-update.stride={2 * stride}"
            )
        if len(search_sizes) > 1:
            listed = ", ".join(str(size) for size in search_sizes)
            raise FitError(
                f"postprocessor 'online-update' remembers samples of one size, but there are several search sizes "
                f"({listed}); use --set crop.larger_search_sizes='[]'"
            )

    def chosen(self, strides: Mapping[str, float]) -> str:
        """The level it learns on, of levels by name and stride, shallow to deep.

        Raises:
            FitError: if the backbone lacks it.
        """
        if self.level:
            if self.level not in strides:
                raise FitError(
                    f"postprocessor.online-update.level names {self.level!r}, which the backbone does not give; "
                    f"it gives: {', '.join(strides)}"
                )
            return self.level
        fine = [name for name, stride in strides.items() if stride <= self.stride]
        return fine[-1] if fine else next(iter(strides))


class TemplateTuningConfig(PostprocessorConfig):
    """Fits the matcher's kernel to the first frame by a few gradient steps.

    Source: Pi et al. 2021 (IBFP), section IV.A: "fine-tunes the template feature according to the initial frame".
    """

    steps: int = Field(default=5, ge=0, le=1000, description="Gradient steps")
    rate: float = Field(
        default=0.02,
        gt=0,
        description="Length of a step, as a share of the kernel's norm; half as long after a failure",
    )
    keep: float = Field(
        default=1.0, ge=0, description="Weight of the relative squared change of the kernel, the mean over its leaves"
    )
    sigma: float = Field(default=0.25, gt=0, description="Width of the label, as a share of the box's sides")
    tau: float = Field(default=0.05, gt=0, lt=1, description="Label under which a low score costs nothing")
    views: Literal["full", "few"] = Field(default="few", description="Copies of the first frame: 30 or 10")
    seed: int = Field(default=0, ge=0, description="Of the random part of the copies' shifts")
