"""Writing pages, without running over a file that is not a report."""

from __future__ import annotations

from pathlib import Path

from trackcli_cache.files import write_whole

from trackcli.errors import UsageError
from trackcli.reporting.page import GENERATOR

_HEAD_BYTES = 4096


def check_page_path(path: Path, *, force: bool) -> None:
    """Refuse a path that cannot become a page, before any work is done; an older report may be replaced.

    Raises:
        UsageError: for a folder, a missing folder, or another file without ``force``.
    """
    if path.is_dir():
        raise UsageError(f"output '{path}' is a folder; expected the name of a file, such as '{path / 'report.html'}'")
    if not path.parent.is_dir():
        raise UsageError(f"output '{path}' has no folder to be in; create '{path.parent}' first")
    if path.exists() and not force and not _is_report(path):
        raise UsageError(
            f"output '{path}' exists and is no report; choose another name, or add --force to overwrite it"
        )


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        CacheError: if it cannot be written.
    """
    write_whole(path, page.encode("utf-8", errors="replace"))


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_HEAD_BYTES)
