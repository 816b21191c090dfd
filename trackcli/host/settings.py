"""What can be set on a component, read off its configuration class: names, types, defaults, meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LIMITS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "like {}",
}
_PLAIN = {int: "integer", float: "number", bool: "true or false", str: "text", NoneType: "unset", Any: "anything"}


@dataclass(frozen=True)
class Setting:
    """One setting of a component.

    Attributes:
        name: As in ``--set matcher.NAME=…``; a setting in a section is ``section.name``.
        type: What it may be, for a person: ``integer ≥ 8 ≤ 4096``.
        default: What it is unless set, as JSON writes it; None if it must be given.
        meaning: What it does; empty if its author did not say.
    """

    name: str
    type: str
    default: str | None
    meaning: str


def settings_of(config_class: type[BaseModel]) -> list[Setting]:
    """All settings of a configuration class, in its order."""
    return list(_settings(config_class, ""))


def _settings(config_class: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in config_class.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from _settings(section, f"{prefix}{name}.")
        else:
            described = " ".join([type_text(field.annotation), *_limits(field.metadata)])
            yield Setting(prefix + name, described, _default(field), field.description or "")


def type_text(annotation: Any) -> str:
    """A type in words: ``list of text``, ``2 | 3 | 4``, ``number or unset``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join([type_text(arguments[0]), *_limits(arguments[1:])])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in {Union, UnionType}:
        return " or ".join(map(type_text, arguments))
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"list: {', '.join(map(type_text, arguments))}"
    if origin in {tuple, list} and arguments:
        return f"list of {type_text(arguments[0])}"
    return _PLAIN.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _limits(metadata: Any) -> Iterator[str]:
    for item in metadata:
        for attribute, text in _LIMITS.items():
            value = getattr(item, attribute, None)
            if value is not None:
                yield text.format(value)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    return json.dumps(field.get_default(call_default_factory=True), default=str, ensure_ascii=False)
