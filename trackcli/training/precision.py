"""In which number format the network computes. Weights, losses and the optimiser stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
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
    """Let dilated grouped convolutions take another way where the processor's bf16 gradient of them is wrong.

    PyTorch 2.13's gradient of their weights, bf16 and channels-last on a CPU, reads memory that nobody wrote: numbers
    of any size, or not finite ones. Undilated ones are right, and several times quicker too, also than float32.
    """
    if device.type != "cpu" or config.precision != "bf16":
        return
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups > 1 and max(module.dilation) > 1:
            module.__class__ = _PhasedConv2d  # parameters, hooks and names stay as they are


class _PhasedConv2d(nn.Conv2d):
    """A dilated convolution as an undilated one.

    Cells that lie a multiple of the dilation apart (a phase) meet only one another, so each phase is a map of its own.
    """

    def forward(self, input: Tensor) -> Tensor:
        padded, padding = self._padded(input)
        phases = F.conv2d(_to_phases(padded, *self.dilation), self.weight, self.bias, 1, padding, 1, self.groups)
        height, width = (
            size + 2 * step * edge - step * (side - 1)
            for size, step, edge, side in zip(padded.shape[-2:], self.dilation, padding, self.kernel_size, strict=True)
        )
        dense = _from_phases(phases, *self.dilation)[..., :height, :width]
        return dense[..., :: self.stride[0], :: self.stride[1]].contiguous(memory_format=torch.channels_last)

    def _padded(self, maps: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The map with whatever padding the phases cannot be given, and what they can: zeros, as many in each."""
        left, right, top, bottom = self._reversed_padding_repeated_twice
        rows, columns = self.dilation
        if self.padding_mode == "zeros" and left == right and top == bottom and not (left % columns or top % rows):
            return maps, (top // rows, left // columns)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.pad(maps, (left, right, top, bottom), mode=mode), (0, 0)


def _to_phases(maps: Tensor, rows: int, columns: int) -> Tensor:
    """``(B, C, H, W)`` → ``(B · rows · columns, C, ⌈H / rows⌉, ⌈W / columns⌉)``, filled up with 0, channels last."""
    right, bottom = -maps.shape[-1] % columns, -maps.shape[-2] % rows
    filled = F.pad(maps, (0, right, 0, bottom)) if right or bottom else maps
    batch, channels, height, width = filled.shape
    # Channels stay innermost all the way: moving single numbers would take longer than the convolution.
    last = filled.permute(0, 2, 3, 1).reshape(batch, height // rows, rows, width // columns, columns, channels)
    return last.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def _from_phases(phases: Tensor, rows: int, columns: int) -> Tensor:
    """The way back: ``(B · rows · columns, C, h, w)`` → ``(B, C, h · rows, w · columns)``."""
    _, channels, height, width = phases.shape
    last = phases.permute(0, 2, 3, 1).reshape(-1, rows, columns, height, width, channels)
    return last.permute(0, 3, 1, 4, 2, 5).flatten(1, 2).flatten(2, 3).permute(0, 3, 1, 2)
