"""What a sampler is: it says, by a sample's number alone, which records make the pair. Samplers read no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np

Part = tuple[float, float, float, float]
"""A part of a box: x0, y0, x1, y1 as shares of its width and height, each in 0..1."""


class PairKind(IntEnum):
    """How template and search region of a pair belong together."""

    SAME_INSTANCE = 0
    SAME_CATEGORY = 1
    DIFFERENT_CATEGORY = 2


class RecordKey(NamedTuple):
    """A record of one of several caches: both are indices."""

    cache: int
    record: int


@dataclass(frozen=True)
class PairPlan:
    """What one pair is made of.

    Attributes:
        template: Where the template comes from.
        search: Where the search region comes from.
        kind: How they belong together.
        positive: Whether the target is in the search region.
        part: If given, the target is this part of the object, in both.
        center_on: If given, the search region is centred on this one of the other objects annotated in the record
            ``search``, as far as the target stays inside.
        background: If given, the target of ``search`` is cut out and pasted onto this record's surroundings.
        surroundings: If given, the template's target is pasted likewise, else it keeps its own photograph.
        distractors: Objects pasted beside the target.
    """

    template: RecordKey
    search: RecordKey
    kind: PairKind = PairKind.SAME_INSTANCE
    positive: bool = True
    part: Part | None = None
    center_on: int | None = None
    background: RecordKey | None = None
    surroundings: RecordKey | None = None
    distractors: tuple[RecordKey, ...] = ()


class Sampler(Protocol):
    """Draws pairs. Equal seeds and numbers give equal plans, in whatever order and process they are asked for.

    It must pickle, so that other processes can draw from it.
    """

    def draw(self, sample_id: int) -> tuple[PairPlan, np.random.Generator]:
        """The plan of sample ``sample_id`` (from 0), and the generator that continues its random choices."""
        ...
