"""Which installed plugins are loaded: all, only some, or all but some. The built-in components always are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DISABLE = "TRACKCLI_DISABLE_PLUGINS"
"""Environment variable: names of plugins to leave out, separated by commas; ``all`` leaves out all."""

LOAD = "TRACKCLI_LOAD_PLUGINS"
"""Environment variable: names of the only plugins to load, separated by commas."""

ALL = "all"
CORE = "trackcli"
"""The distribution of the built-in components."""


def normalise(distribution: str) -> str:
    """A distribution's name as package indexes compare them: ``Acme_Trackers`` is ``acme-trackers``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@dataclass(frozen=True)
class Selection:
    """Names of distributions or of entry points, as the user gave them.

    Attributes:
        only: If not empty, nothing else is loaded.
        without: Not loaded, also when in ``only``; ``all`` means every plugin.
    """

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Selection:
        """Read the two variables; one that is empty counts as not set."""
        return cls(_names(environment.get(LOAD, "")), _names(environment.get(DISABLE, "")))

    def refusal(self, entry_point: str, distribution: str) -> str | None:
        """Why a plugin is not to be loaded; None if it is."""
        if normalise(distribution) == CORE:
            return None
        called = {normalise(entry_point), normalise(distribution)}
        if ALL in self.without:
            return f"left out by --no-plugins or {DISABLE}={ALL}"
        if self.without & called:
            return f"left out by {DISABLE}"
        if self.only and not self.only & called:
            return f"not named in {LOAD}"
        return None

    def unmatched(self, plugins: Iterable[tuple[str, str]]) -> list[str]:
        """One line for each given name that no ``(entry point, distribution)`` bears; mostly a typing error."""
        known = {ALL} | {normalise(name) for names in plugins for name in names}
        return [
            f"{variable} names {name!r}, which is no installed plugin"
            for variable, given in ((LOAD, self.only), (DISABLE, self.without))
            for name in sorted(given - known)
        ]


def _names(text: str) -> frozenset[str]:
    return frozenset(normalise(name.strip()) for name in text.split(",") if name.strip())
