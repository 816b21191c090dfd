"""The multiple losses mechanism: one loss on the fused output and on each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from trackcli.contracts.components import Loss
from trackcli.contracts.predictions import Predictions
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.errors import FitError
from trackcli.host.registry import installed
from trackcli.host.specs import LossSpec
from trackcli_pgnet.config import MultiLossConfig


class MultiLoss(Loss):
    """``L = L(fused) + Σᵢ L(stageᵢ)``, for any head that gives stages and any loss that takes its output.

    With ``rpn``, L is cross-entropy + λ · smooth L1 (equations 5 and 6); the fusion's weights δ and γ (equations 7, 8)
    are the head's parameters and learn through the fused term. All stages see the same sampled anchors. With a single
    stage the stage is the fused output, which counts once.

    Source: Liao et al. 2020 (PG-Net), section 3.4, equation 9.
    """

    def __init__(self, config: MultiLossConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        inner = config.inner()
        self.inner_weight = inner.weight
        self.each: Loss = installed().find(LossSpec, config.each.name).load_factory()(inner, adjusted)
        if self.each.needs_candidates:
            raise FitError(
                f"loss {config.each.name!r} needs decoded candidates, which stages do not have; expected one that "
                "reads the head's output, e.g. --set loss.multi-loss.each.name=rpn"
            )

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The loss's terms: of the fused output under their own names, of the stages as ``stage.term``."""
        return {
            f"{prefix}{term}": self.inner_weight * value
            for prefix, predictions in self._constrained(outputs.predictions)
            for term, value in self.each(replace(outputs, predictions=predictions), batch).items()
        }

    def _constrained(self, predictions: Predictions[object]) -> Iterator[tuple[str, Predictions[object]]]:
        stages = predictions.stages if len(predictions.stages) > 1 else {}
        if self.config.fused or not stages:
            yield "", Predictions(predictions.output)
        for name, stage in stages.items():
            yield f"{name}.", Predictions(stage)
