"""Building: a plan that fits becomes modules."""

from __future__ import annotations

from typing import Any

from torch import nn

from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, Planned
from trackcli.config.component import LossConfig
from trackcli.contracts.components import Loss


def build_model(plan: Plan) -> TrackerModel:
    """The composed network with fresh weights, in evaluation mode."""
    model = TrackerModel(
        backbone=_make(plan.backbone),
        matcher=_make(plan.matcher, plan.levels, plan.recipe.crop),
        head=_make(plan.head, plan.matches, plan.levels),
        candidate_links=[(link.spec.name, _make(link)) for link in plan.candidate_links],
        select=_make(plan.select),
        track_links=[(link.spec.name, _make(link)) for link in plan.track_links],
        crop=plan.recipe.crop,
        normalisation=plan.normalisation,
    )
    return model.eval()


class WeightedLosses(nn.Module):
    """All losses of a composition; each term is named ``loss.term`` and carries its loss's weight."""

    def __init__(self, losses: list[tuple[str, Loss, float]]) -> None:
        super().__init__()
        self.losses = nn.ModuleDict({name: loss for name, loss, _ in losses})
        self.weights = {name: weight for name, _, weight in losses}

    @property
    def needs_candidates(self) -> bool:
        """Whether any loss reads decoded candidates."""
        return any(bool(loss.needs_candidates) for loss in self.losses.values())

    def forward(self, outputs: Any, batch: Any) -> dict[str, Any]:
        """Weighted scalar terms by ``loss.term``."""
        return {
            f"{name}.{term}": self.weights[name] * value
            for name, loss in self.losses.items()
            for term, value in loss(outputs, batch).items()
        }


def build_losses(plan: Plan) -> WeightedLosses:
    """The composition's losses with their weights."""
    losses = []
    for planned in plan.losses:
        assert isinstance(planned.config, LossConfig)
        losses.append((planned.spec.name, _make(planned, plan.adjusted), planned.config.weight))
    return WeightedLosses(losses)


def _make(planned: Planned, *context: Any) -> Any:
    return planned.spec.load_factory()(planned.config, *context)
