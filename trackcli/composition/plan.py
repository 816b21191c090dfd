"""Planning: find every component, check its settings, and check that the chain fits — before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trackcli.config.component import (
    BackboneConfig,
    ComponentConfig,
    HeadConfig,
    LossConfig,
    MatcherConfig,
    Normalisation,
    PostprocessorConfig,
)
from trackcli.config.recipe import Part, Recipe
from trackcli.config.sampling import SamplerConfig
from trackcli.config.suggestions import did_you_mean
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import ConfigError, FitError, PluginError
from trackcli.host.registry import Registry
from trackcli.host.specs import (
    BackboneSpec,
    ComponentSpec,
    HeadSpec,
    LossSpec,
    MatcherSpec,
    PostprocessorSpec,
    SamplerSpec,
)

MOST_SHOWN = 60
"""Characters of a wrong value that an error repeats."""

ConfigT = TypeVar("ConfigT", bound=ComponentConfig)


@dataclass(frozen=True)
class Planned:
    """A component that was found and whose settings are sound.

    Attributes:
        spec: Its spec.
        config: Its checked configuration.
        provider: The distribution that provides it, and its version: ``trackcli 0.1.0``.
    """

    spec: ComponentSpec
    config: ComponentConfig
    provider: str


@dataclass(frozen=True)
class Plan:
    """A composition that fits; building it cannot fail for reasons of shape.

    Attributes:
        recipe: What was asked for.
        levels: What the backbone gives.
        matches: What the matcher gives.
        adjusted: The matcher's adjusted features.
        candidate_links: In order.
        track_links: In order.
        sampler: Draws the pairs of a training.
    """

    recipe: Recipe
    backbone: Planned
    matcher: Planned
    head: Planned
    losses: tuple[Planned, ...]
    candidate_links: tuple[Planned, ...]
    select: Planned
    track_links: tuple[Planned, ...]
    levels: Mapping[str, LevelShape]
    matches: Mapping[str, MatchShape]
    adjusted: Mapping[str, LevelShape]
    normalisation: Normalisation
    sampler: Planned

    @property
    def sampler_config(self) -> SamplerConfig:
        """What every sampler's pairs go through."""
        return _as(self.sampler.config, SamplerConfig)


def plan(recipe: Recipe, registry: Registry) -> Plan:
    """Check a recipe as a whole.

    Raises:
        UnknownNameError: for a component nobody provides.
        ConfigError: for a setting that does not exist or does not fit, or an item listed twice.
        FitError: for two components that disagree; the message names both and what would fit.
    """
    _check_listed_once("loss", recipe.loss)
    _check_listed_once("postprocessor", recipe.postprocessor)
    backbone = _planned(registry, BackboneSpec, recipe.backbone)
    matcher = _planned(registry, MatcherSpec, recipe.matcher)
    head = _planned(registry, HeadSpec, recipe.head)
    losses = tuple(_planned(registry, LossSpec, part) for part in recipe.loss)
    links = [_planned(registry, PostprocessorSpec, part) for part in recipe.postprocessor]
    levels = _as(backbone.config, BackboneConfig).levels()
    head_config = _as(head.config, HeadConfig)
    matcher_config = _as(matcher.config, MatcherConfig).resolve(head_config.widths())
    matches = matcher_config.matches(levels)
    adjusted = matcher_config.adjusted(levels)
    head_config.check(matches, levels)
    for loss in losses:
        _check_loss(loss, head, head_config, registry)
        _as(loss.config, LossConfig).check(adjusted)
        _as(loss.config, LossConfig).check_head(head_config)
    for link in links:
        _as(link.config, PostprocessorConfig).check(levels, recipe.crop.search_sizes)
    return Plan(
        recipe=recipe,
        backbone=backbone,
        matcher=replace(matcher, config=matcher_config),
        head=head,
        losses=losses,
        candidate_links=_at_stage(links, "candidates"),
        select=_the_select(links),
        track_links=_at_stage(links, "track"),
        levels=levels,
        matches=matches,
        adjusted=adjusted,
        normalisation=recipe.normalisation or _as(backbone.config, BackboneConfig).normalisation(),
        sampler=_planned(registry, SamplerSpec, recipe.sampler),
    )


def check_settings(spec: ComponentSpec, part: Part) -> ComponentConfig:
    """Validate a part's settings with its component's own configuration class.

    Raises:
        ConfigError: naming the key as the user writes it (``matcher.channels``) and the nearest known one.
    """
    config_class = spec.load_config_class()
    try:
        return config_class(**part.settings)  # type: ignore[no-any-return]  # a lazy reference has no static type
    except ValidationError as error:
        raise ConfigError(explain(error, prefix=key_prefix(spec), model=config_class)) from error


def key_prefix(spec: ComponentSpec) -> str:
    """How a user addresses this component's settings: ``matcher``, or ``loss.rpn`` for the kinds that are lists."""
    return f"{spec.kind}.{spec.name}" if spec.kind in {"loss", "postprocessor"} else spec.kind


def explain(error: ValidationError, *, prefix: str, model: type[BaseModel]) -> str:
    """The first problem of a pydantic error as one line for a person."""
    problem = error.errors(include_url=False)[0]
    steps = [str(step) for step in problem["loc"]]
    full = ".".join(step for step in (prefix, *steps) if step) or "the configuration"
    if problem["type"] == "extra_forbidden":
        return f"{full} is unknown; {did_you_mean(steps[-1], _known_keys(model, steps[:-1]))}"
    if problem["type"] == "missing":
        return f"{full} is missing; give it a value"
    return f"{full} = {_shortened(problem['input'])} does not fit: {problem['msg']}"


def _known_keys(model: type[BaseModel], sections: Iterable[str]) -> list[str]:
    """The keys of a section of a section … of ``model``."""
    for section in sections:
        inner = model.model_fields[section].annotation if section in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _planned(registry: Registry, kind: type[ComponentSpec], part: Part) -> Planned:
    entry = registry.find_provided(kind, part.name)
    assert isinstance(entry.spec, ComponentSpec)
    return Planned(entry.spec, check_settings(entry.spec, part), f"{entry.distribution} {entry.version}")


def _check_listed_once(kind: str, parts: Iterable[Part]) -> None:
    """Items of a list are addressed by name, and their parameters and states are kept by it."""
    names = [part.name.rpartition(":")[2] for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{kind} {name!r} is listed {names.count(name)} times; expected each name once")


def _as(config: ComponentConfig, base: type[ConfigT]) -> ConfigT:
    assert isinstance(config, base)  # _planned checked it
    return config


def _check_loss(loss: Planned, head: Planned, head_config: HeadConfig, registry: Registry) -> None:
    takes = _as(loss.config, LossConfig).takes
    if not takes or head_config.predicts in takes:
        return
    fitting = _losses_for(head_config.predicts, registry)
    raise FitError(
        f"loss {loss.spec.name!r} takes {' or '.join(takes)}, but head {head.spec.name!r} predicts "
        f"{head_config.predicts}; losses that fit: {', '.join(fitting) or 'none is installed'}"
    )


def _losses_for(predicts: str, registry: Registry) -> list[str]:
    """Names of the losses that take a kind of predictions; one that cannot be loaded is no help to the person."""
    fitting = []
    for entry in registry.of_kind(LossSpec):
        assert isinstance(entry.spec, LossSpec)
        with suppress(PluginError):
            if predicts in entry.spec.load_config_class().takes:
                fitting.append(registry.label(entry))
    return fitting


def _at_stage(links: list[Planned], stage: str) -> tuple[Planned, ...]:
    return tuple(link for link in links if isinstance(link.spec, PostprocessorSpec) and link.spec.stage == stage)


def _the_select(links: list[Planned]) -> Planned:
    selects = _at_stage(links, "select")
    if len(selects) != 1:
        raise FitError(
            f"the postprocessors hold {len(selects)} selections; expected exactly one, e.g. --add-postprocessor select"
        )
    return selects[0]
