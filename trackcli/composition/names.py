"""What names mean where they were written down: a preset's are its own distribution's before they are ambiguous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trackcli.config.layers import LISTS, full_name
from trackcli.config.origins import SINGLE_PARTS, Key
from trackcli.host.registry import KINDS, Registry


def own_names(recipe: Mapping[str, Any], distribution: str, registry: Registry) -> dict[str, Any]:
    """A recipe whose component names cannot be mistaken for those of another plugin.

    Args:
        recipe: Nested plain data whose sections were checked.
        distribution: Who wrote the recipe.
        registry: What is installed.

    Returns:
        The recipe, with ``distribution:name`` for names that several plugins provide and the distribution is one of.
    """
    result = dict(recipe)
    for kind in SINGLE_PARTS:
        if kind in recipe:
            result[kind] = _own(recipe[kind], kind, distribution, registry)
    for kind in LISTS:
        if kind in recipe:
            result[kind] = [_own(item, kind, distribution, registry) for item in recipe[kind]]
    return result


def items_by_name(key: Key, data: Mapping[str, Any]) -> Key:
    """A key whose list item has the name that it has in the list: ``loss.acme:rpn.weight`` for ``loss.rpn.weight``."""
    if len(key) < 2 or key[0] not in LISTS:
        return key
    names = [item["name"] for item in data.get(key[0], ()) if isinstance(item, Mapping)]
    return (key[0], full_name(key[1], names), *key[2:])


def _own(part: Mapping[str, Any], kind: str, distribution: str, registry: Registry) -> dict[str, Any]:
    if "name" not in part:
        return dict(part)
    return {**part, "name": registry.own_name(KINDS[kind], part["name"], distribution)}
