"""Published weights in other layouts, brought into a backbone's own without changing what they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from trackcli.contracts.weights import AdaptedWeights

_NORM = ("weight", "bias", "running_mean", "running_var")


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


def fold_norms(weights: Mapping[str, Tensor], norms: Mapping[str, str], eps: float = 1e-5) -> AdaptedWeights:
    """Multiply batch norms into the convolutions before them: ``γ (w x + b - m) / √(v + ε) + β`` is one convolution.

    Args:
        weights: By name.
        norms: Name of a convolution → name of its batch norm.
        eps: The batch norms' ε.
    """
    adapted = dict(weights)
    folded = 0
    for conv, norm in norms.items():
        if not _is_normed(weights, conv, norm):
            continue
        gamma, beta, mean, variance = (adapted.pop(f"{norm}.{name}").float() for name in _NORM)
        adapted.pop(f"{norm}.num_batches_tracked", None)
        factor = gamma * torch.rsqrt(variance + eps)
        bias = adapted[f"{conv}.bias"].float() if f"{conv}.bias" in adapted else torch.zeros_like(mean)
        adapted[f"{conv}.weight"] = adapted[f"{conv}.weight"].float() * factor[:, None, None, None]
        adapted[f"{conv}.bias"] = beta + (bias - mean) * factor
        folded += 1
    return AdaptedWeights(adapted, (f"{folded} batch norms folded into the convolutions before",) if folded else ())


def unfold_norms(weights: Mapping[str, Tensor], norms: Mapping[str, str], eps: float = 1e-5) -> AdaptedWeights:
    """Give convolutions whose batch norms were folded into them new ones that change nothing but add the bias.

    As long as their statistics are kept, the network computes the same.

    Args:
        weights: By name.
        norms: Name of a convolution → name of its batch norm.
        eps: The batch norms' ε.
    """
    adapted = dict(weights)
    unfolded = 0
    for conv, norm in norms.items():
        if f"{conv}.bias" not in weights or any(name.startswith(f"{norm}.") for name in weights):
            continue
        bias = adapted.pop(f"{conv}.bias").float()
        adapted[f"{norm}.bias"] = bias
        adapted[f"{norm}.weight"] = torch.ones_like(bias)
        adapted[f"{norm}.running_mean"] = torch.zeros_like(bias)
        adapted[f"{norm}.running_var"] = torch.full_like(bias, 1 - eps)
        unfolded += 1
    text = f"{unfolded} biases of convolutions with folded norms put into norms that change nothing else"
    return AdaptedWeights(adapted, (text,) if unfolded else ())


def _is_normed(weights: Mapping[str, Tensor], conv: str, norm: str) -> bool:
    """Whether the weights hold a convolution with a whole batch norm behind it."""
    kernel, parts = weights.get(f"{conv}.weight"), [weights.get(f"{norm}.{name}") for name in _NORM]
    return (
        kernel is not None
        and kernel.ndim == 4
        and all(part is not None and part.shape == kernel.shape[:1] for part in parts)
    )
