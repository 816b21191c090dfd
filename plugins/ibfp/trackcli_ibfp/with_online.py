"""The command ``with-online``: gives a trained tracker the online branch, or takes it away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "online-update"


def with_online(
    tracker: Annotated[str, typer.Argument(help="Tracker file, run folder or name.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Tracker file to write, *.safetensors.")],
    fast: Annotated[bool, typer.Option("--fast", help="The cheaper settings.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Write the tracker without the online branch.")] = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of it, e.g. every=5 or classifier=four-layer; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a tracker that learns while it tracks: the same weights, and the link online-update in front of the others.

    The link has no weights, so any tracker can have it.

    Example: trackcli with-online default -o default-online.safetensors --fast
    """
    import torch

    from trackcli import load
    from trackcli.composition.build import build_model
    from trackcli.composition.defaults import to_recipe
    from trackcli.composition.plan import plan
    from trackcli.composition.record import recipe_data
    from trackcli.config.layers import apply_assignments
    from trackcli.errors import UsageError
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import Tracker

    if output.exists() and not force:
        raise UsageError(f"{output} exists; add --force to replace it, or choose another with -o")
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} does not end in .safetensors; expected a name for a tracker file")
    if off and (fast or assignments):
        raise UsageError("--off takes the online branch away, so --fast and --set mean nothing beside it")
    loaded = load(tracker, device="cpu")
    recipe = recipe_data(loaded.plan)
    others = [part for part in recipe["postprocessor"] if part["name"] != NAME]
    settings = apply_assignments({"fast": True} if fast else {}, assignments or [])
    if "name" in settings:
        raise UsageError(f"--set name={settings['name']} would be another link; expected settings of {NAME}")
    recipe["postprocessor"] = others if off else [{"name": NAME, **settings}, *others]
    registry = installed()
    planned = plan(to_recipe(recipe), registry)
    model = build_model(planned)
    with torch.no_grad():
        model.load_state_dict(loaded.model.state_dict())
    output.parent.mkdir(parents=True, exist_ok=True)
    Tracker(str(output), model, planned, device="cpu", described=loaded.described).save(output)
    typer.echo(str(output))
