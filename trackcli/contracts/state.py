"""State of targets: flat dictionaries of tensors whose first dimension is the target.

Kernels, second-stage templates and link states all have this form, so that starting or restarting a target writes
rows, and picking some targets reads rows, whoever owns the state.
"""

from __future__ import annotations

from torch import Tensor

State = dict[str, Tensor]
"""Named tensors, each with leading target dimension B."""

Kernel = State
"""What a matcher keeps of the template, once per target."""

HeadKernel = State
"""What a head keeps of the template (a second stage's features), once per target."""


def take_rows(state: State, rows: Tensor) -> State:
    """The state of the targets ``rows`` (``(R,)`` indices)."""
    return {name: leaf.index_select(0, rows) for name, leaf in state.items()}


def write_rows(state: State, rows: Tensor, new: State) -> State:
    """A copy of ``state`` in which the targets ``rows`` (``(R,)`` indices) have the state ``new``."""
    return {name: leaf.index_copy(0, rows, new[name].to(leaf.dtype)) for name, leaf in state.items()}
