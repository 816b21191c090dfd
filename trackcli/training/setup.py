"""Setting a run up: data, folder, weights to start from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trackcli_cache.files import LOCK_NAME, write_whole
from trackcli_cache.reader import CropCache

from trackcli.composition.files import read_header
from trackcli.composition.plan import Plan
from trackcli.composition.record import full_recipe
from trackcli.errors import TrackcliError, UsageError
from trackcli.host.registry import Registry
from trackcli.tracking.tracker import RUN_TRACKER, resolve_device
from trackcli.training.best import BEST_TRACKER
from trackcli.training.checkpoint import PATTERN as CHECKPOINT_PATTERN
from trackcli.training.checkpoint import remove_leftovers
from trackcli.training.distributed import ALONE, World
from trackcli.training.initial import InitialWeights, Loaded, load_initial
from trackcli.training.loader import make_loader
from trackcli.training.nonfinite import PATTERN as NONFINITE_PATTERN
from trackcli.training.report import METRICS_FILE
from trackcli.training.run import TrainingRun
from trackcli.training.sources import SOURCES_FILE, DataSource, remember_sources
from trackcli.training.tensorboard import EVENTS

__all__ = ["RECIPE_FILE", "DataSource", "prepare_folder", "set_up"]

RECIPE_FILE = "recipe.json"

_STARTED_FROM = ("init_from", "backbone")
"""Facts in a tracker's provenance about its weights at the start."""


def prepare_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Make the run folder, or refuse to mix two runs. Nothing is removed yet: :func:`set_up` may still fail.

    Raises:
        UsageError: if the folder holds a run and neither ``--resume`` nor ``--force`` was given.
    """
    used = folder.is_dir() and any(path.name != LOCK_NAME for path in folder.iterdir())
    if used and not resume and not force:
        raise UsageError(
            f"-o {folder} is not empty; use --resume to go on with it, --force to start over, or another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)


def _remove_old_run(folder: Path) -> None:
    """What a run leaves and would go on from: ``--force`` was given. Other files stay."""
    patterns = [CHECKPOINT_PATTERN, NONFINITE_PATTERN, METRICS_FILE]
    if (folder / RECIPE_FILE).is_file():
        remove_leftovers(folder)
        patterns += [RUN_TRACKER, BEST_TRACKER, SOURCES_FILE, EVENTS]
    for pattern in patterns:
        for old in folder.glob(pattern):
            old.unlink(missing_ok=True)


def set_up(
    planned: Plan,
    registry: Registry,
    *,
    data: Sequence[DataSource],
    folder: Path,
    device: str,
    initial: InitialWeights = InitialWeights(),  # noqa: B008  # frozen
    resume: bool = False,
    note: Callable[[str], None],
    warn: Callable[[str], None],
    world: World = ALONE,
) -> tuple[TrainingRun, Loaded | None]:
    """Open the caches, build the run, and only then write to its folder, over an old run that nobody goes on with.

    A backbone's layers that get no weights train from the start, whatever ``train.unfreeze`` says.

    Args:
        planned: The composition.
        registry: Where its components come from.
        data: The caches.
        folder: The run folder.
        device: ``auto``, ``cpu``, ``cuda``, …
        initial: Weights to start from.
        resume: Go on from the folder's last checkpoint, if it has one; then nothing else is loaded.
        note: Told what is worth a line.
        warn: Told what the data cannot supply.
        world: The processes that train together.

    Returns:
        The run, and what was loaded from elsewhere; None for a run that goes on.

    Raises:
        CacheFormatError: for a cache that cannot be used.
        InputDataError: for weights that cannot be used, or data without usable objects.
    """
    recipe = planned.recipe
    caches = [CropCache.open(source.path) for source in data]
    training_device = resolve_device(device)
    loader = make_loader(
        planned,
        caches,
        [source.weight for source in data],
        warn=warn,
        rank=world.rank,
        world=world.size,
        pin_memory=training_device.type == "cuda",
    )
    provenance: dict[str, Any] = {
        "data": {
            source.path.name: {"weight": source.weight, "records": len(cache)}
            for source, cache in zip(data, caches, strict=True)
        },
        "seed": recipe.train.seed,
    }
    run = TrainingRun(planned, loader, folder, training_device, registry, note, provenance, world)
    run.check_phases()
    loaded = None
    if resume and run.resume():
        run.provenance.update(_started_from(folder))
        note(f"resuming at step {run.step}")
        if initial != InitialWeights():
            note("weights to start from are not loaded again: the run goes on with its own")
    else:
        if resume:
            note("nothing to resume: starting at step 0")
        loaded = load_initial(run.model, planned, initial, note)
        run.provenance.update(loaded.provenance)
        run.start_from(loaded.fresh)
    if world.is_first:
        if not resume:
            _remove_old_run(folder)
        recipe_text = json.dumps(full_recipe(planned).model_dump(mode="json", exclude_none=True), indent=1)
        write_whole(folder / RECIPE_FILE, recipe_text.encode())
        remember_sources(folder, data)
    return run, loaded


def _started_from(folder: Path) -> dict[str, Any]:
    """What the interrupted run's tracker says about the weights it started from."""
    try:
        facts = read_header(folder / RUN_TRACKER).provenance
    except TrackcliError:  # killed before its first checkpoint was whole
        return {}
    return {name: facts[name] for name in _STARTED_FROM if name in facts}
