"""``trackcli presets``: recipes without weights. No torch."""

from __future__ import annotations

import typer

from trackcli.cli.completion import completion_of

COLUMNS = ("name", "distribution", "version", "backbone", "matcher", "head", "summary")

app = typer.Typer(
    help="List and show recipes to train: components and settings, no weights.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("list")
def list_presets(
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List all presets with their main components.

    Example: trackcli presets list
    """
    from trackcli.cli.listing import print_json, print_table
    from trackcli.host.description import preset_components
    from trackcli.host.registry import installed
    from trackcli.host.specs import PresetSpec

    registry = installed()
    rows = []
    for entry in registry.of_kind(PresetSpec):
        assert isinstance(entry.spec, PresetSpec)
        components = preset_components(entry.spec.recipe)
        row = {"name": registry.label(entry), "distribution": entry.distribution, "version": entry.version}
        row |= {kind: str(components.get(kind, "-")) for kind in ("backbone", "matcher", "head")}
        rows.append(row | {"summary": entry.spec.summary})
    if as_json:
        print_json({"presets": rows})
    else:
        print_table(COLUMNS, rows)


@app.command("show")
def show_preset(
    name: str = typer.Argument(
        ..., metavar="NAME", autocompletion=completion_of("preset"), help="Name of a preset, or distribution:name."
    ),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Print a preset's whole recipe as TOML, valid for --config, with the origin of every setting.

    Example: trackcli presets show siamrpn-pp
    """
    from trackcli.cli.listing import print_json, print_lines
    from trackcli.composition.defaults import complete_layers
    from trackcli.composition.plan import plan
    from trackcli.composition.record import recipe_data, recipe_origins, recipe_toml
    from trackcli.config.origins import Layer
    from trackcli.host.registry import installed
    from trackcli.host.specs import PresetSpec

    registry = installed()
    entry = registry.find_provided(PresetSpec, name)
    spec = registry.find(PresetSpec, name)
    completed = complete_layers([Layer(f"preset {name}", {"preset": name})], registry)
    planned = plan(completed.recipe, registry)
    if as_json:
        about = {"name": spec.name, "summary": spec.summary, "paper": spec.paper}
        about |= {"distribution": entry.distribution, "version": entry.version}
        print_json(about | {"recipe": recipe_data(planned), "origins": recipe_origins(completed, planned)})
        return
    facts = [f"{spec.name}: {spec.summary}", f"from {entry.distribution} {entry.version}"]
    facts += [spec.paper] if spec.paper else []
    facts += [f"trackcli train --preset {name} [--data CACHE] [-o RUN]"]
    print_lines("# " + " ".join(fact.split()) for fact in facts)
    print_lines(["", *recipe_toml(completed, planned).splitlines()])
