"""The eager engine: batch norm folded into convolutions, weights laid out for the processor."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trackcli.composition.model import TrackerModel
from trackcli.engines.precision import Bf16Model


def optimised(model: TrackerModel, precision: str = "fp32") -> TrackerModel:
    """A copy for inference: the same function to rounding, with fewer passes over memory.

    The copy has other parameter names, so it is for running only; the original is what is saved.

    Args:
        model: The composed network.
        precision: ``fp32``, or ``bf16`` for :class:`Bf16Model`.
    """
    fast = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(fast.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
        else:
            _fold_declared(module)
    if precision == "bf16":
        fast = Bf16Model.of(fast).to(next(model.parameters()).device).eval()
    return fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub


def _fold_sequence(sequence: nn.Sequential) -> None:
    """Fold each batch norm that directly follows a convolution."""
    for index in range(len(sequence) - 1):
        first, second = sequence[index], sequence[index + 1]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(first, second)
            sequence[index + 1] = nn.Identity()


def _fold_declared(module: nn.Module) -> None:
    """Fold the pairs that a module names in ``folds``, because only it knows that one directly follows the other."""
    for convolution, norm in getattr(module, "folds", ()):
        first, second = getattr(module, convolution), getattr(module, norm)
        if isinstance(second, nn.BatchNorm2d):
            setattr(module, convolution, fuse_conv_bn_eval(first, second))
            setattr(module, norm, nn.Identity())
