"""Where in a large text file the lines of each group are, so that groups can be read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.errors import DatasetError

LONGEST_LINE = 4096


class LineRuns:
    """Lines grouped by their first comma-separated field; a group need not be in one piece.

    Args:
        path: The file; read once from beginning to end.

    Raises:
        DatasetError: if it cannot be read or is not lines of text.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runs: dict[bytes, list[tuple[int, int]]] = {}
        try:
            with path.open("rb") as file:
                self._index(iter(lambda: file.readline(LONGEST_LINE + 1), b""))
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error

    def _index(self, lines: Iterator[bytes]) -> None:
        at = start = 0
        group: bytes | None = None
        for line in lines:
            if len(line) > LONGEST_LINE:
                raise DatasetError(f"{self._path} has a line of more than {LONGEST_LINE} bytes at byte {at}")
            key = line.split(b",", 1)[0].strip()
            if key != group:
                self._close(group, start, at)
                group, start = key, at
            at += len(line)
        self._close(group, start, at)

    def _close(self, group: bytes | None, start: int, end: int) -> None:
        if group:
            self._runs.setdefault(group, []).append((start, end))

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        """Groups in the order of their first line, each with all its lines."""
        with self._path.open("rb") as file:
            for group, runs in self._runs.items():
                lines: list[str] = []
                for start, end in runs:
                    file.seek(start)
                    lines += file.read(end - start).decode("utf-8", errors="replace").splitlines()
                yield group.decode("utf-8", errors="replace"), lines
