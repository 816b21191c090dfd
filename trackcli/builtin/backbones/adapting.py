"""Published weights in other layouts, brought into a backbone's own without changing what they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from trackcli.contracts.weights import AdaptedWeights


def absorb_biases(weights: Mapping[str, Tensor], norm_of: Callable[[str], str]) -> AdaptedWeights:
    """Take the biases of convolutions off the running mean of the batch norm behind: ``(x + b) - m = x - (m - b)``.

    Args:
        weights: By name.
        norm_of: Name of a convolution → name of its batch norm.
    """
    adapted = dict(weights)
    absorbed = 0
    for name in weights:
        mean = f"{norm_of(name.removesuffix('.bias'))}.running_mean"
        if name.endswith(".bias") and mean != f"{name.removesuffix('.bias')}.running_mean" and mean in weights:
            adapted[mean] = adapted[mean].float() - adapted.pop(name).float()
            absorbed += 1
    return AdaptedWeights(
        adapted, (f"{absorbed} biases of convolutions moved into the batch norms behind",) if absorbed else ()
    )


def place_center_taps(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> AdaptedWeights:
    """Put 1×1 kernels into the middle of 3×3 ones wherever the backbone has those: the others start as 0.

    Args:
        weights: By name.
        own: The backbone's state.
    """
    adapted = dict(weights)
    placed = [name for name, value in weights.items() if name in own and _is_center_of(value, own[name])]
    for name in placed:
        adapted[name] = torch.nn.functional.pad(weights[name], (1, 1, 1, 1))
    return AdaptedWeights(adapted, (f"{len(placed)} kernels of 1×1 put into the middle of 3×3 ones",) if placed else ())


def _is_center_of(value: Tensor, own: Tensor) -> bool:
    return value.ndim == 4 and value.shape[2:] == (1, 1) and own.shape == (*value.shape[:2], 3, 3)
