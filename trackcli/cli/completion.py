"""Completion of component names, with their summaries, for shells. Listing specs imports no torch."""

from __future__ import annotations

from collections.abc import Callable


def completion_of(kind: str) -> Callable[[str], list[tuple[str, str]]]:
    """A completion callback for the names of one kind, ``matcher`` for example."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from rich.markup import escape  # typer reads the summaries of completions as markup

        from trackcli.cli.errors import strip_control_characters
        from trackcli.host.registry import KINDS, installed

        registry = installed()
        named = {registry.label(entry): entry.spec.summary for entry in registry.of_kind(KINDS[kind])}
        return [
            (name, escape(strip_control_characters(summary)))
            for name, summary in named.items()
            if name.startswith(incomplete)
        ]

    return complete


def complete_kind(incomplete: str) -> list[str]:
    """Complete the word for a kind: ``backbone``, ``matcher``, …"""
    from trackcli.host.registry import KINDS

    return [kind for kind in (*KINDS, "command") if kind.startswith(incomplete)]


def complete_any(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of any component."""
    from trackcli.host.registry import KINDS

    return [found for kind in KINDS for found in completion_of(kind)(incomplete)]
