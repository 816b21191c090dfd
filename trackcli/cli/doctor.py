"""``trackcli doctor``: everything about the installation that a bug report should say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trackcli.host.environment import Finding

EXIT_BROKEN = 4
EXIT_INTERNAL = 1


def doctor(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Describe versions, device, codecs, display and plugins; paste the output into a bug report.

    Exit code 4 if a plugin is broken, 1 if a library cannot be used.
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.cli.plugins import diagnose, plugins_lines, plugins_report
    from trackcli.host.environment import examine_environment
    from trackcli.host.registry import installed

    registry = installed()
    diagnosis = diagnose(registry)  # before torch is there, so that plugins that import it are noticed
    findings = examine_environment()
    if as_json:
        print_json(_report(findings) | {"plugins": plugins_report(diagnosis, registry)})
    else:
        print_lines([*_lines(findings), "plugins", *(f"  {line}" for line in plugins_lines(diagnosis, registry))])
    if diagnosis.problems:
        raise typer.Exit(EXIT_BROKEN)
    if any(finding.problem for finding in findings):
        raise typer.Exit(EXIT_INTERNAL)


def _report(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        finding.subject: dict(finding.facts)
        | ({"problem": finding.problem, "remedy": finding.remedy} if finding.problem else {})
        for finding in findings
    }


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield finding.subject
        for name, value in finding.facts.items():
            yield f"  {name:<16} {value}"
        if finding.problem:
            yield f"  {'broken':<16} {finding.problem}"
            yield f"  {'':<16} {finding.remedy}"
