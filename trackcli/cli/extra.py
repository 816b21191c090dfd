"""Commands that plugins add: listed by name, imported only when one is run."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from trackcli.cli.empty_values import refuse_empty_values
from trackcli.host.commands import ExtraCommand, extra_commands
from trackcli.host.selection import Selection

_OF_A_PROGRAM = frozenset({"install_completion", "show_completion"})


def built_in_names() -> list[str]:
    """Names of the built-in commands, which no plugin can replace."""
    from trackcli.cli.main import app

    return [str(each.name) for each in app.registered_commands] + [str(each.name) for each in app.registered_groups]


class GroupWithExtraCommands(TyperGroup):
    """The built-in commands and, after them, those of plugins; a built-in one is found without asking for plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        self._add_extra_commands()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or None."""
        if cmd_name not in self.commands:
            self._add_extra_commands()
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is meant, and its arguments: no empty ones, but a plugin may have a use for them.

        Raises:
            UsageError: for an empty argument of a built-in command.
        """
        name, command, rest = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and not isinstance(command, _Lazy):  # completion asks about unfinished lines
            refuse_empty_values(args)
        return name, command, rest

    def _add_extra_commands(self) -> None:
        selection = Selection.from_environment(os.environ)
        reserved = [name for name, command in self.commands.items() if not isinstance(command, _Lazy)]
        for extra in extra_commands(selection, reserved):
            self.commands.setdefault(extra.label, _Lazy(extra))


class _Lazy(TyperCommand):
    """Stands for a command until it is used."""

    def __init__(self, extra: ExtraCommand) -> None:
        super().__init__(name=extra.label, help=f"(from {extra.provider})", rich_markup_mode=None)
        self._extra = extra
        self._real: Any = None

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and let it read its arguments."""
        self._real = _command_of(self._extra)
        context = self._real.make_context(info_name, _without_debug(args, self._real), parent=parent, **extra)
        if not context.resilient_parsing:  # completion looks at the command itself
            context.command = self
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run it; what it does not handle itself is its plugin's fault, not trackcli's."""
        from trackcli_cache.errors import CacheError

        from trackcli.errors import TrackcliError
        from trackcli.host.guard import one_line

        try:
            return self._real.invoke(ctx)
        except (TrackcliError, CacheError, OSError, typer.Exit, typer.Abort, typer.TyperException):
            raise
        except Exception as error:
            raise self._extra.failure(f"failed ({one_line(error)})") from error


def _without_debug(args: list[str], command: Any) -> list[str]:
    """The arguments for a command that does not know ``--debug``, which works for all: ``main`` looks for it itself."""
    known = _knows_debug(command)
    end = args.index("--") if "--" in args else len(args)
    return args if known else [each for each in args[:end] if each != "--debug"] + args[end:]


def _knows_debug(command: Any) -> bool:
    """Whether it has the option, or any of its commands has."""
    own = any("--debug" in each.opts for each in command.params)
    return own or any(map(_knows_debug, getattr(command, "commands", {}).values()))


def _command_of(extra: ExtraCommand) -> Any:
    """The command behind an entry point: a typer application, or a function.

    Raises:
        PluginError: if it is neither, or cannot be imported.
    """
    from trackcli.host.guard import ForeignError, foreign_code

    found = extra.load()
    if not isinstance(found, typer.Typer) and not callable(found):
        raise extra.failure(f"leads to a {type(found).__name__}; expected a typer application or a function")
    try:
        with foreign_code():
            command: Any = get_command(found if isinstance(found, typer.Typer) else _application(found))
    except ForeignError as error:
        raise extra.failure(f"is no command that typer can run ({error})") from error
    command.params = [each for each in command.params if each.name not in _OF_A_PROGRAM]
    return command


def _application(function: Any) -> typer.Typer:
    application = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    application.command()(function)
    return application
