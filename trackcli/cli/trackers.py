"""``trackcli trackers``: trackers with weights; their sizes, figures and model cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trackcli.cli.completion import completion_of
from trackcli.cli.trackers_edit import average, figures, variant

if TYPE_CHECKING:
    from trackcli.host.registry import Provided

COLUMNS = ("name", "distribution", "version", "size", "AUC", "fps", "summary")
LABEL_WIDTH = 14
MAX_CARD_BYTES = 1 << 20
FIGURES = "figures"

app = typer.Typer(
    help="List, show and adapt trackers that have weights.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.command("figures")(figures)
app.command("variant")(variant)
app.command("average")(average)


@app.command("list")
def list_trackers(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List all installed trackers: size, success AUC and frames per second as their files record them.

    A figure is that of the sequences and the machine it was measured with (`trackcli trackers show NAME` says which);
    "-" where there is none. Example: trackcli trackers list
    """
    from trackcli.cli.listing import print_json, print_table
    from trackcli.host.registry import installed
    from trackcli.host.specs import TrackerSpec

    registry = installed()
    rows = [_row(entry, registry.label(entry)) for entry in registry.of_kind(TrackerSpec)]
    if as_json:
        print_json({"trackers": rows})
    else:
        print_table(COLUMNS, [row | _cells(row) for row in rows])


@app.command("show")
def show_tracker(
    name: str = typer.Argument(
        ..., metavar="NAME", autocompletion=completion_of("tracker"), help="A name, a .safetensors file, a run folder."
    ),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Say what a tracker is: size, components and versions, how it was trained, and its model card.

    Example: trackcli trackers show default
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.composition.files import count_stored, read_header
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file

    foreign = _foreign(name)
    if foreign is not None:
        if as_json:
            print_json(foreign)
        else:
            print_lines([f"tracker {name}", *(_labelled(key, str(foreign[key])) for key in foreign if key != "name")])
        return
    path = find_tracker_file(name, installed())
    described = read_header(path)
    about = {
        "name": name,
        "file": str(path),
        "bytes": path.stat().st_size,
        "parameters": count_stored(path),
        "preset": described.recipe.preset,
        "components": dict(described.components),
        "provenance": dict(described.provenance),
        "card": _card(name, path),
    }
    if as_json:
        print_json(about | {"recipe": described.recipe.model_dump(mode="json", exclude_none=True)})
    else:
        print_lines(_page(about))


def size_text(size: int | None) -> str:
    """``7.6 MB`` of bytes; ``missing`` where there is no file."""
    return "missing" if size is None else f"{size / 1e6:.1f} MB"


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """What the table shows instead of numbers."""
    return {
        "size": "-" if row["foreign"] else size_text(row["bytes"]),
        "AUC": "-" if row["auc"] is None else f"{row['auc']:.3f}",
        "fps": "-" if row["fps"] is None else f"{row['fps']:.0f}",
    }


def _row(entry: Provided, label: str) -> dict[str, Any]:
    from trackcli.composition.figures import Figures, read_figures

    path = _package_file(entry, "file")
    figures = Figures() if path is None else read_figures(path)
    return {
        "name": label,
        "distribution": entry.distribution,
        "version": entry.version,
        "bytes": path.stat().st_size if path is not None and path.is_file() else None,
        "foreign": bool(getattr(entry.spec, "factory", "")),
        "auc": figures.auc,
        "fps": figures.fps,
        "summary": entry.spec.summary,
    }


def _foreign(name: str) -> dict[str, Any] | None:
    """What is known of a foreign tracker, which has neither weights nor parts; None for any other name."""
    from trackcli.host.registry import installed
    from trackcli.host.specs import TrackerSpec

    matches = [] if Path(name).exists() else installed().matching(name.partition("@")[0], TrackerSpec)
    if not matches or not getattr(matches[0].spec, "factory", ""):
        return None
    entry = installed().find_provided(TrackerSpec, name.partition("@")[0])
    spec = entry.spec
    assert isinstance(spec, TrackerSpec)
    example = ",".join(f"{option}=FILE" for option in spec.options)
    return {
        "name": name,
        "summary": spec.summary,
        "write": f"--tracker {spec.name}@{example}" if example else f"--tracker {spec.name}",
        "provider": f"{entry.distribution} {entry.version}",
        "factory": spec.factory,
    }


def _package_file(entry: Provided, attribute: str) -> Path | None:
    """A file that a tracker's spec names, inside its package; None where the package or the name is not there."""
    from importlib import resources

    from trackcli.host.guard import ForeignError, foreign_code
    from trackcli.host.specs import TrackerSpec

    assert isinstance(entry.spec, TrackerSpec)
    given = getattr(entry.spec, attribute)
    try:
        with foreign_code():
            return Path(str(resources.files(entry.spec.package) / given)) if given else None
    except ForeignError:
        return None


def _card(name: str, path: Path) -> str | None:
    """The model card that the tracker's spec names, or the Markdown file beside a tracker file."""
    from trackcli.host.registry import installed
    from trackcli.host.specs import TrackerSpec

    matches = installed().matching(name, TrackerSpec)
    card = _package_file(matches[0], "card") if matches and not Path(name).exists() else path.with_suffix(".md")
    if card is None or not card.is_file() or card.stat().st_size > MAX_CARD_BYTES:
        return None
    return card.read_text(encoding="utf-8", errors="replace")


def _page(about: Mapping[str, Any]) -> Iterator[str]:
    yield f"tracker {about['name']}"
    yield _labelled("file", about["file"])
    yield _labelled("size", f"{size_text(about['bytes'])}, {about['parameters'] / 1e6:.2f} million parameters")
    if about["preset"]:
        yield _labelled("preset", about["preset"])
    for component, version in about["components"].items():
        kind, _, name = str(component).partition(":")
        yield _labelled(kind, f"{name} ({version})")
    for fact, value in about["provenance"].items():
        yield (
            _labelled(fact, _value_text(value))
            if fact == FIGURES
            else _labelled("training", f"{fact}: {_value_text(value)}")
        )
    if about["card"]:
        yield ""
        yield from about["card"].splitlines()


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} ({_value_text(inner)})" if isinstance(inner, Mapping) else f"{key} {_value_text(inner)}"
            for key, inner in value.items()
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}}{text}"
