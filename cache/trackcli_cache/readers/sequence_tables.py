"""Attributes of whole sequences, kept in files of one flag per attribute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trackcli_cache.tables import read_flags


def named_attributes(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The attributes whose column is not 0 in a file of one flag per attribute.

    Raises:
        DatasetError: if it has not as many flags as there are names.
    """
    flags = read_flags(path, len(names), per="attribute")
    return tuple(name for name, flag in zip(names, flags, strict=True) if flag)
