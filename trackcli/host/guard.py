"""Calling foreign code: whatever a plugin does wrong becomes one line, and only the user can stop the program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


class ForeignError(Exception):
    """Foreign code failed. The text is one line; ``__cause__`` is what it raised."""


@contextmanager
def foreign_code() -> Iterator[None]:
    """Run a plugin's code so that it can neither end the program nor write into its results.

    What it prints goes to stderr, because stdout is for results (``--json`` must stay one object).

    Raises:
        ForeignError: for whatever was raised inside, ``SystemExit`` included.
        KeyboardInterrupt: as it came, and trackcli's own sign that the program shall end.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except BaseException as error:  # extension modules raise classes that derive from BaseException alone
        if _ends_the_program(error):
            raise
        raise ForeignError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """``ValueError: what it says``, on one line."""
    return " ".join(f"{type(error).__name__}: {_text_of(error)}".split()).removesuffix(":")


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception whose __str__ fails is still only a broken plugin
        return "(its message cannot be shown)"


def _ends_the_program(error: BaseException) -> bool:
    """Whether the user, or a signal that the command line turned into an exception, ends the program."""
    if isinstance(error, Exception | SystemExit):
        return False
    return isinstance(error, KeyboardInterrupt) or type(error).__module__.startswith("trackcli.")
