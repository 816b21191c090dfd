"""What each way of working out pixel-to-global correlation costs, and which one costs least. Torch-free.

``benchmarks/pg_corr_forms.py`` measures the three forms; its table is in the plugin's README.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Form = Literal["two-matmul", "gram", "folded"]
FORMS: tuple[Form, ...] = get_args(Form)

MACS_PER_FLOAT = 12.0
"""Multiplications in the time that one float takes to be written or read again: a round number that puts the change
from two products to folded weights (in training, C = 256, between 64 and 256 cells) where a CPU measures it."""

FRAMES_TRACKED = 100
"""For how many frames a template's part is thought to be used while tracking; in training it is used once."""


@dataclass(frozen=True)
class Work:
    """The size of one correlation.

    Attributes:
        channels: C, of adjusted template and search, and of the result.
        template_cells: n_z, cells of the template's centre (equation 1).
        search_cells: Cells of the search level.
        frames: How many search regions one template meets.
    """

    channels: int
    template_cells: int
    search_cells: int
    frames: int = 1


def cost(form: Form, work: Work) -> float:
    """Multiplications per search region, memory traffic counted as such; a template's part is spread over its frames.

    Per search cell: two products with n_z vectors and the 1×1 over 2C channels; one product with a C×C matrix and the
    1×1; or one product with a C×C matrix alone. Per target: nothing; ZᵀZ; ZᵀZ and its product with the weights.
    """
    c, n_z, cells = work.channels, work.template_cells, work.search_cells
    joined = 2 * c * c * cells + MACS_PER_FLOAT * 5 * c * cells  # [X; S2] is written, and read by the 1×1
    if form == "two-matmul":
        return cells * 2 * c * n_z + MACS_PER_FLOAT * 2 * n_z * cells + joined
    gram = c * c * n_z + MACS_PER_FLOAT * 2 * c * c
    if form == "gram":
        return cells * c * c + joined + gram / work.frames
    fold = c * c * c + MACS_PER_FLOAT * 3 * c * c
    return cells * c * c + (gram + fold) / work.frames


def cheapest(work: Work) -> Form:
    """The form that costs least; of equal ones the first."""
    return min(FORMS, key=lambda form: cost(form, work))
