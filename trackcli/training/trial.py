"""A composition tried on a few pairs: what a dry run and an overfit share. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trackcli_cache.reader import CropCache

from trackcli.composition.plan import Plan
from trackcli.contracts.training import Batch
from trackcli.tracking.tracker import resolve_device
from trackcli.training.engine import Engine
from trackcli.training.initial import InitialWeights, Loaded, load_initial
from trackcli.training.loader import finish_on_device, make_loader
from trackcli.training.sources import DataSource


@dataclass(frozen=True)
class Trial:
    """An engine with its weights, and one batch.

    Attributes:
        plan: The composition, with the settings of the trial.
        engine: Ready to learn.
        batch: On the engine's device.
        records: Crops per cache.
        loaded: What was loaded from elsewhere.
    """

    plan: Plan
    engine: Engine
    batch: Batch
    records: dict[str, int]
    loaded: Loaded


def set_up_trial(
    planned: Plan,
    *,
    data: Sequence[DataSource],
    device: str,
    initial: InitialWeights,
    note: Callable[[str], None],
    warn: Callable[[str], None],
) -> Trial:
    """Open the caches, build the engine and load its weights, read the first ``train.batch`` pairs.

    Raises:
        CacheFormatError: for a cache that cannot be used.
        InputDataError: for weights that cannot be used, or data without usable objects.
    """
    caches = [CropCache.open(source.path) for source in data]
    target = resolve_device(device)
    loader = make_loader(planned, caches, [source.weight for source in data], warn=warn)
    engine = Engine(planned, target)
    loaded = load_initial(engine.model, planned, initial, note)
    engine.set_fresh(frozenset(name for name in loaded.fresh if name.startswith("backbone.")))
    (host,) = loader.batches(0, 1)
    records = {str(source.path): len(cache) for source, cache in zip(data, caches, strict=True)}
    return Trial(planned, engine, finish_on_device(host, target, planned.sampler_config), records, loaded)


def with_train(planned: Plan, **settings: Any) -> Plan:
    """The plan with other settings of training."""
    recipe = planned.recipe
    return replace(planned, recipe=recipe.model_copy(update={"train": recipe.train.model_copy(update=settings)}))
