"""Layers of configuration: nested plain data laid over one another, files, and ``--set key=value``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import ConfigError

LISTS = ("loss", "postprocessor")
MAX_CONFIG_BYTES = 1 << 20


def merge(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nested mapping over another; lists and scalars are replaced, mappings merged key by key."""
    merged = dict(base)
    for key, value in above.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def read_config_file(path: Path) -> dict[str, Any]:
    """Read a TOML or YAML file as nested plain data.

    YAML is loaded safely and without aliases, so that a small file cannot become a large structure.

    Raises:
        ConfigError: for a missing, oversized or malformed file.
    """
    if not path.is_file():
        raise ConfigError(f"--config {path} does not exist; expected a TOML or YAML file")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ConfigError(f"--config {path} has {path.stat().st_size} bytes; expected at most {MAX_CONFIG_BYTES}")
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix.lower() == ".toml" else yaml.load(text, Loader=_PlainLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: bad UTF-8, TOML or dates too
        reason = " ".join(str(error).split())
        raise ConfigError(f"--config {path} cannot be read: {reason}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"--config {path} holds {type(data).__name__}; expected keys such as matcher, head, train")
    return data


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: they make small files expand without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)


def apply_assignments(data: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Apply ``--set matcher.channels=256`` and ``--set loss.rpn.weight=2`` in order.

    Values are read as TOML (numbers, true, lists, quoted strings); anything else is taken as a string. Items of the
    lists ``loss`` and ``postprocessor`` are addressed by name.

    Raises:
        ConfigError: for an assignment without ``=``, or a list item that is not there.
    """
    result = dict(data)
    for assignment in assignments:
        text = assignment.partition("=")[2]
        result = _assign(result, list(assigned_key(assignment)), _parse_value(text.strip()), assignment)
    return result


def assigned_key(assignment: str) -> tuple[str, ...]:
    """``("matcher", "channels")`` of ``matcher.channels=256``.

    Raises:
        ConfigError: if there is no ``=``, or no key before it.
    """
    key, equals, _ = assignment.partition("=")
    steps = tuple(key.strip().split("."))
    if not equals or not all(steps):
        raise ConfigError(f"--set {assignment} is no assignment; expected key=value, e.g. matcher.channels=128")
    return steps


def _assign(data: Mapping[str, Any], steps: list[str], value: Any, assignment: str) -> dict[str, Any]:
    head, rest = steps[0], steps[1:]
    result = dict(data)
    if not rest:
        result[head] = value
    elif head in LISTS and isinstance(result.get(head), list | tuple):
        result[head] = _assign_item(result[head], rest, value, assignment, head)
    elif isinstance(below := result.get(head, {}), Mapping):
        result[head] = _assign(below, rest, value, assignment)
    else:
        raise ConfigError(f"--set {assignment}: {head} is {below!r}, which has no settings")
    return result


def _assign_item(items: Iterable[Any], steps: list[str], value: Any, assignment: str, kind: str) -> list[Any]:
    listed = list(items)
    name, *setting = steps
    names = [item["name"] for item in listed if isinstance(item, Mapping)]
    name = full_name(name, names)
    if name not in names:
        hint = did_you_mean(name, names) if names else f"it is empty; add to it with --add-{kind} {name}"
        raise ConfigError(f"--set {assignment}: {name!r} is not in the list {kind}; {hint}")
    if not setting:
        raise ConfigError(f"--set {assignment} names an item but no setting of it; expected e.g. loss.rpn.weight=2")
    return [
        _assign(item, setting, value, assignment) if isinstance(item, Mapping) and item["name"] == name else item
        for item in listed
    ]


def full_name(name: str, listed: Iterable[str]) -> str:
    """The item of a list that a bare name means: ``acme:rpn`` for ``rpn`` if it is the only one of that name."""
    names = list(listed)
    same = [each for each in names if each.rpartition(":")[2] == name]
    return same[0] if name not in names and len(same) == 1 else name


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
