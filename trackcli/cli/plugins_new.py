"""``trackcli plugins new``: the package of a new plugin, which works as it is written."""

from __future__ import annotations

from pathlib import Path

import typer


def complete_new_kind(incomplete: str) -> list[str]:
    """Complete the kinds that there are templates for."""
    from trackcli.scaffold.package import NEW_KINDS

    return [kind for kind in NEW_KINDS if kind.startswith(incomplete)]


def new(
    name: str = typer.Argument(..., metavar="NAME", help="Name of the component, kebab-case: my-matcher."),
    *,
    kind: str = typer.Option(
        ...,
        "--kind",
        metavar="K",
        autocompletion=complete_new_kind,
        help="backbone, matcher, head, loss, postprocessor, dataset or sampler.",
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="DIR", help="Folder to write; trackcli-NAME unless given."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Write a complete small package: entry point, settings, a component that works, tests, README.

    Nothing is overwritten. Example: trackcli plugins new my-matcher --kind matcher
    """
    import shlex

    from trackcli.cli.listing import print_json, print_lines
    from trackcli.host.registry import installed
    from trackcli.scaffold.package import new_package

    folder = new_package(name, kind, output, installed())
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    place = shlex.quote(str(folder))
    following = [
        f"pip install -e {place}",
        f"python -m pytest {shlex.quote(str(folder / 'tests'))}",
        f"trackcli plugins show {name}",
    ]
    if as_json:
        print_json({"name": name, "kind": kind, "folder": str(folder), "files": files, "next": following})
        return
    print_lines(str(folder / file) for file in files)
    print_lines(["next:", *(f"  {line}" for line in following)])
