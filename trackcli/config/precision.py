"""In which number format a tracked network computes. No torch."""

from __future__ import annotations

from trackcli.errors import UsageError

PRECISIONS = ("fp32", "bf16")
"""What ``--precision`` takes."""


def check_precision(name: str) -> None:
    """Refuse what is not in :data:`PRECISIONS`.

    Raises:
        UsageError: naming what is expected.
    """
    if name not in PRECISIONS:
        raise UsageError(f"--precision {name} is unknown; expected {' or '.join(PRECISIONS)}")
