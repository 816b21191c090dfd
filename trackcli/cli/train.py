"""``trackcli train``: train any composition on crop caches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trackcli.cli.completion import completion_of
from trackcli.cli.console import Console

if TYPE_CHECKING:
    from trackcli.cli.train_run import TrainOptions
    from trackcli.composition.defaults import Completed
    from trackcli.composition.plan import Plan
    from trackcli.config.origins import Layer

CONFIG_FILE = "config.toml"
"""In a run folder: the whole recipe with origins, for ``--config`` and ``--resume``."""


def train(
    *,
    preset: Annotated[
        str,
        typer.Option(
            autocompletion=completion_of("preset"), help="Recipe to start from; default: the matcher's home preset."
        ),
    ] = "",
    config: Annotated[list[Path], typer.Option(help="TOML or YAML file with settings; repeatable.")] = [],  # noqa: B006
    backbone: Annotated[str, typer.Option(autocompletion=completion_of("backbone"), help="Backbone by name.")] = "",
    matcher: Annotated[str, typer.Option(autocompletion=completion_of("matcher"), help="Matcher by name.")] = "",
    head: Annotated[str, typer.Option(autocompletion=completion_of("head"), help="Head by name.")] = "",
    sampler: Annotated[
        str, typer.Option(autocompletion=completion_of("sampler"), help="Sampler by name; default: pairs.")
    ] = "",
    loss: Annotated[
        list[str],
        typer.Option(autocompletion=completion_of("loss"), help="Loss by name, in place of the default; repeatable."),
    ] = [],  # noqa: B006
    add_loss: Annotated[
        list[str],
        typer.Option(autocompletion=completion_of("loss"), help="Loss by name, beside the default; repeatable."),
    ] = [],  # noqa: B006
    postprocessor: Annotated[
        list[str],
        typer.Option(
            autocompletion=completion_of("postprocessor"),
            help="Postprocessor by name, in place of the default chain; repeatable, in order.",
        ),
    ] = [],  # noqa: B006
    add_postprocessor: Annotated[
        list[str],
        typer.Option(
            autocompletion=completion_of("postprocessor"),
            help="Postprocessor by name, after the default chain; repeatable.",
        ),
    ] = [],  # noqa: B006
    settings: Annotated[
        list[str],
        typer.Option("--set", help="One setting, e.g. matcher.channels=128 or loss.rpn.weight=2; repeatable."),
    ] = [],  # noqa: B006
    data: Annotated[list[str], typer.Option(help="Crop cache, DIR or DIR=WEIGHT; repeatable; else synthetic.")] = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run folder; default: runs/PRESET-N.")] = None,
    steps: Annotated[int | None, typer.Option(help="Stop after this many steps.", min=1)] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs, counted in pairs.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs per step.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", min=0)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    init_from: Annotated[
        str,
        typer.Option(
            metavar="TRACKER",
            help="Fine-tune: start from a tracker's weights, and its recipe unless another is named. A name, a file or "
            "a run folder; of another composition, what fits is taken.",
        ),
    ] = "",
    init_backbone: Annotated[
        str,
        typer.Option(
            metavar="FILE|imagenet",
            help="Weights for the backbone: .safetensors, .pth; imagenet fetches torchvision's, once.",
        ),
    ] = "",
    val: Annotated[Path | None, typer.Option(help="Folder of sequences; validates by tracking them.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder, with its recipe and data.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over in a folder that holds a run.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Try four pairs; print parameters, operations, expected memory and time; train nothing."
        ),
    ] = False,
    overfit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Learn N pairs by heart, to see whether this can learn; writes nothing.", min=1),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a non-finite step again and say where it went wrong.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors and results.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More detail.")] = False,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Print the whole recipe with the origin of every setting; train nothing."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train a tracker. Without --data: a short smoke run on synthetic sequences.

    Example: trackcli train --matcher dw-xcorr --head rpn --data caches/mine -o runs/first
    """
    from trackcli.cli.recipe_options import option_layers, with_epochs, with_smoke_settings
    from trackcli.cli.train_run import TrainOptions, check_resumable
    from trackcli.composition.defaults import complete_layers
    from trackcli.composition.plan import plan
    from trackcli.errors import UsageError
    from trackcli.host.registry import installed

    console = _console(quiet=quiet, verbose=verbose)
    registry = installed()
    if replay is not None:
        from trackcli.cli.train_checks import show_replay

        show_replay(replay, registry, device=device, as_json=as_json)
        return
    if resume and output is None and not print_config:
        raise UsageError("--resume without -o; expected the folder of the run to go on with, e.g. -o runs/first")
    if resume and force:
        raise UsageError("--resume and --force exclude one another; give --resume to go on, or --force to start over")
    if sum((dry_run, overfit is not None, print_config)) > 1:
        raise UsageError("--dry-run, --overfit and --print-config exclude one another; give one of them")
    named = {"backbone": backbone, "matcher": matcher, "head": head, "sampler": sampler}
    own = option_layers(preset, config, named, {"loss": loss, "postprocessor": postprocessor})
    if resume and output is not None:
        check_resumable(output, described=bool(data or own or init_from))
    going_on = resume and output is not None and (output / CONFIG_FILE).is_file()
    layers = [*_below(own, settings, init_from, output if going_on else None), *own]
    if epochs is not None and steps is None:
        layers = with_epochs(layers)
    if not data and not print_config and not going_on:
        layers = with_smoke_settings(layers)
    shortcuts = {"steps": steps, "epochs": epochs, "batch": batch, "seed": seed}
    assignments = [*settings, *(f"train.{key}={value}" for key, value in shortcuts.items() if value is not None)]
    added = {"loss": add_loss, "postprocessor": add_postprocessor}
    completed = complete_layers(layers, registry, assignments, added=added)
    planned = plan(completed.recipe, registry)
    for line in completed.notes:
        console.note(line)
    if print_config:
        _print_config(completed, planned, as_json=as_json)
        return
    options = TrainOptions(
        data=tuple(data),
        output=output,
        device=device,
        init_from=init_from,
        init_backbone=init_backbone,
        val=val,
        resume=resume,
        force=force,
        as_json=as_json,
    )
    _go(completed, planned, options, console, dry_run=dry_run, overfit=overfit, steps=steps)


def _go(
    completed: Completed,
    planned: Plan,
    options: TrainOptions,
    console: Console,
    *,
    dry_run: bool,
    overfit: int | None,
    steps: int | None,
) -> None:
    """Train, or only try."""
    if dry_run:
        from trackcli.cli.train_checks import show_dry_run

        show_dry_run(planned, options, console)
    elif overfit is not None:
        from trackcli.cli.train_checks import show_overfit

        show_overfit(planned, options, console, pairs=overfit, steps=steps)
    else:
        from trackcli.cli.train_run import run_training

        run_training(completed, planned, options, console)


def _below(own: list[Layer], settings: list[str], init_from: str, run: Path | None) -> list[Layer]:
    """The recipe below what the user names: that of the run that goes on, or of the tracker it starts from."""
    from trackcli.cli.recipe_options import names_recipe, recipe_of_run, recipe_of_tracker

    if names_recipe(own, settings):
        return []
    if run is not None:
        return recipe_of_run(run / CONFIG_FILE)
    if not init_from:
        return []
    from trackcli.composition.files import read_header
    from trackcli.host.registry import installed
    from trackcli.tracking.tracker import find_tracker_file

    return recipe_of_tracker(read_header(find_tracker_file(init_from, installed())), init_from)


class _OtherProcess(Console):
    """Of the processes that ``torchrun`` starts, the first one alone speaks."""

    def warn(self, text: str) -> None:
        """Say nothing."""


def _console(*, quiet: bool, verbose: bool) -> Console:
    import os

    return Console(quiet, verbose) if os.environ.get("RANK", "0") == "0" else _OtherProcess(quiet=True)


def _print_config(completed: Completed, planned: Plan, *, as_json: bool) -> None:
    import json

    from trackcli.composition.record import recipe_data, recipe_origins, recipe_toml

    if as_json:
        print(json.dumps({"recipe": recipe_data(planned), "origins": recipe_origins(completed, planned)}))
    else:
        print(recipe_toml(completed, planned), end="")
