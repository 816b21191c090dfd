"""From a recipe's sampler to what the cache's reading takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trackcli_cache.batches_pairs import CropSettings
from trackcli_cache.batches_views import ViewSettings
from trackcli_cache.reader import CropCache
from trackcli_cache.sampling import Sampler
from trackcli_cache.sampling_pairs import PairSampler, PairSettings

from trackcli.composition.plan import Plan
from trackcli.config.recipe import CropConfig
from trackcli.config.sampling import AugmentConfig, PairsConfig, SamplerConfig


def pairs_sampler(
    caches: Sequence[CropCache],
    weights: Sequence[float],
    config: PairsConfig,
    *,
    seed: int,
    warn: Callable[[str], None],
) -> Sampler:
    """The built-in sampler ``pairs``: see :class:`trackcli_cache.sampling_pairs.PairSampler`."""
    drawn = config.model_dump(exclude=set(SamplerConfig.model_fields))
    return PairSampler(caches, weights, PairSettings(**drawn), seed=seed, warn=warn)


def make_sampler(
    plan: Plan, caches: Sequence[CropCache], weights: Sequence[float], *, warn: Callable[[str], None]
) -> Sampler:
    """The sampler that a plan names.

    Args:
        plan: The composition; its seed is the run's.
        caches: Where pairs come from.
        weights: How often each cache is drawn from, whatever its size.
        warn: Told, once, about what the data cannot supply.

    Raises:
        DatasetError: if the caches hold nothing that the sampler could draw.
        PluginError: if the sampler cannot be imported.
    """
    factory = plan.sampler.spec.load_factory()
    sampler: Sampler = factory(caches, weights, plan.sampler.config, seed=plan.recipe.train.seed, warn=warn)
    return sampler


def crop_settings(crop: CropConfig, config: SamplerConfig) -> CropSettings:
    """What the crops show, and how their windows vary."""
    return CropSettings(
        template_size=crop.template_size,
        search_size=crop.search_size,
        context=crop.context,
        pixels_of_context=crop.pixels_of_context,
        template=_view_settings(config.template),
        search=_view_settings(config.search),
    )


def _view_settings(augment: AugmentConfig) -> ViewSettings:
    return ViewSettings(
        shift=augment.shift,
        scale=augment.scale,
        aspect=augment.aspect,
        rotation=augment.rotation,
        low_resolution=augment.low_resolution,
        bend=augment.bend,
    )
