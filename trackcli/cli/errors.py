"""Turns exceptions into one line on stderr (or one JSON object on stdout) and an exit code."""

from __future__ import annotations

import errno
import json
import re
import sys
import traceback

import typer
from trackcli_cache.errors import CacheError, WriteError

from trackcli.cli.streams import say
from trackcli.errors import TrackcliError
from trackcli.host.blame import plugin_behind
from trackcli.redaction import redact

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INPUT = 3
EXIT_PLUGIN = 4
EXIT_INTERRUPTED = 130
INTERRUPTED, TERMINATED = "interrupted", "terminated"

_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})

_UNUSABLE_FILE = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}
    | {errno.ENAMETOOLONG, errno.EEXIST, errno.ENXIO, errno.EINVAL}
)

_OPENCV_REMEDY = (
    "replace the package (pip uninstall opencv-python; pip install --force-reinstall opencv-python-headless), or "
    "install the system's libGL (Debian, Ubuntu: apt install libgl1)"
)

# The tree that a dataset is expected to have follows its error line, indented; every other line break is the user's.
_LINE_BREAK = re.compile(r"[ \t]*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+(?!  ROOT/|or[ \n])|\t")

# A name of thousands of letters would push everything else off the screen.
_LONG_WORD = re.compile(r"(\S{200})\S{400,}(\S{40})")


class Terminated(BaseException):
    """Raised in the main thread when SIGTERM or SIGHUP arrives, so that commands save what they have.

    Attributes:
        exit_code: 128 and the signal's number, as shells have it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


def exit_code_of(error: BaseException) -> int:
    """Map an exception to the exit code that ``--help`` promises."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return EXIT_INTERRUPTED
    if isinstance(error, Terminated):
        return error.exit_code
    if isinstance(error, typer.TyperException):
        return int(getattr(error, "exit_code", EXIT_USAGE))
    if _opencv_failure(error) or isinstance(error, WriteError):
        return EXIT_INTERNAL
    if isinstance(error, CacheError) or _is_unusable_file(error) or _circle_of_links(error):
        return EXIT_INPUT
    code = error.exit_code if isinstance(error, TrackcliError) else EXIT_INTERNAL
    return EXIT_PLUGIN if code == EXIT_INTERNAL and plugin_behind(error) else code


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Print an error for a person (or a program, with ``as_json``) and return the exit code."""
    code = exit_code_of(error)
    if debug:
        say(redact("".join(traceback.format_exception(error))).rstrip(), sys.stderr)
    message = _message(error, code)
    if as_json and say(json.dumps({"error": message, "exit_code": code}), sys.stdout):
        return code
    # What typer raises for a bare ``trackcli`` is the help, no fault.
    is_plain = message in {INTERRUPTED, TERMINATED} or message.startswith("Usage: ")
    say(message if is_plain else f"error: {message}", sys.stderr)
    return code


def _message(error: BaseException, code: int) -> str:
    if isinstance(error, Terminated):
        return TERMINATED
    if code == EXIT_INTERRUPTED:
        return INTERRUPTED
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        return redact(strip_control_characters(text)) if text.startswith("Usage: ") else one_line(text)
    if known := _known_cause(error):
        return known
    text = one_line(str(error)) or type(error).__name__
    foreseen = isinstance(error, TrackcliError | CacheError) or code not in {EXIT_INTERNAL, EXIT_PLUGIN}
    return text if foreseen else _unforeseen(f"{type(error).__name__}: {text}", plugin_behind(error))


def _unforeseen(failure: str, plugin: str | None) -> str:
    if plugin is not None:
        return f"{plugin} failed ({failure}); update the plugin, or tell its authors what --debug shows"
    return f"internal error: {failure}; run again with --debug for the traceback"


def _known_cause(error: BaseException) -> str:
    """About what the machine lacks or the system refuses, where no command has explained it better; else empty."""
    if failure := _opencv_failure(error):
        return f"OpenCV (cv2) cannot be loaded: {one_line(failure)}; {_OPENCV_REMEDY}"
    if circle := _circle_of_links(error):
        return f"{one_line(circle)}; expected a path that leads somewhere"
    if isinstance(error, MemoryError):
        return f"not enough memory: {one_line(str(error))}; ask for less (a smaller size, batch or number of frames)"
    return _file_message(error) if isinstance(error, OSError) else ""


def _file_message(error: OSError) -> str:
    """About a file that the system refuses, where no command has explained it better; empty about anything else."""
    if error.errno in _NO_ROOM:
        return f"writing failed: {error.strerror}; make room, or choose another place, and run again"
    if _is_unusable_file(error):
        name, reason = one_line(str(error.filename)), error.strerror or type(error).__name__
        return f"'{name}' cannot be used: {reason}; expected a path that exists and that you may read or write"
    return ""


def _is_unusable_file(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.filename is not None and error.errno in _UNUSABLE_FILE


def _circle_of_links(error: BaseException) -> str | None:
    """What ``Path.resolve`` says about one; before Python 3.13 the exception has no class of its own."""
    circles = (str(each) for each in _chain(error) if isinstance(each, RuntimeError))
    return next((text for text in circles if text.startswith("Symlink loop")), None)


def _opencv_failure(error: BaseException) -> str | None:
    """Why OpenCV cannot be imported, if that is what is behind an error: mostly a library that servers lack."""
    opencv = (each for each in _chain(error) if isinstance(each, ImportError) and _was_importing_opencv(each))
    return next(map(str, opencv), None)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and all that led to it."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:  # causes that are raised again may close a circle
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain


def _was_importing_opencv(error: ImportError) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return error.name == "cv2" or any(re.search(r"[\\/]cv2(\.py$|[\\/])", frame.filename) for frame in frames)


def one_line(text: str) -> str:
    """Text for the terminal: on one line, without control characters, without secrets in URLs.

    Only the tree of files that a dataset is expected to have stays on lines of its own, below an error.
    """
    text = redact(strip_control_characters(_LINE_BREAK.sub(" ", text)))
    return _LONG_WORD.sub(lambda word: f"{word[1]}…{word[2]}", text)


def strip_control_characters(text: str) -> str:
    """Drop terminal control characters from text that came from outside (file names, annotations)."""
    return "".join(character for character in text if character in "\n\t" or character.isprintable())
