"""How listings are printed: tables, lines and JSON on stdout, never as terminal markup."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trackcli.cli.errors import strip_control_characters


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Columns as wide as their widest cell, two spaces between, a line of headings above."""
    cells = [list(columns), *([row[column] for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print_lines("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def print_lines(lines: Iterable[str]) -> None:
    """Lines without control characters, and without breaks inside them."""
    for line in lines:
        print(strip_control_characters(" ".join(line.splitlines())))


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on one line; JSON has neither NaN nor infinity, they become null."""
    print(json.dumps(_finite(content), default=str))


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
