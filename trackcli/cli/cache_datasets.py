"""``trackcli cache datasets``: which dataset layouts can be read, and what each looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from trackcli.cli.completion import completion_of

if TYPE_CHECKING:
    from trackcli.host.data_specs import DatasetSpec
    from trackcli.host.registry import Provided

SPLITS_SHOWN = 4
COLUMNS = ("name", "splits", "evaluation", "summary")


def datasets(
    name: str | None = typer.Argument(
        None, metavar="[NAME]", autocompletion=completion_of("dataset"), help="Show this one, with its expected tree."
    ),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List the dataset layouts that can be read, those of plugins included, or show one.

    Example: trackcli cache datasets got10k
    """
    from trackcli.cli.listing import print_json, print_lines, print_table
    from trackcli.host.data_specs import DatasetSpec
    from trackcli.host.registry import installed

    registry = installed()
    if name is None:
        entries = [(registry.label(entry), entry) for entry in registry.of_kind(DatasetSpec)]
        if as_json:
            print_json({"datasets": [_about(label, entry) for label, entry in sorted(entries, key=_label)]})
        else:
            print_table(COLUMNS, [_row(label, entry) for label, entry in sorted(entries, key=_label)])
        return
    spec = registry.find(DatasetSpec, name)
    label, entry = next((registry.label(entry), entry) for entry in registry.of_kind(DatasetSpec) if entry.spec is spec)
    if as_json:
        print_json(_about(label, entry))
    else:
        print_lines(_page(label, entry))


def _label(item: tuple[str, Provided]) -> str:
    return item[0]


def _spec(entry: Provided) -> DatasetSpec:
    from trackcli.host.data_specs import DatasetSpec

    assert isinstance(entry.spec, DatasetSpec)
    return entry.spec


def _about(label: str, entry: Provided) -> dict[str, Any]:
    spec = _spec(entry)
    return {
        "name": label,
        "summary": spec.summary,
        "splits": list(spec.splits),
        "evaluation": spec.sequences,
        "tree": spec.tree,
        "paper": spec.paper,
        "distribution": entry.distribution,
    }


def _row(label: str, entry: Provided) -> dict[str, str]:
    spec = _spec(entry)
    more = len(spec.splits) - SPLITS_SHOWN
    splits = ", ".join(spec.splits[:SPLITS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return {
        "name": label,
        "splits": splits or "-",
        "evaluation": "yes" if spec.sequences else "-",
        "summary": spec.summary,
    }


def _page(label: str, entry: Provided) -> list[str]:
    spec = _spec(entry)
    lines = [f"dataset {label}: {spec.summary}", f"from        {entry.distribution}"]
    if spec.paper:
        lines.append(f"paper       {spec.paper}")
    splits = f"{', '.join(spec.splits)} (cache build reads the first)" if spec.splits else "none"
    lines.append(f"splits      {splits}")
    lines.append(f"evaluation  {'yes: it has one target per video' if spec.sequences else 'no'}")
    if spec.tree:
        lines += ["", "expected under --root:", *spec.tree.splitlines()]
    split = f" --split {spec.splits[0]}" if spec.splits else ""
    return [*lines, "", f"trackcli cache build --dataset {label} --root DIR{split} -o DIR"]
