"""Empty words on the command line: mostly an unset variable in a script, and never a name or path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trackcli.errors import UsageError


def refuse_empty_values(words: Sequence[str]) -> None:
    """Refuse ``--option ""``, ``--option=`` and ``""``, which would count as not given, or as the current folder.

    Args:
        words: A command's name and all that follows it.

    Raises:
        UsageError: naming the option, or the word before an argument.
    """
    for before, word in pairwise(words):
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals and not value:
            raise UsageError(f"{option} is empty; expected a value, or no {option} at all")
        if not word:  # the value of an option, or an argument behind one that takes none
            raise UsageError(f"what follows {before!r} is empty; expected a name, a path or another value there")
