"""From a batch to weighted loss terms: what is trained, and what is replayed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trackcli.composition.build import WeightedLosses
from trackcli.composition.model import TrackerModel
from trackcli.config.training import TrainConfig
from trackcli.contracts.training import Batch
from trackcli.errors import ConfigError
from trackcli.training.learning import Learning
from trackcli.training.precision import autocast


class PairLosses(nn.Module):
    """Model and losses as one module."""

    def __init__(self, model: TrackerModel, losses: WeightedLosses, config: TrainConfig, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.losses = losses
        self._config = config
        self._device = device

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted scalar terms by ``loss.term``."""
        with autocast(self._config, self._device):
            outputs = self.model(batch, with_candidates=self.losses.needs_candidates)
        terms: dict[str, Tensor] = self.losses(outputs, batch)
        return terms


def in_phase(terms: dict[str, Tensor], learning: Learning) -> dict[str, Tensor]:
    """The terms times their phase's factors; one with factor 0 is left out, whatever its value.

    Raises:
        ConfigError: if none is left.
    """
    kept = {name: learning.loss_factor(name) * value for name, value in terms.items() if learning.loss_factor(name)}
    if not kept:
        raise ConfigError("train.phases leaves out every loss; give some term a factor above 0")
    return kept
