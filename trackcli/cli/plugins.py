"""``trackcli plugins``: which components there are, what they are, what fits what, and what is broken. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from trackcli.cli.completion import complete_any, complete_kind
from trackcli.cli.plugins_new import new

if TYPE_CHECKING:
    from trackcli.host.doctor import Diagnosis
    from trackcli.host.matrix import Composition
    from trackcli.host.registry import Registry

EXIT_BROKEN = 4
COMMAND = "command"
COLUMNS = ("name", "kind", "distribution", "version", "status", "summary")

JSON = typer.Option(False, "--json", help="Print one JSON object and nothing else.")
DEBUG = typer.Option(False, "--debug", help="Show the traceback of an error.")

app = typer.Typer(
    help="List, explain and examine the components that are installed; write new ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("new")(new)


@app.command("list")
def list_components(
    *,
    kind: str = typer.Option(
        "",
        "--kind",
        metavar="K",
        autocompletion=complete_kind,
        help="Only one kind: backbone, matcher, head, loss, postprocessor, preset, tracker, dataset, sampler, sink, "
        "command.",
    ),
    as_json: bool = JSON,
    debug: bool = DEBUG,
) -> None:
    """List all components and extra commands, and plugins that are broken or disabled.

    Example: trackcli plugins list --kind matcher
    """
    from trackcli.cli.listing import print_json, print_table
    from trackcli.host.description import entry_row
    from trackcli.host.registry import KINDS, installed
    from trackcli.host.specs import Spec

    registry = installed()
    commands = [] if kind not in {"", COMMAND} else list(_commands())
    kinds: Sequence[type[Spec]] = list(KINDS.values())
    if kind:
        kinds = [] if kind == COMMAND else [_kind(kind)]
    rows = [entry_row(entry, registry) for spec_class in kinds for entry in registry.of_kind(spec_class)]
    absent = list(_absent(registry))
    if as_json:
        print_json({"components": rows, "commands": commands, "plugins": absent})
    else:
        print_table(COLUMNS, [*rows, *commands, *([] if kind else absent)])


@app.command("show")
def show(
    name: str = typer.Argument(
        ..., metavar="NAME", autocompletion=complete_any, help="Name of a component, or distribution:name."
    ),
    *,
    as_json: bool = JSON,
    debug: bool = DEBUG,
) -> None:
    """Explain all components of that name: settings, levels and strides, what they fit, where they come from.

    Example: trackcli plugins show dw-xcorr
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.cli.plugin_page import page_of
    from trackcli.config.suggestions import did_you_mean
    from trackcli.errors import UnknownNameError
    from trackcli.host.description import describe
    from trackcli.host.registry import installed

    registry = installed()
    matches = registry.matching(name)
    if not matches:
        known = {entry.spec.name for entry in registry.provided}
        raise UnknownNameError(f"unknown component {name!r}; {did_you_mean(name, known)}{registry.absences()}")
    described = [describe(entry, registry) for entry in matches]
    if as_json:
        print_json({"components": described})
        return
    for number, about in enumerate(described):
        print_lines(["", *page_of(about)] if number else page_of(about))


@app.command("doctor")
def doctor(*, as_json: bool = JSON, debug: bool = typer.Option(False, "--debug", help="Show tracebacks.")) -> None:
    """Say which plugins are broken, why, and what to do; exit code 4 if any is."""
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.host.registry import installed

    registry = installed()
    diagnosis = diagnose(registry)
    if debug:
        _print_tracebacks(registry)
    if as_json:
        print_json(plugins_report(diagnosis, registry))
    else:
        print_lines(plugins_lines(diagnosis, registry))
    if diagnosis.problems:
        raise typer.Exit(EXIT_BROKEN)


@app.command("matrix")
def matrix(
    *,
    markdown: bool = typer.Option(False, "--markdown", help="Print a Markdown table."),
    as_json: bool = JSON,
    debug: bool = DEBUG,
) -> None:
    """Say for every backbone, matcher and head whether they compose with default settings, and with which losses."""
    from dataclasses import asdict

    from trackcli.cli.listing import print_json, print_lines, print_table
    from trackcli.errors import UsageError
    from trackcli.host.matrix import compositions
    from trackcli.host.registry import installed

    if markdown and as_json:
        raise UsageError("--markdown and --json given; expected one of them")
    tried = list(compositions(installed()))
    if as_json:
        found = [asdict(each) | {"fits": each.fits, "misfits": dict(each.misfits)} for each in tried]
        print_json({"compositions": found})
    elif markdown:
        print_lines(_markdown(tried))
    else:
        print_table(MATRIX_COLUMNS, [_matrix_row(each) for each in tried])


MATRIX_COLUMNS = ("backbone", "matcher", "head", "fits", "losses, or why not")


def _matrix_row(tried: Composition) -> dict[str, str]:
    outcome = tried.reason or ", ".join(tried.losses) or "no loss fits"
    cells = (tried.backbone, tried.matcher, tried.head, "yes" if tried.fits else "no", outcome)
    return dict(zip(MATRIX_COLUMNS, cells, strict=True))


def _markdown(tried: Sequence[Composition]) -> Iterator[str]:
    yield f"| {' | '.join(MATRIX_COLUMNS)} |"
    yield f"|{'---|' * len(MATRIX_COLUMNS)}"
    for each in tried:
        yield f"| {' | '.join(map(_markdown_cell, _matrix_row(each).values()))} |"


def _markdown_cell(text: str) -> str:
    escaped = "".join(f"\\{character}" if character in "\\|`*_[]<>" else character for character in text)
    return " ".join(escaped.split())


def _kind(name: str) -> Any:
    from trackcli.config.suggestions import did_you_mean
    from trackcli.errors import UnknownNameError
    from trackcli.host.registry import KINDS

    if name not in KINDS:
        raise UnknownNameError(f"unknown --kind {name!r}; {did_you_mean(name, [*KINDS, COMMAND])}")
    return KINDS[name]


def _commands() -> Iterator[dict[str, str]]:
    """Rows of the commands that plugins add; none is imported."""
    import os

    from trackcli.cli.extra import built_in_names
    from trackcli.host.commands import extra_commands
    from trackcli.host.selection import Selection

    for extra in extra_commands(Selection.from_environment(os.environ), built_in_names()):
        yield {
            "name": extra.candidate.name,
            "kind": COMMAND,
            "distribution": extra.candidate.distribution,
            "version": extra.candidate.version,
            "status": "ok" if extra.label == extra.candidate.name else "ambiguous",
            "summary": f"trackcli {extra.label}",
        }


def diagnose(registry: Registry) -> Diagnosis:
    """Examine the plugins and the commands they add."""
    import os

    from trackcli.cli.extra import built_in_names
    from trackcli.host.doctor import examine
    from trackcli.host.selection import Selection

    return examine(registry, selection=Selection.from_environment(os.environ), built_in_commands=built_in_names())


def _absent(registry: Registry) -> Iterator[dict[str, str]]:
    """Rows of plugins that offer nothing: broken ones and disabled ones."""
    for status, plugins in (("broken", registry.broken), ("disabled", registry.disabled)):
        for plugin in plugins:
            yield {
                "name": plugin.name,
                "kind": "plugin",
                "distribution": plugin.distribution,
                "version": plugin.version,
                "status": status,
                "summary": plugin.reason,
            }


def plugins_report(diagnosis: Diagnosis, registry: Registry) -> dict[str, Any]:
    """The diagnosis as plain data."""
    from dataclasses import asdict

    return {
        "ok": not diagnosis.problems,
        "plugins": [
            {"distribution": name, "version": version, "components": number}
            for name, version, number in diagnosis.components
        ],
        "problems": [asdict(problem) for problem in diagnosis.problems],
        "disabled": [asdict(plugin) for plugin in registry.disabled],
        "warnings": list(diagnosis.warnings),
    }


def plugins_lines(diagnosis: Diagnosis, registry: Registry) -> Iterator[str]:
    """The diagnosis for a person, one line for each plugin and two for each problem."""
    for name, version, number in diagnosis.components:
        yield f"found     {name} {version}: {number} component{'' if number == 1 else 's'}"
    for plugin in registry.disabled:
        yield f"disabled  {plugin.distribution} {plugin.version}: {plugin.reason}"
    for warning in diagnosis.warnings:
        yield f"warning   {warning}"
    for problem in diagnosis.problems:
        yield f"broken    {problem.distribution} {problem.version}: {problem.subject}: {problem.reason}"
        yield f"          {problem.remedy}"
    if not diagnosis.problems:
        yield "no plugin is broken"


def _print_tracebacks(registry: Registry) -> None:
    import sys
    import traceback

    for plugin in registry.broken:
        if plugin.error is not None:
            traceback.print_exception(plugin.error, file=sys.stderr)
