"""Configuration of the link that says whether the target is in view. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from trackcli.config.component import PostprocessorConfig
from trackcli.contracts.shapes import LevelShape
from trackcli.errors import FitError


class PresenceConfig(PostprocessorConfig):
    """Probability that the target is in view, from the head's score and from how alike the found box is.

    ``p = sigmoid(bias + score_weight · logit(score) + template_weight · a + memory_weight · m)``, where a and m are
    cosines in -1..1 with the target's looks in the first frame and lately. The weights were fitted on clips of training
    material by ``benchmarks/gone.py --fit``; they belong to the weights of a tracker.
    """

    levels: tuple[str, ...] = Field(default=(), description="Backbone levels that are compared; none named: all")
    cells: int = Field(default=1, ge=1, le=16, description="The box is compared in cells × cells parts")
    score_weight: float = Field(default=0.84, description="Of the logit of the head's score")
    template_weight: float = Field(default=2.9, description="Of the cosine with the first frame")
    memory_weight: float = Field(default=6.2, description="Of the cosine with the running mean")
    bias: float = Field(default=-5.4, description="Moves the middle, probability 0.5")
    memory_rate: float = Field(default=0.1, ge=0, le=1, description="Share of a sure frame in the running mean")
    memory_above: float = Field(default=0.7, ge=0, le=1, description="A frame is sure from this probability up")

    def check(self, levels: Mapping[str, LevelShape], search_sizes: tuple[int, ...]) -> None:
        """The levels must be there."""
        missing = [name for name in self.levels if name not in levels]
        if missing:
            raise FitError(
                f"postprocessor.presence.levels names {missing[0]!r}, which the backbone does not give; it gives: "
                f"{', '.join(levels)}"
            )
