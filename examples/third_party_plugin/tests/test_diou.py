"""The loss keeps the contract, and equals a value worked out by hand."""

from __future__ import annotations

from typing import ClassVar

import torch
import trackcli_diou.plugin
from trackcli_diou.loss import diou_loss

from trackcli.testing import LossContract


class TestDiou(LossContract):
    """Without installation: the plugin module is given."""

    name = "diou"
    plugin: ClassVar[object] = trackcli_diou.plugin


def test_two_boxes_half_over_each_other() -> None:
    """Boxes of 2×2 shifted by 1: IoU 2/6, centres 1 apart, hull 3×2 with diagonal² 13."""
    loss = diou_loss(torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 0, 3, 2]))
    torch.testing.assert_close(loss, torch.tensor(1 - 1 / 3 + 1 / 13))
