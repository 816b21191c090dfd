"""Natural order: ``img2`` comes before ``img10``."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]+)")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that compares runs of digits as numbers; equal numbers (``01``, ``1``) fall back to the text."""
    parts = _NUMBER.split(text)
    return tuple((0, int(part), part) if index % 2 else (1, 0, part) for index, part in enumerate(parts))


def last_number(text: str) -> int | None:
    """The last run of digits in a name, as in ``img000015``, or ``None``."""
    numbers = _NUMBER.findall(text)
    return int(numbers[-1]) if numbers else None
