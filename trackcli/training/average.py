"""The exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch

from trackcli.composition.model import TrackerModel


class Average:
    """A model whose weights follow another's slowly.

    Args:
        model: The one to follow; the average starts from its weights.
        decay: Share that is kept per step.
    """

    def __init__(self, model: TrackerModel, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    def restart(self, model: TrackerModel) -> None:
        """Forget what was and start from a model's weights."""
        self.model.load_state_dict(model.state_dict())

    @torch.no_grad()
    def follow(self, model: TrackerModel, step: int) -> None:
        """Take one step towards the model; the first ones are longer, so that the start is forgotten."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)
