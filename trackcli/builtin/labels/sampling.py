"""Random choices that depend on the sample alone: not on the device, its batch, or how many processes train."""

from __future__ import annotations

import torch
from torch import Tensor

_PRIME_A, _PRIME_B, _MODULUS = 48_271, 69_621, 2_147_483_647  # two multipliers of the Park-Miller generator


def priorities(sample_ids: Tensor, count: int) -> Tensor:
    """``(B, count)`` pseudo-random int64, a function of sample id and position only."""
    position = torch.arange(1, count + 1, device=sample_ids.device)
    mixed = (sample_ids.unsqueeze(1) % _MODULUS + 1) * _PRIME_A % _MODULUS
    for multiplier in (_PRIME_A, _PRIME_B, _PRIME_A):
        # Squaring breaks the lattice that a purely linear generator would draw over neighbouring positions.
        mixed = (mixed ^ position) % _MODULUS
        mixed = (mixed * multiplier + (mixed >> 13) * position) % _MODULUS
    return mixed


def keep_some(mask: Tensor, most: int, sample_ids: Tensor) -> Tensor:
    """At most ``most`` of each row's true elements, chosen at random.

    Args:
        mask: ``(B, N)`` bool.
        most: How many may stay per row.
        sample_ids: ``(B,)`` int64.

    Returns:
        ``(B, N)`` bool, a subset of ``mask``.
    """
    ranked = priorities(sample_ids, mask.shape[1]).masked_fill(~mask, -1)
    best, where = ranked.topk(min(most, mask.shape[1]), dim=1)
    kept = torch.zeros_like(mask)
    return kept.scatter(1, where, best >= 0)
