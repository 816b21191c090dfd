"""Whose code raised an error that nobody foresaw: a plugin's, or ours."""

from __future__ import annotations

import traceback
from importlib.metadata import packages_distributions

from trackcli.host.registry import installed
from trackcli.host.selection import CORE, normalise

_OWN = frozenset({"trackcli", "trackcli_cache"})
_REFERENCES = ("factory", "config", "reader")


def plugin_behind(error: BaseException) -> str | None:
    """Distribution and version of the plugin whose code raised an error, also through a library that it called.

    Args:
        error: What was raised; if it was raised from another error, that one counts.

    Returns:
        ``acme-trackers 2.0``; None if our own code raised it, or no plugin was asked for anything so far.
    """
    if installed.cache_info().currsize == 0:
        return None
    while error.__cause__ is not None:
        error = error.__cause__
    owners = _owners()
    if type(error).__name__ == "OutOfMemoryError":  # torch's; whoever asked for the last byte is not to blame
        return None
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _OWN:
            return None
        if package in owners:
            return owners[package]
    return None


def _owners() -> dict[str, str]:
    """Packages that plugins' specs refer to, and by whom; without those that belong to other distributions."""
    installed_by = packages_distributions()
    owners = {}
    for entry in installed().provided:
        for reference in (getattr(entry.spec, name, "") for name in _REFERENCES):
            package = reference.partition(":")[0].partition(".")[0]
            by = {normalise(name) for name in installed_by.get(package, [entry.distribution])}
            if package and entry.distribution != CORE and normalise(entry.distribution) in by:
                owners[package] = f"{entry.distribution} {entry.version}".strip()
    return owners
