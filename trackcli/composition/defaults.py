"""Nothing named still works: what the user leaves open comes from home presets and the head's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from trackcli.composition.plan import explain
from trackcli.config.layers import LISTS, apply_assignments, merge
from trackcli.config.recipe import Recipe
from trackcli.errors import ConfigError
from trackcli.host.registry import Registry
from trackcli.host.specs import HeadSpec, MatcherSpec, PresetSpec

FALLBACK_PRESET = "siamrpn-pp"


@dataclass(frozen=True)
class Completed:
    """A complete recipe and what was filled in.

    Attributes:
        recipe: The recipe.
        notes: One line per substitution, for the person.
    """

    recipe: Recipe
    notes: tuple[str, ...]


def complete(
    data: Mapping[str, Any],
    registry: Registry,
    assignments: Iterable[str] = (),
    *,
    added: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Completed:
    """Turn partial recipe data, and ``--set`` assignments on top of it, into a whole recipe.

    The preset is the one named, or the home preset of the matcher, or ``siamrpn-pp``. A head other than the preset's
    brings its own losses and postprocessors. ``added`` names go to the end of the lists ``loss`` and ``postprocessor``.

    Raises:
        UnknownNameError: for names nobody provides.
        ConfigError: for keys or values that do not fit.
    """
    _check_sections(data)
    notes: list[str] = []
    preset_name = data.get("preset") or _home_preset(data, registry)
    if not data.get("preset"):
        notes.append(f"preset {preset_name}: supplies what is not named")
    preset = registry.find(PresetSpec, preset_name)
    base = dict(preset.recipe)
    _drop_replaced(base, data)
    merged = merge(base, {**data, "preset": preset_name})
    _fill_from_head(merged, registry, notes)
    for kind, names in added.items():
        merged[kind] = [*merged[kind], *({"name": name} for name in names)]
    return Completed(to_recipe(apply_assignments(merged, assignments)), tuple(notes))


def to_recipe(data: Mapping[str, Any]) -> Recipe:
    """Validate nested plain data as a recipe.

    Raises:
        ConfigError: one line, naming the key.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, prefix="", model=Recipe)) from error


def _check_sections(data: Mapping[str, Any]) -> None:
    """Configuration files hold anything; what follows relies on sections and lists of sections."""
    if not isinstance(data.get("preset", ""), str | None):
        raise ConfigError(f"preset = {data['preset']!r} does not fit; expected a name")
    for kind in ("backbone", "matcher", "head"):
        part = data.get(kind, {})
        if not isinstance(part, Mapping) or not isinstance(part.get("name", ""), str):
            raise ConfigError(f"{kind} = {part!r} does not fit; expected a section with a name and settings")
    for kind in LISTS:
        items = data.get(kind, ())
        if not isinstance(items, list | tuple) or not all(map(_is_named, items)):
            raise ConfigError(f"{kind} = {items!r} does not fit; expected a list of sections with a name")


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _home_preset(data: Mapping[str, Any], registry: Registry) -> str:
    matcher = data.get("matcher", {}).get("name")
    if matcher is None:
        return FALLBACK_PRESET
    return registry.find(MatcherSpec, matcher).home_preset or FALLBACK_PRESET


def _drop_replaced(base: dict[str, Any], data: Mapping[str, Any]) -> None:
    """Settings of a preset's component do not carry over to another component named in its place."""
    for kind in ("backbone", "matcher", "head"):
        given = data.get(kind, {}).get("name")
        if given is None or kind not in base or given == base[kind]["name"]:
            continue
        base[kind] = {"name": given}
        if kind == "head":
            base.pop("loss", None)
            base.pop("postprocessor", None)
    for kind in LISTS:
        if kind in data:
            base.pop(kind, None)


def _fill_from_head(merged: dict[str, Any], registry: Registry, notes: list[str]) -> None:
    head = registry.find(HeadSpec, merged["head"]["name"])
    for kind, names in (("loss", head.default_losses), ("postprocessor", head.default_postprocessors)):
        if kind not in merged:
            merged[kind] = [{"name": name} for name in names]
            notes.append(f"{kind}: {', '.join(names) or 'none'} (head {head.name})")
