"""Small number tables as text, one row per frame: what ground truth and result files are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError

Floats = NDArray[np.float64]

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are not read: a million frames take less than this."""

_SEPARATOR = re.compile(r"\s*,\s*|\s+")
_SHOWN = 80


def read_table(path: Path, columns: Sequence[str]) -> Floats:
    """Read one row of numbers per line, separated by commas, tabs or spaces; ``nan`` is a number.

    Empty lines at the end are ignored; anywhere else they are an error, because they would shift all later frames.

    Args:
        path: The file to read.
        columns: What the numbers of a line are, as in ``("x", "y", "w", "h")``.

    Returns:
        ``(T, len(columns))`` float64, exactly the numbers of the file.

    Raises:
        InputDataError: if the file cannot be read or a line does not fit; the message names file and line.
    """
    lines = _read_text(path, columns).rstrip().splitlines()
    rows = [_parse_line(line, columns, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]
    return np.array(rows, dtype=np.float64).reshape(-1, len(columns))


def write_table(path: Path, rows: Floats) -> None:
    """Write ``(T, columns)`` numbers, separated by commas, so that reading them gives the same floats.

    The file is there whole or not at all; its folder must exist.

    Raises:
        CacheError: if it cannot be written.
    """
    write_whole(path, "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()).encode("ascii"))


def _read_text(path: Path, columns: Sequence[str]) -> str:
    expected = f"expected a text file with {','.join(columns)} on each line"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputDataError(f"{path} is larger than {MAX_BYTES // 2**20} MiB; {expected}")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputDataError(f"cannot read {path}: {error.strerror or error}; {expected}") from error
    except UnicodeDecodeError as error:
        raise InputDataError(f"{path} is not text; {expected}") from error


def _parse_line(line: str, columns: Sequence[str], where: str) -> list[float]:
    words = _SEPARATOR.split(line.strip())
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != len(columns):
        given = repr(line.strip()[:_SHOWN]) if line.strip() else "an empty line"
        several = f"{len(columns)} numbers separated by commas, tabs or spaces"
        expected = "one number" if len(columns) == 1 else several
        raise InputDataError(f"{where}: {given} is not {','.join(columns)}; expected {expected}")
    return numbers
