"""The plugins installed in this environment: entry points of a group, found without importing any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.hooks import PROJECT
from trackcli.host.selection import normalise

COMMANDS = f"{PROJECT}.commands"
"""The group of entry points that lead to extra commands."""


@dataclass(frozen=True)
class Candidate:
    """An installed plugin that was not imported yet.

    Attributes:
        name: Name of its entry point.
        distribution: Name of its distribution.
        version: Version of its distribution.
        point: Its entry point; None if the distribution's metadata cannot be read.
        problem: Why the metadata cannot be read, if so.
    """

    name: str
    distribution: str
    version: str
    point: EntryPoint | None = None
    problem: ForeignError | None = None

    def load(self) -> object:
        """Import the plugin.

        Raises:
            ForeignError: if that fails, or the metadata could not be read.
        """
        if self.point is None:
            raise self.problem or ForeignError("its metadata names no entry point")
        with foreign_code():
            return self.point.load()


def find_candidates(group: str = PROJECT) -> list[Candidate]:
    """All plugins, by name of entry point; of a distribution that is found twice, the first on the path counts.

    Args:
        group: The group of entry points: ``trackcli`` for plugins, ``trackcli.commands`` for extra commands.
    """
    found: dict[str, list[Candidate]] = {}
    for distribution in distributions():
        name = _name_of(distribution)
        if name and normalise(name) not in found:
            found[normalise(name)] = list(_candidates_of(distribution, name, group))
    return sorted(
        (each for listed in found.values() for each in listed), key=lambda each: (each.name, each.distribution)
    )


def _name_of(distribution: Distribution) -> str | None:
    """None for what an interrupted installation left behind."""
    try:
        with foreign_code():
            return distribution.name
    except ForeignError:
        return None


def _candidates_of(distribution: Distribution, name: str, group: str) -> Iterator[Candidate]:
    try:
        with foreign_code():
            points = [point for point in distribution.entry_points if point.group == group]
            # Reading the metadata file is slow, and most distributions are no plugins.
            version = (distribution.version or "0") if points else "0"
    except ForeignError as problem:
        if _mentions(distribution, group):
            yield Candidate(name, name, "0", problem=problem)
        return
    for point in points:
        yield Candidate(point.name, name, version, point)


def _mentions(distribution: Distribution, group: str) -> bool:
    """Whether damaged metadata are a plugin's at all."""
    try:
        with foreign_code():
            return f"[{group}]" in (distribution.read_text("entry_points.txt") or "")
    except ForeignError:
        return False
