"""Writes nested plain data as TOML that a person can read, with a comment per setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from trackcli.config.origins import Key

NO_COMMENTS: Mapping[Key, str] = MappingProxyType({})

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_toml(data: Mapping[str, Any], comments: Mapping[Key, str] = NO_COMMENTS) -> str:
    """Write a configuration.

    Args:
        data: Mappings, lists, text, numbers, true and false. TOML has no null: keys with None are left out.
        comments: By key, items of lists of tables by their ``name``; written behind the setting.

    Returns:
        A text that ``tomllib`` reads as ``data`` again.

    Raises:
        TypeError: for a value that TOML cannot hold.
    """
    return "\n".join(_table(data, (), (), comments)).lstrip("\n") + "\n"


def _table(data: Mapping[str, Any], path: Key, key: Key, comments: Mapping[Key, str]) -> Iterator[str]:
    """Settings first, then the tables inside: TOML has no way back up.

    Args:
        path: How TOML addresses the table.
        key: How a person does: with the names of list items.
    """
    for name, value in data.items():
        if not isinstance(value, Mapping) and not _is_list_of_tables(value) and value is not None:
            yield _setting(name, value, comments.get((*key, name)))
    for name, value in data.items():
        inner = ".".join(map(_name, (*path, name)))
        if isinstance(value, Mapping):
            yield f"\n[{inner}]"
            yield from _table(value, (*path, name), (*key, name), comments)
        elif _is_list_of_tables(value):
            for item in value:
                yield f"\n[[{inner}]]"
                yield from _table(item, (*path, name), (*key, name, str(item.get("name", ""))), comments)


def _is_list_of_tables(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, Mapping) and item for item in value)
    )


def _setting(name: str, value: Any, comment: str | None) -> str:
    text = f"{_name(name)} = {_value(value)}"
    return text if comment is None else f"{text}  # {_one_line(comment)}"


def _name(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_name(name)} = {_value(item)}" for name, item in _without_none(value)) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{type(value).__name__} cannot be written as TOML; expected text, numbers, lists or mappings")


def _without_none(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in data.items() if value is not None]


def _text(text: str) -> str:
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def _one_line(comment: str) -> str:
    """File names may hold anything; a comment ends with its line."""
    return "".join(character if character.isprintable() else "?" for character in comment)
