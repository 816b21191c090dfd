"""Numbers as other programs read them too."""

from __future__ import annotations


def to_float(text: str) -> float:
    """Read a number in plain digits; ``nan`` and ``inf`` are numbers.

    Python's ``float`` also takes ``1_0`` for 10, and digits of other scripts: a damaged line would pass for a box.

    Raises:
        ValueError: if it is none.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number in plain digits")
    return float(text)
