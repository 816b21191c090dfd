"""In which number format the network computes. Weights, losses and the optimiser stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from trackcli.config.training import TrainConfig
from trackcli.errors import ConfigError

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

SMALLEST_SCALE = 1.0
"""fp16 gradients that overflow even at this scale do so for another reason than their format."""


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[None]:
    """The context in which the network runs forward."""
    if config.precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=TYPES[config.precision])


def make_scaler(config: TrainConfig, device: torch.device) -> torch.amp.GradScaler:
    """Scales losses so that small gradients survive fp16; does nothing otherwise.

    Raises:
        ConfigError: where the device has no fp16 gradients.
    """
    if config.precision == "fp16" and device.type not in {"cuda", "cpu"}:
        raise ConfigError(f"train.precision is 'fp16', which {device.type} cannot train in; use bf16 or fp32")
    return torch.amp.GradScaler(
        device.type if device.type in {"cuda", "cpu"} else "cpu", enabled=config.precision == "fp16"
    )


def exact_grouped_convolutions(network: nn.Module, config: TrainConfig, device: torch.device) -> None:
    """Let dilated grouped convolutions compute in float32 where the processor's bf16 gradient of them is wrong.

    PyTorch 2.13's gradient of their weights, bf16 and channels-last on a CPU, reads memory that nobody wrote: numbers
    of any size, or not finite ones. In float32 it is right, and quicker too.
    """
    if device.type != "cpu" or config.precision != "bf16":
        return
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups > 1 and max(module.dilation) > 1:
            module.__class__ = _Float32Conv2d  # parameters, hooks and names stay as they are


class _Float32Conv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
