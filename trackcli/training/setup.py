"""Setting a run up: data, folder, weights to start from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackcli_cache.files import LOCK_NAME, write_whole
from trackcli_cache.reader import CropCache

from trackcli.composition.foreign import load_foreign, read_state_dict
from trackcli.composition.plan import Plan
from trackcli.composition.record import full_recipe
from trackcli.errors import UsageError
from trackcli.host.registry import Registry
from trackcli.redaction import HIDDEN, is_url
from trackcli.tracking.tracker import resolve_device
from trackcli.training.checkpoint import PATTERN as CHECKPOINT_PATTERN
from trackcli.training.distributed import ALONE, World
from trackcli.training.loader import make_loader
from trackcli.training.nonfinite import PATTERN as NONFINITE_PATTERN
from trackcli.training.report import METRICS_FILE
from trackcli.training.run import TrainingRun

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class DataSource:
    """A cache and how often it is drawn from.

    Attributes:
        path: The cache folder.
        weight: Relative to the other sources.
    """

    path: Path
    weight: float

    @classmethod
    def parse(cls, text: str) -> DataSource:
        """``DIR`` or ``DIR=WEIGHT``.

        Raises:
            UsageError: if the weight is no positive number.
        """
        name, equals, weight = text.rpartition("=")
        if not equals or Path(text).is_dir():
            return cls(Path(text), 1.0)
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            weight = HIDDEN if is_url(text) else weight  # what follows the last "=" of an address may be a token
            raise UsageError(
                f"--data {text}: weight {weight!r} is no positive number; expected DIR=WEIGHT, e.g. {name}=0.5"
            )
        return cls(Path(name), value)


def prepare_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Make the run folder, or refuse to mix two runs.

    Raises:
        UsageError: if the folder holds a run and neither ``--resume`` nor ``--force`` was given.
    """
    used = folder.is_dir() and any(path.name != LOCK_NAME for path in folder.iterdir())
    if used and not resume and not force:
        raise UsageError(
            f"-o {folder} is not empty; use --resume to go on with it, --force to start over, or another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if used and not resume:
        patterns = (CHECKPOINT_PATTERN, NONFINITE_PATTERN, "*.safetensors", METRICS_FILE)
        for old in (path for pattern in patterns for path in folder.glob(pattern)):
            old.unlink(missing_ok=True)


def set_up(
    planned: Plan,
    registry: Registry,
    *,
    data: Sequence[DataSource],
    folder: Path,
    device: str,
    init_backbone: Path | None,
    note: Callable[[str], None],
    warn: Callable[[str], None],
    world: World = ALONE,
) -> TrainingRun:
    """Open the caches and build the run.

    A backbone's layers that get no weights train from the start, whatever ``train.unfreeze`` says.

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
    run.start_from(_without_weights(run, init_backbone, note))
    if world.is_first:
        recipe_text = json.dumps(full_recipe(planned).model_dump(mode="json", exclude_none=True), indent=1)
        write_whole(folder / RECIPE_FILE, recipe_text.encode())
    return run


def _without_weights(run: TrainingRun, init_backbone: Path | None, note: Callable[[str], None]) -> frozenset[str]:
    """Load what weights there are for the backbone; the names of its parameters that got none."""
    names = {name for name, _ in run.model.backbone.named_parameters()}
    if init_backbone is not None:
        report = load_foreign(run.model.backbone, read_state_dict(init_backbone))
        note(f"backbone from {init_backbone.name}: {report.summary()}")
        run.provenance["backbone"] = init_backbone.name
        names -= set(report.loaded)
    if names:
        which = "the backbone starts" if init_backbone is None else f"{len(names)} of the backbone's parameters start"
        note(f"{which} without weights and trains from the first step, whatever is frozen (--init-backbone gives some)")
    return frozenset(f"backbone.{name}" for name in names)
