"""What this distribution provides. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli import LossSpec, hookimpl


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """The loss."""
    yield LossSpec(
        name="diou",
        summary="Distance-IoU of the boxes of positive anchors",
        factory="trackcli_diou.loss:DiouLoss",
        config="trackcli_diou.config:DiouConfig",
        paper="Zheng et al. 2020, Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression",
    )
