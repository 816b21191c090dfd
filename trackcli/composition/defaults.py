"""Nothing named still works: what the user leaves open comes from home presets and the head's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from trackcli.composition.names import items_by_name, own_names
from trackcli.composition.plan import explain
from trackcli.composition.versions import up_to_date
from trackcli.config.layers import LISTS, apply_assignments, assigned_key
from trackcli.config.origins import (
    COMPLETE,
    COMPONENTS,
    DEFAULT_ORIGIN,
    SINGLE_PARTS,
    Key,
    Layer,
    merged,
    origin_in,
    stacked,
)
from trackcli.config.recipe import Recipe
from trackcli.errors import ConfigError
from trackcli.host.registry import Registry
from trackcli.host.selection import CORE
from trackcli.host.specs import HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec, PresetSpec

FALLBACK_PRESET = "siamrpn-pp"


@dataclass(frozen=True)
class Completed:
    """A complete recipe and what was filled in.

    Attributes:
        recipe: The recipe.
        notes: One line per substitution, for the person.
        layers: What the recipe is made of, lowest first; for the origins of its settings.
        assigned: The keys that ``--set`` gave, and the whole assignment, in order.
        added: Components put at the end of a list: ``(kind, name)``.
    """

    recipe: Recipe
    notes: tuple[str, ...]
    layers: tuple[Layer, ...] = ()
    assigned: tuple[tuple[Key, str], ...] = ()
    added: frozenset[tuple[str, str]] = frozenset()

    def origin(self, key: Key) -> str:
        """Who set a setting: ``--set …``, ``--config FILE``, ``--matcher NAME``, ``preset NAME``, or ``default``."""
        for assigned, assignment in reversed(self.assigned):
            if key[: len(assigned)] == assigned:
                return f"--set {assignment}"
        if key[:2] in self.added:
            return f"--add-{key[0]} {key[1]}" if key[2:] == ("name",) else DEFAULT_ORIGIN
        return origin_in(self.layers, key)


def complete(
    data: Mapping[str, Any],
    registry: Registry,
    assignments: Iterable[str] = (),
    *,
    added: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Completed:
    """Turn partial recipe data, and ``--set`` assignments on top of it, into a whole recipe.

    Like :func:`complete_layers` with one layer.

    Raises:
        UnknownNameError: for names nobody provides.
        ConfigError: for keys or values that do not fit.
    """
    return complete_layers([Layer("given", data)], registry, assignments, added=added)


def complete_layers(
    layers: Sequence[Layer],
    registry: Registry,
    assignments: Iterable[str] = (),
    *,
    added: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Completed:
    """Turn layers of partial recipe data, lowest first, and ``--set`` assignments on top, into a whole recipe.

    The preset is the one named, or the home preset of the matcher, or ``siamrpn-pp``; a layer with ``complete = true``
    needs none. A head other than the preset's brings its own losses and postprocessors. ``added`` names go to the end
    of the lists ``loss`` and ``postprocessor``.

    Raises:
        UnknownNameError: for names nobody provides.
        ConfigError: for keys or values that do not fit.
    """
    for layer in layers:
        _check_sections(layer.data)
    layers = [Layer(layer.origin, up_to_date(layer.data, registry)) for layer in layers]
    given = tuple(assignments)
    layers = [*layers, *_choices(given)]
    notes: list[str] = []
    stack = stacked(layers)
    if not any(layer.data.get(COMPLETE) is True for layer in layers):
        stack = stacked([*_preset_layers(merged(stack), registry, notes), *stack])
    stack = [*_head_layers(merged(stack), registry, notes), *stack]
    data = merged(stack)
    for kind, names in added.items():
        data[kind] = [*data[kind], *({"name": name} for name in names)]
    recipe = to_recipe(apply_assignments(data, given))
    pairs = frozenset((kind, name) for kind, names in added.items() for name in names)
    assigned = tuple((items_by_name(assigned_key(text), data), text) for text in given)
    return Completed(recipe, tuple(notes), tuple(stack), assigned, pairs)


def to_recipe(data: Mapping[str, Any]) -> Recipe:
    """Validate nested plain data as a recipe.

    Raises:
        ConfigError: one line, naming the key.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, prefix="", model=Recipe)) from error


def _choices(assignments: Iterable[str]) -> list[Layer]:
    """``--set matcher.name=other`` chooses a component like ``--matcher other``: it replaces the old one's settings."""
    layers = [
        Layer(f"--set {text}", apply_assignments({}, [text]))
        for text in assignments
        if assigned_key(text) in {("preset",), *((kind, "name") for kind in SINGLE_PARTS)}
    ]
    for layer in layers:
        _check_sections(layer.data)
    return layers


def _check_sections(data: Mapping[str, Any]) -> None:
    """Configuration files hold anything; what follows relies on sections and lists of sections."""
    if not isinstance(data.get(COMPLETE, False), bool):
        raise ConfigError(f"{COMPLETE} = {data[COMPLETE]!r} does not fit; expected true or false")
    if not isinstance(data.get("preset", ""), str | None):
        raise ConfigError(f"preset = {data['preset']!r} does not fit; expected a name")
    if not isinstance(data.get(COMPONENTS, {}), Mapping):
        raise ConfigError(
            f"{COMPONENTS} = {data[COMPONENTS]!r} does not fit; expected a section, as --print-config writes"
        )
    for kind in SINGLE_PARTS:
        part = data.get(kind, {})
        if not isinstance(part, Mapping) or not isinstance(part.get("name", ""), str):
            raise ConfigError(f"{kind} = {part!r} does not fit; expected a section with a name and settings")
    for kind in LISTS:
        items = data.get(kind, ())
        if not isinstance(items, list | tuple) or not all(map(_is_named, items)):
            raise ConfigError(f"{kind} = {items!r} does not fit; expected a list of sections with a name")


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)


def _preset_layers(data: Mapping[str, Any], registry: Registry, notes: list[str]) -> list[Layer]:
    """The preset's recipe, and the preset's name where nobody named it."""
    named = data.get("preset")
    matcher = data.get("matcher", {}).get("name")
    name = named or _home_preset(matcher, registry)
    entry = registry.find_provided(PresetSpec, name)
    assert isinstance(entry.spec, PresetSpec)
    _check_sections(entry.spec.recipe)
    layers = [Layer(f"preset {name}", own_names(entry.spec.recipe, entry.distribution, registry))]
    if not named:
        notes.append(f"preset {name}: supplies what is not named")
        origin = f"home preset of matcher {matcher}" if matcher else "nothing else was named"
        layers.append(Layer(origin, {"preset": name}))
    return layers


def _home_preset(matcher: str | None, registry: Registry) -> str:
    fallback = registry.own_name(PresetSpec, FALLBACK_PRESET, CORE)
    if matcher is None:
        return fallback
    entry = registry.find_provided(MatcherSpec, matcher)
    home = getattr(entry.spec, "home_preset", None)
    return registry.own_name(PresetSpec, home, entry.distribution) if home else fallback


def _head_layers(data: Mapping[str, Any], registry: Registry, notes: list[str]) -> list[Layer]:
    """The head's default losses and postprocessors, for the lists that nobody gave."""
    if "name" not in data.get("head", {}):
        raise ConfigError("head.name is missing; expected the name of a head, e.g. --head rpn")
    entry = registry.find_provided(HeadSpec, data["head"]["name"])
    head = entry.spec
    assert isinstance(head, HeadSpec)
    layers = []
    for spec_class, defaults in ((LossSpec, head.default_losses), (PostprocessorSpec, head.default_postprocessors)):
        kind = spec_class.kind
        if kind not in data:
            names = [registry.own_name(spec_class, name, entry.distribution) for name in defaults]
            layers.append(Layer(f"head {head.name}", {kind: [{"name": name} for name in names]}))
            notes.append(f"{kind}: {', '.join(names) or 'none'} (head {head.name})")
    return layers
