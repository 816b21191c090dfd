"""Everything worth knowing about one component, as plain data: what ``trackcli plugins show`` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from trackcli.config.component import BackboneConfig, HeadConfig, LossConfig
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import PluginError, TrackcliError
from trackcli.host import specs
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.matrix import Composition, compositions, plan_defaults
from trackcli.host.registry import Provided, Registry
from trackcli.host.settings import settings_of

_SHOWN = (
    "paper",
    "home_preset",
    "stage",
    "file",
    "card",
    "default_losses",
    "default_postprocessors",
    "splits",
    "tree",
    "sequences",
    "suffixes",
    "most_targets",
)
"""Attributes of specs that are worth saying where they are given."""


def entry_row(entry: Provided, registry: Registry) -> dict[str, str]:
    """One line of a listing.

    Returns:
        ``name``, ``kind``, ``distribution``, ``version``, ``status`` (``ok``, or ``ambiguous`` if the bare name is not
        enough) and ``summary``.
    """
    return {
        "name": entry.spec.name,
        "kind": entry.spec.kind,
        "distribution": entry.distribution,
        "version": entry.version,
        "status": "ambiguous" if registry.is_ambiguous(entry) else "ok",
        "summary": entry.spec.summary,
    }


def describe(entry: Provided, registry: Registry) -> dict[str, Any]:
    """All about one component, without building it; of a broken one, what is wrong with it.

    Returns:
        The row of the listing; ``label`` (the name to write); what the spec says (``paper``, ``home_preset``, a
        dataset's ``splits`` and ``tree``, a sink's ``suffixes``, …); for components ``settings``,
        ``declares`` (levels and strides, kinds of predictions) and ``fits`` (names by kind); ``problem`` if the
        component is broken.
    """
    spec = entry.spec
    about: dict[str, Any] = entry_row(entry, registry) | {"label": registry.label(entry)}
    about |= {name: value for name in _SHOWN if (value := getattr(spec, name, None))}
    if isinstance(spec, specs.PresetSpec):
        about["components"] = preset_components(spec.recipe)
    if isinstance(spec, specs.ComponentSpec):
        try:
            about |= _describe_component(entry, spec, registry)
        except (TrackcliError, ForeignError) as error:
            about["problem"] = str(error)
    return about


def preset_components(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The names in a preset's recipe, by kind: one for a component, a list for losses and postprocessors."""
    named: dict[str, Any] = {}
    for kind, part in recipe.items():
        if isinstance(part, Mapping) and "name" in part:
            named[kind] = str(part["name"])
        elif isinstance(part, list | tuple) and all(isinstance(item, Mapping) for item in part):
            named[kind] = [str(item.get("name", "")) for item in part]
    return named


def _describe_component(entry: Provided, spec: specs.ComponentSpec, registry: Registry) -> dict[str, Any]:
    config_class = spec.load_config_class()
    with foreign_code():
        settings = [asdict(setting) for setting in settings_of(config_class)]
        declares = declarations(spec)
    found: dict[str, Any] = {"settings": settings, "declares": declares}
    if isinstance(spec, specs.MatcherSpec):
        found["declares"] = _responses(entry, registry)
    if spec.kind in _FITTING:
        found["fits"] = _FITTING[spec.kind](entry, registry)
    return found


def declarations(spec: specs.ComponentSpec) -> dict[str, Any]:
    """What a component's configuration says about it, with nothing set; empty where a setting must be given.

    Raises:
        PluginError: if it does not declare what its kind must.
    """
    config_class = spec.load_config_class()
    if issubclass(config_class, LossConfig):
        return {"takes": list(_names(config_class.takes, spec, "takes"))}
    if any(field.is_required() for field in config_class.model_fields.values()):
        return {}
    config = config_class()
    if isinstance(config, BackboneConfig):
        return {"levels": {name: _checked(level, LevelShape) for name, level in config.levels().items()}}
    if isinstance(config, HeadConfig):
        (predicts,) = _names((getattr(config, "predicts", None),), spec, "predicts")
        return {"predicts": predicts, "channels_per_cell": asdict(config.widths())}
    return {}


def _names(given: Any, spec: specs.ComponentSpec, what: str) -> tuple[str, ...]:
    if not isinstance(given, tuple) or not all(isinstance(name, str) for name in given):
        raise PluginError(f"{spec.kind} {spec.name!r} declares no kind of predictions in {what} of {spec.config}")
    return given


def _checked(shape: Any, expected: type[LevelShape] | type[MatchShape]) -> dict[str, Any]:
    if not isinstance(shape, expected):
        raise PluginError(f"a level is {type(shape).__name__}; expected {expected.__name__}")
    return asdict(shape)


def _responses(matcher: Provided, registry: Registry) -> dict[str, Any]:
    """What a matcher gives depends on the levels it gets: its responses on the first backbone that it fits."""
    for tried in compositions(registry, matcher=matcher):
        if tried.fits:
            backbone = registry.find_provided(specs.BackboneSpec, tried.backbone)
            planned = plan_defaults(registry, backbone, matcher, registry.find_provided(specs.HeadSpec, tried.head))
            responses = {name: _checked(shape, MatchShape) for name, shape in planned.matches.items()}
            return {"on": f"{tried.backbone}, {tried.head}", "responses": responses}
    return {}


def _fits_of_backbone(entry: Provided, registry: Registry) -> dict[str, list[str]]:
    fitting = [tried for tried in compositions(registry, backbone=entry) if tried.fits]
    return {"matcher": _distinct(fitting, "matcher"), "head": _distinct(fitting, "head")}


def _fits_of_matcher(entry: Provided, registry: Registry) -> dict[str, list[str]]:
    fitting = [tried for tried in compositions(registry, matcher=entry) if tried.fits]
    return {"backbone": _distinct(fitting, "backbone"), "head": _distinct(fitting, "head"), "loss": _losses(fitting)}


def _fits_of_head(entry: Provided, registry: Registry) -> dict[str, list[str]]:
    fitting = [tried for tried in compositions(registry, head=entry) if tried.fits]
    return {
        "backbone": _distinct(fitting, "backbone"),
        "matcher": _distinct(fitting, "matcher"),
        "loss": _losses(fitting),
    }


def _fits_of_loss(entry: Provided, registry: Registry) -> dict[str, list[str]]:
    name = registry.label(entry)
    fitting = [tried for tried in compositions(registry) if name in tried.losses]
    return {"matcher": _distinct(fitting, "matcher"), "head": _distinct(fitting, "head")}


_FITTING: Mapping[str, Callable[[Provided, Registry], dict[str, list[str]]]] = {
    "backbone": _fits_of_backbone,
    "matcher": _fits_of_matcher,
    "head": _fits_of_head,
    "loss": _fits_of_loss,
}


def _distinct(fitting: list[Composition], kind: str) -> list[str]:
    return sorted({getattr(tried, kind) for tried in fitting})


def _losses(fitting: list[Composition]) -> list[str]:
    return sorted({name for tried in fitting for name in tried.losses})
