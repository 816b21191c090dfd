"""Extra commands of plugins: entry points in group ``trackcli.commands``, named without importing any."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from trackcli.errors import PluginError
from trackcli.host.discovery import COMMANDS, Candidate, find_candidates
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.selection import Selection

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class ExtraCommand:
    """A command that a plugin adds; its code was not imported yet.

    Attributes:
        label: What to type: its name, or ``distribution:name`` where several plugins have one of that name.
        candidate: Its entry point and distribution.
    """

    label: str
    candidate: Candidate

    @property
    def provider(self) -> str:
        """Distribution and version."""
        return f"{self.candidate.distribution} {self.candidate.version}"

    def load(self) -> object:
        """Import what the entry point names.

        Raises:
            PluginError: if that fails.
        """
        try:
            return self.candidate.load()
        except ForeignError as error:
            raise self.failure(f"cannot be loaded ({error})") from error

    def failure(self, reason: str) -> PluginError:
        """The error for a person when this command does not work."""
        leave_out = f"leave it out with TRACKCLI_DISABLE_PLUGINS={self.candidate.distribution}"
        return PluginError(
            f"command {self.label!r} of {self.provider} {reason}; "
            f"update it: pip install --upgrade {self.candidate.distribution}; or {leave_out}"
        )


def extra_commands(selection: Selection, reserved: Collection[str]) -> list[ExtraCommand]:
    """The commands of the selected plugins, by name.

    Args:
        selection: Which plugins are wanted.
        reserved: Names of built-in commands, which nobody can replace.
    """
    usable = [each for each in _selected(selection) if each.point and _is_usable(each.name, reserved)]
    owners = Counter(each.name for each in usable)
    return [
        ExtraCommand(each.name if owners[each.name] == 1 else f"{each.distribution}:{each.name}", each)
        for each in usable
    ]


def command_warnings(selection: Selection, reserved: Collection[str]) -> Iterator[str]:
    """What deserves attention about the names of commands, one line each."""
    selected = _selected(selection)
    for each in selected:
        provider = f"{each.distribution} {each.version}"
        if each.name in reserved:
            yield (
                f"command {each.name!r} of {provider} is never run: trackcli has a command of that name; "
                "its author should rename it"
            )
        elif each.point and not _NAME.fullmatch(each.name):
            yield f"command {each.name!r} of {provider} is left out: its name is not kebab-case, like 'make-report'"
    yield from _ambiguous([command for command in extra_commands(selection, reserved) if ":" in command.label])


def missing_modules(commands: Iterable[ExtraCommand]) -> Iterator[tuple[ExtraCommand, str]]:
    """Commands whose module is not there, and why; looked for, not imported."""
    for command in commands:
        point = command.candidate.point
        if point is None:
            continue
        try:
            with foreign_code():
                there = find_spec(point.module) is not None
        except ForeignError as error:
            yield command, str(error)
        else:
            if not there:
                yield command, f"there is no module {point.module}"


def _ambiguous(commands: list[ExtraCommand]) -> Iterator[str]:
    for name in sorted({command.candidate.name for command in commands}):
        same = [command for command in commands if command.candidate.name == name]
        owners = " and ".join(command.provider for command in same)
        yield f"command {name!r} is provided by {owners}; write {' or '.join(command.label for command in same)}"


def _selected(selection: Selection) -> list[Candidate]:
    return [each for each in find_candidates(COMMANDS) if selection.refusal(each.name, each.distribution) is None]


def _is_usable(name: str, reserved: Collection[str]) -> bool:
    return name not in reserved and _NAME.fullmatch(name) is not None
