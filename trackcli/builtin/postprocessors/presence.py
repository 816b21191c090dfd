"""Is the target in view? The head's score says how well a place fits; how it looks says whether this is the target."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.config_presence import PresenceConfig
from trackcli.builtin.postprocessors.track import frame_geometry
from trackcli.contracts.components import TrackLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.levels import Features
from trackcli.contracts.predictions import Selection
from trackcli.contracts.state import State
from trackcli.errors import ShapeError
from trackcli.geometry.roi_align import roi_align

SCORE, TEMPLATE, MEMORY = "presence.score", "presence.template", "presence.memory"
"""Flags: the head's score, and the two cosines."""

LEAST = 1e-4
"""Scores are kept this far from 0 and 1, where the logit has no end."""

_MEAN = "mean."


class Presence(TrackLink):
    """Replace the head's score by the probability that the target is in view; boxes stay as they are.

    What a box looks like are the backbone's levels, pooled over ``cells × cells`` parts of it. The mean of the template
    crop is taken off each channel first: what target and surroundings have in common tells nothing.

    It comes behind links that use the head's score, such as ``smooth-size``, and before those that ask whether the
    target is gone.
    """

    def __init__(self, config: PresenceConfig) -> None:
        super().__init__()
        self.config = config

    def start(self, context: StartContext) -> State:
        """``template`` and ``memory`` ``(B, D)``: the target's looks; ``mean.<level>`` ``(B, C)``.

        Raises:
            ShapeError: if the branch does not say where the target is.
        """
        if context.template.boxes_xyxy is None:
            raise ShapeError("presence needs the target's box in the template; the branch has none")
        features = self._chosen(context.template.features)
        means = {_MEAN + name: level.map.float().mean(dim=(2, 3)) for name, level in features.items()}
        looks = self._looks(features, context.template.boxes_xyxy, means)
        return {"template": looks, "memory": looks.clone(), **means}

    def step(self, selection: Selection, state: State, context: Context) -> tuple[Selection, State]:
        """Score anew, and remember what sure frames look like."""
        boxes_xyxy = frame_geometry(context).crop_map.to_crop(selection.boxes_xyxy)
        looks = self._looks(self._chosen(context.search.features), boxes_xyxy, state)
        template, memory = (looks * state["template"]).sum(dim=1), (looks * state["memory"]).sum(dim=1)
        scores = self.probability(selection.scores, template, memory)
        mixed = F.normalize(torch.lerp(state["memory"], looks, self.config.memory_rate), dim=1)
        sure = (scores >= self.config.memory_above).unsqueeze(1)
        flags = {**selection.flags, SCORE: selection.scores, TEMPLATE: template, MEMORY: memory}
        following = {**state, "memory": torch.where(sure, mixed, state["memory"])}
        return replace(selection, scores=scores, flags=flags), following

    def probability(self, scores: Tensor, template: Tensor, memory: Tensor) -> Tensor:
        """``(B,)`` scores in 0..1 and cosines in -1..1 → ``(B,)`` probabilities."""
        config = self.config
        evidence = config.score_weight * scores.clamp(LEAST, 1 - LEAST).logit()
        alike = config.template_weight * template + config.memory_weight * memory
        return (config.bias + evidence + alike).sigmoid()

    def _chosen(self, features: Features) -> Features:
        return {name: features[name] for name in self.config.levels or tuple(features)}

    def _looks(self, features: Features, boxes_xyxy: Tensor, means: State) -> Tensor:
        """``(B, D)`` of length 1: every level counts the same, whatever its number of channels and their size."""
        parts = []
        for name, level in features.items():
            pooled = roi_align(
                level.map, boxes_xyxy.unsqueeze(1), grid=level.grid, output_size=self.config.cells
            ).squeeze(1)
            centred = pooled.float() - means[_MEAN + name][..., None, None]
            parts.append(F.normalize(centred.flatten(1), dim=1))
        return torch.cat(parts, dim=1) / math.sqrt(len(parts))
