"""In which number format the network computes. Weights, losses and the optimiser stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

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
