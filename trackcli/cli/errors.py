"""Turns exceptions into one line on stderr (or one JSON object on stdout) and an exit code."""

from __future__ import annotations

import errno
import json
import sys
import traceback

import typer
from trackcli_cache.errors import CacheError

from trackcli.cli.streams import say
from trackcli.errors import TrackcliError

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})


class Terminated(BaseException):
    """Raised in the main thread when SIGTERM arrives, so that commands save what they have."""


def exit_code_of(error: BaseException) -> int:
    """Map an exception to the exit code that ``--help`` promises."""
    if isinstance(error, TrackcliError):
        return error.exit_code
    if isinstance(error, CacheError):
        return EXIT_INPUT
    if isinstance(error, typer.TyperException):
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return EXIT_INTERRUPTED
    if isinstance(error, Terminated):
        return EXIT_TERMINATED
    return EXIT_INTERNAL


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print an error for a person (or a program, with ``as_json``) and return the exit code."""
    code = exit_code_of(error)
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    message = _message(error, code)
    if as_json and say(json.dumps({"error": message, "exit_code": code}), sys.stdout):
        return code
    # What typer raises for a bare ``trackcli`` is the help, no fault.
    is_plain = code in {EXIT_INTERRUPTED, EXIT_TERMINATED} or message.startswith("Usage: ")
    say(message if is_plain else f"error: {message}", sys.stderr)
    return code


def _message(error: BaseException, code: int) -> str:
    if code == EXIT_INTERRUPTED:
        return "interrupted"
    if code == EXIT_TERMINATED:
        return "terminated"
    text = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    text = strip_control_characters(text) or type(error).__name__
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"writing failed: {error.strerror}; make room, or choose another place, and run again"
    if code == EXIT_INTERNAL and not isinstance(error, TrackcliError):
        return f"internal error: {type(error).__name__}: {text}; run again with --debug for the traceback"
    return text


def strip_control_characters(text: str) -> str:
    """Drop terminal control characters from text that came from outside (file names, annotations)."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
