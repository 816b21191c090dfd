"""Moments and intervals of a run, as a person writes them: a share of it, epochs or steps. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator

_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(%|steps?|epochs?)")

Unit = Literal["share", "epochs", "steps"]


@dataclass(frozen=True)
class Duration:
    """A length of training.

    Attributes:
        amount: How many of ``unit``; of a share 0..1.
        unit: Share of the whole run, epochs (counted in pairs), or steps.
    """

    amount: float
    unit: Unit


def parse_moment(value: float | str) -> Duration:
    """``0.25`` and ``"25%"`` are shares of the run; ``"5 epochs"`` and ``"2000 steps"`` count from its start.

    Raises:
        ValueError: for anything else.
    """
    duration = _parse_text(value) if isinstance(value, str) else Duration(float(value), "share")
    if duration.unit == "share" and not 0 <= duration.amount <= 1:
        raise ValueError(f"a share of the run lies in 0..1; for other lengths write e.g. '{duration.amount:g} epochs'")
    return duration


def parse_interval(value: int | str) -> Duration:
    """``500`` is a number of steps; ``"500 steps"``, ``"2 epochs"`` and ``"10%"`` work as in :func:`parse_moment`.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, str):
        return parse_moment(value)
    if value < 0:
        raise ValueError("expected a number of steps, or e.g. '2 epochs'")
    return Duration(float(value), "steps")


def _parse_text(text: str) -> Duration:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a share of the run (0.25 or '25%'), '5 epochs' or '2000 steps'")
    amount, unit = float(match[1]), match[2]
    if unit == "%":
        return Duration(amount / 100, "share")
    return Duration(amount, "epochs" if unit.startswith("epoch") else "steps")


def _moment(value: float | str) -> float | str:
    parse_moment(value)
    return value


def _interval(value: int | str) -> int | str:
    parse_interval(value)
    return value


Moment = Annotated[float | str, AfterValidator(_moment)]
"""A setting that :func:`parse_moment` reads."""

Interval = Annotated[int | str, AfterValidator(_interval)]
"""A setting that :func:`parse_interval` reads."""
