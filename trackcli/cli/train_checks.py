"""``trackcli train --dry-run``, ``--overfit`` and ``--replay``: looking before, and after, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli.cli.listing import print_json

if TYPE_CHECKING:
    from trackcli.cli.console import Console
    from trackcli.cli.train_run import TrainOptions
    from trackcli.composition.plan import Plan
    from trackcli.host.registry import Registry


def show_dry_run(planned: Plan, options: TrainOptions, console: Console) -> None:
    """Everything that a run would check, and what it would take."""
    from trackcli.training.dry_run import dry_run

    found = dry_run(planned, **_trial_of(planned, options, console))
    if options.as_json:
        print_json(found.as_data())
    else:
        print("\n".join(found.lines()))


def show_overfit(planned: Plan, options: TrainOptions, console: Console, *, pairs: int, steps: int | None) -> None:
    """Whether the composition can learn a few pairs by heart."""
    from trackcli.cli.train_progress import Smoothed
    from trackcli.training.overfit import STEPS, overfit

    total, smoothed = steps or STEPS, Smoothed()
    with console.progress() as progress:
        task = progress.add_task("learning by heart", total=total, rate="")

        def show(step: int, terms: dict[str, float]) -> None:
            means = smoothed.follow(terms)
            text = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
            progress.update(task, completed=step, rate=text)

        trial = _trial_of(planned, options, console)
        found = overfit(planned, pairs=pairs, steps=total, on_step=show, **trial)
    if options.as_json:
        print_json(found.as_data())
    else:
        print("\n".join(found.lines()))


def show_replay(path: Path, registry: Registry, *, device: str, as_json: bool) -> None:
    """Make a step again that was not finite."""
    from dataclasses import asdict

    from trackcli.tracking.tracker import resolve_device
    from trackcli.training.replay import replay

    found = replay(path, registry, device=str(resolve_device(device)))
    if as_json:
        print_json(asdict(found))
    else:
        print("\n".join(found.lines()))


def _trial_of(planned: Plan, options: TrainOptions, console: Console) -> dict[str, Any]:
    """What a trial needs; the run folder is looked at, since the same command will be given without this option."""
    from trackcli.cli.train_run import data_sources, initial_weights
    from trackcli.evaluation.datasets import load_folder_sequences
    from trackcli.training.distributed import ALONE

    if options.val is not None:
        load_folder_sequences(options.val)
    return {
        "data": data_sources(options, console, ALONE),
        "device": options.device,
        "initial": initial_weights(planned, options, console, ALONE),
        "note": console.note,
        "warn": console.warn,
    }
