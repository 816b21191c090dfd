"""Small number tables as text, one row per frame: what result files are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trackcli_cache.files import write_whole
from trackcli_cache.numerals import to_float

from trackcli.errors import InputDataError

Floats = NDArray[np.float64]

MAX_BYTES = 64 * 1024 * 1024
"""Larger files are not read: a million frames take less than this."""

MAX_COLUMNS = 1000

_SEPARATOR = re.compile(r"\s*,\s*|\s+")
_SHOWN = 80
_VOT_CODE = re.compile(r"([012])(?:\.0*)?")
_START_CODE = "1"


def read_table(
    path: Path, columns: Sequence[str], *, repeated: bool = False, start_code: bool = False, finite: bool = False
) -> Floats:
    """Read one row of numbers per line, separated by commas, tabs or spaces; ``nan`` is a number unless ``finite``.

    Empty lines at the end are ignored; anywhere else they are an error, because they would shift all later frames.

    Args:
        path: The file to read.
        columns: What the numbers of a line are, as in ``("x", "y", "w", "h")``.
        repeated: The columns may repeat, equally often on each line (one per repetition).
        start_code: The first line may be VOT's code for a start, ``1``; it becomes a row of NaN.
        finite: Refuse NaN and infinity.

    Returns:
        ``(T, len(columns))`` float64, exactly the numbers of the file.

    Raises:
        InputDataError: if the file cannot be read or a line does not fit; the message names file and line.
    """
    lines = _read_text(path, columns).rstrip().splitlines()
    times = _count_words(lines[0]) // len(columns) if repeated and lines else 1
    names = tuple(columns) * min(max(times, 1), MAX_COLUMNS)
    rows = []
    for number, line in enumerate(lines, start=1):
        code = _VOT_CODE.fullmatch(line.strip()) if start_code else None
        if code is None:
            rows.append(_parse_line(line, names, f"{path}, line {number}", finite=finite))
        elif number == 1 and code[1] == _START_CODE:
            rows.append([math.nan] * len(names))
        else:
            raise InputDataError(
                f"{path}, line {number}: code {code[1]} of a run with resets; expected one pass with a box on each "
                "line; such results belong to VOT's own protocol"
            )
    return np.array(rows, dtype=np.float64).reshape(-1, len(names))


def write_table(path: Path, rows: Floats) -> None:
    """Write ``(T, columns)`` numbers, separated by commas, so that reading them gives the same floats.

    The file is there whole or not at all; its folder must exist.

    Raises:
        CacheError: if it cannot be written.
    """
    write_whole(path, format_table_rows(rows).encode("ascii"))


def format_table_rows(rows: Floats) -> str:
    """``(T, columns)`` numbers as lines, separated by commas, no digit lost."""
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist())


def _count_words(line: str) -> int:
    return len(_SEPARATOR.split(line.strip()))


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


def _parse_line(line: str, columns: Sequence[str], where: str, *, finite: bool) -> list[float]:
    words = _SEPARATOR.split(line.strip())
    try:
        numbers = [to_float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != len(columns):
        given = repr(line.strip()[:_SHOWN]) if line.strip() else "an empty line"
        several = f"{len(columns)} numbers separated by commas, tabs or spaces"
        expected = "one number" if len(columns) == 1 else several
        raise InputDataError(f"{where}: {given} is not {','.join(columns)}; expected {expected}")
    if finite and not all(map(math.isfinite, numbers)):
        raise InputDataError(
            f"{where}: {line.strip()[:_SHOWN]!r} is not finite; expected {','.join(columns)} in numbers; "
            f"where nothing was found, write {','.join('0' * len(columns))}"
        )
    return numbers
