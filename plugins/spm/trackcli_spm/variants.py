"""The command ``stage-variants``: the same weights with other settings of the two stages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trackcli.tracking.tracker import Tracker

STRUCTURES = ("coarse", "series", "series-parallel")


def stage_variants(
    tracker: Annotated[str, typer.Argument(help="Tracker file, run folder or name, with head series-parallel.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for one tracker per variant.")],
    proposals: Annotated[
        str, typer.Option("--proposals", help="Numbers of proposals K, with commas: a tracker for each.")
    ] = "",
    structures: Annotated[
        bool, typer.Option("--structures", help="A tracker for each structure: coarse, series, series-parallel.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files.")] = False,
) -> None:
    """Write trackers with the same weights and another K, or another structure (table 1 and figure 6 (a)).

    The coarse one is what shows the coarse stage's response: trackcli track … --save-response.

    Example: trackcli stage-variants runs/spm -o variants --proposals 1,3,5,7,9,11 --structures
    """
    from trackcli import load
    from trackcli.errors import UsageError

    variants: dict[str, dict[str, Any]] = {f"k-{count:02d}": {"proposals": count} for count in numbers(proposals)}
    variants |= {name: {"structure": name} for name in STRUCTURES} if structures else {}
    if not variants:
        raise UsageError("no variant is asked for; expected --proposals 1,5,9 or --structures")
    targets = {name: output / f"{name}.safetensors" for name in variants}
    taken = [path for path in targets.values() if path.exists()]
    if taken and not force:
        raise UsageError(f"{taken[0]} exists; add --force to replace it, or choose another folder with -o")
    loaded = load(tracker, device="cpu")
    made = {name: with_head_settings(loaded, settings) for name, settings in variants.items()}
    output.mkdir(parents=True, exist_ok=True)
    for name, variant in made.items():
        variant.save(targets[name], provenance={"variant": name})
        typer.echo(str(targets[name]))


def numbers(text: str, option: str = "--proposals") -> tuple[int, ...]:
    """``1,3,5`` → 1, 3, 5.

    Raises:
        UsageError: if they are not whole numbers from 1.
    """
    from trackcli.errors import UsageError

    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (0,)
    if any(number < 1 for number in found):
        raise UsageError(f"{option} {text} does not fit; expected numbers from 1 with commas, e.g. {option} 1,5,9")
    return tuple(dict.fromkeys(found))


def with_head_settings(tracker: Tracker, settings: dict[str, Any]) -> Tracker:
    """The tracker with other settings of its head series-parallel; weights that the variant lacks are left out.

    Raises:
        UsageError: for a tracker with another head, or without the weights that the variant needs.
        ConfigError: for settings that do not fit.
    """
    from trackcli.composition.build import build_model
    from trackcli.composition.plan import plan
    from trackcli.config.recipe import Part
    from trackcli.errors import UsageError
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import Tracker
    from trackcli_spm.head import SeriesParallelHead

    if not isinstance(tracker.model.head, SeriesParallelHead):
        raise UsageError(
            f"{tracker.name} has another head; expected a tracker with head series-parallel, e.g. of preset spm-tracker"
        )
    recipe = tracker.plan.recipe
    head = Part(name=recipe.head.name, **{**recipe.head.settings, **settings})
    planned = plan(recipe.model_copy(update={"head": head}), installed())
    model = build_model(planned)
    missing, _ = model.load_state_dict(tracker.model.state_dict(), strict=False)
    if missing:
        raise UsageError(f"{tracker.name} has no weights for {settings} ({missing[0]} is missing); train it with them")
    return Tracker(tracker.name, model, planned, device="cpu", described=tracker.described)
