"""Errors meant for the person at the keyboard: one line, four facts.

Every message says what went wrong, what was given, what was expected and what to do next. The class decides the
exit code of the command line; libraries catch :class:`TrackcliError`.
"""

from __future__ import annotations


class TrackcliError(Exception):
    """Base of all errors that trackcli raises on purpose."""

    exit_code = 1


class UsageError(TrackcliError):
    """An option, a name or a configuration does not make sense (exit code 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration holds an unknown key or a value that does not fit (exit code 2)."""


class UnknownNameError(UsageError):
    """A component, preset or tracker of that name is not installed (exit code 2)."""


class FitError(UsageError):
    """Two components of a composition do not fit together (exit code 2)."""


class InputDataError(TrackcliError):
    """A file, video, dataset or box given as input cannot be used (exit code 3)."""

    exit_code = 3


class PluginError(TrackcliError):
    """A plugin is missing or broken (exit code 4)."""

    exit_code = 4


class ShapeError(TrackcliError, ValueError):
    """Tensors handed to a function do not have the shapes it documents (a programming error, exit code 1)."""
