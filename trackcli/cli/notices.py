"""Warnings that the library raises on purpose become one line on stderr, like all else."""

from __future__ import annotations

import sys
import warnings
from typing import TextIO

from trackcli.cli.errors import one_line
from trackcli.cli.streams import say


def show_version_warnings_as_lines() -> None:
    """Print ``VersionWarning`` as ``warning: …``; all other warnings as Python does."""
    usual = warnings.showwarning

    def show(  # noqa: PLR0917  # the signature that the standard library calls
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category.__name__ == "VersionWarning":  # by name: importing it would slow down every start
            say(f"warning: {one_line(str(message))}", sys.stderr)
        else:
            usual(message, category, filename, lineno, file, line)

    warnings.showwarning = show
