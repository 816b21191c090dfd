"""From a batch to weighted loss terms: what is trained, and what is replayed."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from trackcli.composition.build import WeightedLosses
from trackcli.composition.model import TrackerModel
from trackcli.config.suggestions import did_you_mean
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


def check_phases(terms: Collection[str], config: TrainConfig) -> None:
    """Refuse phases that weigh terms that the losses do not have, or that leave none: now, not when their time comes.

    Raises:
        ConfigError: saying which.
    """
    for phase in config.phases:
        for name in phase.losses:
            if name not in terms and name not in {term.partition(".")[0] for term in terms}:
                raise ConfigError(
                    f"train.phases weighs {name!r}, which is no term of a loss; {did_you_mean(name, sorted(terms))}"
                )
        learning = Learning(frozenset(), losses=phase.losses)
        if not any(learning.loss_factor(name) for name in terms):
            raise ConfigError("train.phases leaves out every loss; give some term a factor above 0")


def in_phase(terms: dict[str, Tensor], learning: Learning) -> dict[str, Tensor]:
    """The terms times their phase's factors; one with factor 0 is left out, whatever its value."""
    return {name: learning.loss_factor(name) * value for name, value in terms.items() if learning.loss_factor(name)}
