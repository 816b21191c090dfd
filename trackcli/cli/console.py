"""Where words go: results to stdout, progress and notes to stderr, and never as terminal markup."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trackcli.cli.errors import one_line
from trackcli.cli.streams import say

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class Console:
    """How chatty a command is.

    Attributes:
        quiet: Only errors and results.
        verbose: Also details that help to find a problem.
    """

    quiet: bool = False
    verbose: bool = False

    def note(self, text: str) -> None:
        """One line for the person, on stderr."""
        if not self.quiet:
            say(one_line(text), sys.stderr)

    def warn(self, text: str) -> None:
        """One line about something that was repaired or left out, on stderr, even when quiet."""
        say(f"warning: {one_line(text)}", sys.stderr)

    def detail(self, text: str) -> None:
        """One line that only ``-v`` shows."""
        if self.verbose:
            self.note(text)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A rich progress display on stderr; invisible when quiet or when stderr is no terminal."""
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        stderr = RichConsole(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
        )
        visible = not self.quiet and stderr.is_terminal
        with Progress(*columns, console=stderr, transient=True, disable=not visible) as progress:
            yield progress
