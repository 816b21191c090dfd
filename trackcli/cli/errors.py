"""Turns exceptions into one line on stderr (or one JSON object on stdout) and an exit code."""

from __future__ import annotations

import errno
import json
import re
import sys
import traceback

import typer
from trackcli_cache.errors import CacheError

from trackcli.cli.streams import say
from trackcli.errors import TrackcliError
from trackcli.redaction import redact

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})

_UNUSABLE_FILE = frozenset(
    getattr(errno, name)
    for name in "ENOENT EACCES EPERM EROFS EISDIR ENOTDIR ELOOP ENAMETOOLONG EEXIST ENXIO EINVAL".split()
)

_OPENCV_REMEDY = (
    "replace the package (pip uninstall opencv-python; pip install --force-reinstall opencv-python-headless), or "
    "install the system's libGL (Debian, Ubuntu: apt install libgl1)"
)

# The tree that a dataset is expected to have follows its error line, indented; every other line break is the user's.
_LINE_BREAK = re.compile(r"[ \t]*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+(?!  ROOT/|or[ \n])|\t")


class Terminated(BaseException):
    """Raised in the main thread when SIGTERM arrives, so that commands save what they have."""


def exit_code_of(error: BaseException) -> int:
    """Map an exception to the exit code that ``--help`` promises."""
    if isinstance(error, TrackcliError):
        return EXIT_INTERNAL if _opencv_failure(error) else error.exit_code
    if isinstance(error, CacheError):
        return EXIT_INPUT
    if isinstance(error, typer.TyperException):
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return EXIT_INTERRUPTED
    if isinstance(error, Terminated):
        return EXIT_TERMINATED
    return EXIT_INPUT if _is_unusable_file(error) else EXIT_INTERNAL


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print an error for a person (or a program, with ``as_json``) and return the exit code."""
    code = exit_code_of(error)
    if debug:
        say(redact("".join(traceback.format_exception(error))).rstrip(), sys.stderr)
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
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        return redact(strip_control_characters(text)) if text.startswith("Usage: ") else one_line(text)
    text = one_line(str(error)) or type(error).__name__
    if failure := _opencv_failure(error):
        return f"OpenCV (cv2) cannot be loaded: {one_line(failure)}; {_OPENCV_REMEDY}"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"writing failed: {error.strerror}; make room, or choose another place, and run again"
    if _is_unusable_file(error):
        assert isinstance(error, OSError)
        name, reason = one_line(str(error.filename)), error.strerror or type(error).__name__
        return f"'{name}' cannot be used: {reason}; expected a path that exists and that you may read or write"
    if code == EXIT_INTERNAL and not isinstance(error, TrackcliError):
        return f"internal error: {type(error).__name__}: {text}; run again with --debug for the traceback"
    return text


def _is_unusable_file(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.filename is not None and error.errno in _UNUSABLE_FILE


def _opencv_failure(error: BaseException) -> str | None:
    """Why OpenCV cannot be imported, if that is what is behind an error: mostly a library that servers lack."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ImportError) and (_was_importing_opencv(seen) or seen.name == "cv2"):
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    return None


def _was_importing_opencv(error: ImportError) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(re.search(r"[\\/]cv2(\.py$|[\\/])", frame.filename) for frame in frames)


def one_line(text: str) -> str:
    """Text for the terminal: on one line, without control characters, and no secret in a URL.

    Only the tree of files that a dataset is expected to have stays on lines of its own, below an error.
    """
    return redact(strip_control_characters(_LINE_BREAK.sub(" ", text)))


def strip_control_characters(text: str) -> str:
    """Drop terminal control characters from text that came from outside (file names, annotations)."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
