"""``trackcli train``: train any composition on crop caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from trackcli.cli.completion import completion_of
from trackcli.cli.console import Console

if TYPE_CHECKING:
    from trackcli.composition.defaults import Completed
    from trackcli.composition.plan import Plan
    from trackcli.host.registry import Registry
    from trackcli.training.distributed import World
    from trackcli.training.report import StepReport
    from trackcli.training.run import TrainingRun

T = TypeVar("T")

CONFIG_FILE = "config.toml"
"""In a run folder: the whole recipe with origins, for ``--config``."""

LOG_EVERY = 20
"""Steps between two lines of ``metrics.jsonl``."""


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
    init_backbone: Annotated[Path | None, typer.Option(help="Weights for the backbone: .safetensors, .pth.")] = None,
    val: Annotated[Path | None, typer.Option(help="Folder of sequences; validates by tracking them.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over in a folder that holds a run.")] = False,
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
    from trackcli.composition.defaults import complete_layers
    from trackcli.composition.plan import plan
    from trackcli.errors import UsageError
    from trackcli.host.registry import installed

    console = _console(quiet=quiet, verbose=verbose)
    if resume and output is None and not print_config:
        raise UsageError("--resume without -o; expected the folder of the run to go on with, e.g. -o runs/first")
    named = {"backbone": backbone, "matcher": matcher, "head": head, "sampler": sampler}
    layers = option_layers(preset, config, named, {"loss": loss, "postprocessor": postprocessor})
    if epochs is not None and steps is None:
        layers = with_epochs(layers)
    if not data and not print_config:
        layers = with_smoke_settings(layers)
    shortcuts = {"steps": steps, "epochs": epochs, "batch": batch, "seed": seed}
    assignments = [*settings, *(f"train.{key}={value}" for key, value in shortcuts.items() if value is not None)]
    registry = installed()
    added = {"loss": add_loss, "postprocessor": add_postprocessor}
    completed = complete_layers(layers, registry, assignments, added=added)
    planned = plan(completed.recipe, registry)
    for line in completed.notes:
        console.note(line)
    if print_config:
        _print_config(completed, planned, as_json=as_json)
        return

    from trackcli.training.distributed import joined_world

    with joined_world(device) as (world, own_device):
        _train(
            completed,
            planned,
            registry,
            world=world,
            data=data,
            output=output,
            device=own_device,
            init_backbone=init_backbone,
            val=val,
            resume=resume,
            force=force,
            as_json=as_json,
            console=console,
        )


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


def _synthetic_data(console: Console) -> str:
    """Build the synthetic cache, once, and say that this is no real training."""
    import os

    from trackcli.config.folders import user_cache_folder
    from trackcli.synth.cache import build_synth_cache, synth_cache_path

    folder = user_cache_folder(os.environ)
    console.note(
        f"no --data given: smoke run, not a real training, on synthetic sequences in {synth_cache_path(folder)}; "
        "for a real one: trackcli cache build --root DATASET -o CACHE, then --data CACHE"
    )
    with console.progress() as progress:
        task = progress.add_task("making sequences", total=None, rate="")
        build_synth_cache(folder, on_sequence=lambda done, total: progress.update(task, completed=done, total=total))
    return str(synth_cache_path(folder))


def _next_run_folder(preset: str | None, console: Console) -> Path:
    """``runs/siamrpn-pp-1``, or the first number that is free."""
    from itertools import count

    name = (preset or "recipe").replace(":", "-")
    folder = next(path for number in count(1) if not (path := Path("runs") / f"{name}-{number}").exists())
    console.note(f"no -o given: the run goes to {folder}")
    return folder


def _train(
    completed: Completed,
    planned: Plan,
    registry: Registry,
    *,
    world: World,
    data: Sequence[str],
    output: Path | None,
    device: str,
    init_backbone: Path | None,
    val: Path | None,
    resume: bool,
    force: bool,
    as_json: bool,
    console: Console,
) -> None:
    from contextlib import nullcontext

    from trackcli_cache.files import only_writer, write_whole

    from trackcli.composition.record import recipe_toml
    from trackcli.evaluation.datasets import load_folder_sequences
    from trackcli.training.setup import DataSource, prepare_folder, set_up

    sources = [DataSource.parse(text) for text in data or [_first_does(world, lambda: _synthetic_data(console))]]
    folder = output or Path(_first_does(world, lambda: str(_next_run_folder(completed.recipe.preset, console))))
    if val is not None:
        load_folder_sequences(val)  # refused now rather than after hours of training
    with only_writer(folder) if world.is_first else nullcontext():
        _first_does(world, lambda: prepare_folder(folder, resume=resume, force=force))
        run = set_up(
            planned,
            registry,
            data=sources,
            folder=folder,
            device=device,
            init_backbone=init_backbone,
            note=console.note,
            warn=console.warn,
            world=world,
        )
        if world.is_first:
            write_whole(folder / CONFIG_FILE, recipe_toml(completed, planned).encode())
        if resume:
            console.note(f"resuming at step {run.step}" if run.resume() else "nothing to resume: starting at step 0")
        last = _run(run, console, val)
        if world.is_first:
            _finish(run, last, val, console, as_json=as_json)
        world.wait()


def _first_does(world: World, work: Callable[[], T]) -> T:
    """Let the first process do what all need and one must do; all get the result."""
    result: T = world.from_first(work() if world.is_first else None)
    return result


def _run(run: TrainingRun, console: Console, val: Path | None) -> StepReport | None:
    """Drive the run: progress for the eye, metrics for the record, validation on the way."""
    from contextlib import closing

    from trackcli.training.validate import BestByValidation

    best = BestByValidation(run, val) if val is not None else None
    report = None
    with console.progress() as progress, closing(run.steps()) as reports:
        task = progress.add_task("training", total=run.total, completed=run.step, rate="")
        for report in reports:
            terms = "  ".join(f"{name} {value:.3f}" for name, value in report.terms.items())
            progress.update(
                task,
                completed=report.step,
                rate=f"{terms}  {report.pairs_per_second:.0f} pairs/s  {report.waiting:.0%} waiting",
            )
            if run.world.is_first and (report.step % LOG_EVERY == 0 or report.step == report.total):
                run.metrics.write(report)
            if best is not None and best.is_due(report.step):
                figures = best.validate()
                if run.world.is_first:
                    run.metrics.write_validation(report.step, figures)
                console.note(f"step {report.step}: {format_figures(figures)}")
            if report.step % (10 * LOG_EVERY) == 0:
                console.detail(f"step {report.step}/{report.total}  {terms}  {report.pairs_per_second:.0f} pairs/s")
    return report


def format_figures(figures: dict[str, float]) -> str:
    """``success_auc 0.512  precision_20 0.640``."""
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _finish(run: TrainingRun, last: StepReport | None, val: Path | None, console: Console, *, as_json: bool) -> None:
    """Validate by tracking, if asked, and say where the tracker is."""
    import json

    from trackcli.tracking.tracker import RUN_TRACKER

    tracker = run.folder / RUN_TRACKER
    result: dict[str, Any] = {"tracker": str(tracker), "steps": run.step, "terms": last.terms if last else {}}
    if val is not None:
        from trackcli.training.validate import validate

        figures = validate(tracker, val, device=str(run.device))
        result["validation"] = figures
        console.note(format_figures(figures))
    if as_json:
        print(json.dumps(result))
    console.note(f"tracker: {tracker}")
