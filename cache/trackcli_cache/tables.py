"""Numbers in text files as datasets write them: any common separator, NaN, and errors that name file and line."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.errors import DatasetError
from trackcli_cache.numerals import to_float
from trackcli_cache.readers.layout import read_lines

MAX_MAGNITUDE = 1e9
"""Coordinates beyond this are no pixels."""

BOX = "x,y,w,h in pixels"

_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")


def parse_numbers(line: str) -> list[float] | None:
    """The numbers of a line separated by commas, semicolons, tabs or spaces; ``None`` if it holds anything else."""
    try:
        return [to_float(part) for part in _SEPARATOR.split(line.strip())]
    except ValueError:
        return None


def check_numbers(numbers: list[float] | None, line: str, where: str, expected: str) -> list[float]:
    """Refuse what is no number, infinite, or beyond any image; NaN is let through.

    Raises:
        DatasetError: with ``where`` (file and line) in front.
    """
    if numbers is None:
        raise DatasetError(f"{where}: {_quote(line)} is not a box; expected {expected}")
    if any(abs(number) > MAX_MAGNITUDE for number in numbers):
        raise DatasetError(f"{where}: {_quote(line)} holds an infinite or absurd number; expected {expected}")
    return numbers


def read_boxes(path: Path) -> NDArray[np.float64]:
    """Read one ``x,y,w,h`` per line.

    Returns:
        ``(T, 4)`` float64, exactly the numbers of the file; a whole row of NaN where there is no box: a line with
        ``nan``, or with a width or height of zero or less.

    Raises:
        DatasetError: if a line is not four numbers; the message names file and line.
    """
    return without_empty(_read_rows(path, 4, BOX))


def read_table(path: Path, columns: int, expected: str) -> NDArray[np.float64]:
    """Read the same count of numbers from every line: ``(T, columns)`` float64, NaN as it is.

    Raises:
        DatasetError: if a line has another count, or something else in it; the message names file and line.
    """
    return _read_rows(path, columns, expected)


def without_empty(boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy of ``(T, 4)`` boxes with rows of NaN for those that hold a NaN or have no area."""
    empty = np.isnan(boxes_xywh).any(axis=1) | (boxes_xywh[:, 2:] <= 0).any(axis=1)
    boxes = boxes_xywh.copy()
    boxes[empty] = math.nan
    return boxes


def read_flags(path: Path, length: int, per: str = "frame") -> NDArray[np.int64]:
    """Read one whole number per frame (or whatever ``per`` says), all in one line or one a line.

    Raises:
        DatasetError: if there are not ``length`` of them.
    """
    values: list[int] = []
    for number, line in enumerate(read_lines(path), start=1):
        numbers = parse_numbers(line)
        if numbers is None or any(not value.is_integer() or abs(value) > 2**31 for value in numbers):
            raise DatasetError(f"{path}, line {number}: {_quote(line)} is not a list of whole numbers, one per {per}")
        values.extend(int(value) for value in numbers)
    if len(values) != length:
        raise DatasetError(f"{path} has {len(values)} values for {length} {per}s; expected one per {per}")
    return np.array(values, dtype=np.int64)


def read_names(path: Path) -> list[str]:
    """Read one name of a folder or file per line; empty lines are passed over.

    Raises:
        DatasetError: if a name leads elsewhere, or is there twice.
    """
    names: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line:
            continue
        check_name(line, f"{path}, line {number}")
        if line in names:
            raise DatasetError(f"{path}, line {number}: {line!r} is already on line {names[line]}; remove one of them")
        names[line] = number
    return list(names)


def check_name(name: str, where: str) -> None:
    """Names in annotations must not lead out of their folder.

    Raises:
        DatasetError: if it is not a plain name.
    """
    if name in {"", ".", ".."} or any(letter in name for letter in "/\\\0:"):
        raise DatasetError(f"{where}: {name[:80]!r} is not a plain name of a folder or file")


def _read_rows(path: Path, columns: int, expected: str) -> NDArray[np.float64]:
    rows = [
        _read_row(line, f"{path}, line {number}", columns, expected)
        for number, line in enumerate(read_lines(path), start=1)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def _read_row(line: str, where: str, columns: int, expected: str) -> list[float]:
    numbers = parse_numbers(line)
    return check_numbers(numbers if numbers is None or len(numbers) == columns else None, line, where, expected)


def _quote(line: str) -> str:
    return repr(line.strip()[:80]) if line.strip() else "an empty line"
