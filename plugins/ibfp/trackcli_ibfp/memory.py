"""The weighted memory: which sample makes room, and what each one counts."""

from __future__ import annotations

import torch
from torch import Tensor


def slots_for(weights: Tensor, initial: int) -> Tensor:
    """The slot that makes room in each row: an empty one, or else the sample that counts least.

    Args:
        weights: ``(B, n)``, 0 for empty slots.
        initial: So many samples of the first frame, in front, are kept for ever.

    Returns:
        ``(B,)`` int64.
    """
    return weights[:, initial:].argmin(dim=1) + initial


def with_new(weights: Tensor, slots: Tensor, rates: Tensor, *, initial: int, least_initial: float) -> Tensor:
    """Weights after one sample more.

    The new one gets its rate, the others share the rest as before, so that old ones fade. The first frame's samples
    together keep a least share.

    Args:
        weights: ``(B, n)``, each row with sum 1.
        slots: ``(B,)`` where the new sample goes.
        rates: ``(B,)``.
        initial: Number of the first frame's samples.
        least_initial: Their least share.

    Source: Danelljan et al. 2017 (ECO) and 2019 (ATOM), public code of the sample memory.
    """
    taken = weights.scatter(1, slots.unsqueeze(1), 0)
    taken = taken / taken.sum(dim=1, keepdim=True) * (1 - rates).unsqueeze(1)
    following = taken.scatter(1, slots.unsqueeze(1), rates.unsqueeze(1))
    first = following[:, :initial]
    share = first.sum(dim=1, keepdim=True)
    too_little = share < least_initial
    raised = torch.where(too_little, torch.full_like(first, least_initial / initial), first)
    lowered = following[:, initial:] * torch.where(too_little, (1 - least_initial) / (1 - share), 1)
    return torch.cat((raised, lowered), dim=1)
