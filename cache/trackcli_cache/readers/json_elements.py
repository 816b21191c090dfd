"""The elements of large JSON files one by one, with their place in the file, so that they can be read again later.

COCO's annotations are half a gigabyte of text, several as Python objects. Here one element is in memory at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from trackcli_cache.errors import DatasetError

LARGEST_ELEMENT = 64 << 20
CHUNK = 1 << 20

_BLANK = re.compile(r"[ \t\n\r]*")
_DELIMITERS = frozenset(" \t\n\r,:]}")


@dataclass(frozen=True)
class Element:
    """One element of an array that is a value of the file's outermost object.

    Attributes:
        key: Name of the array.
        value: The element.
        start: Its first byte in the file.
        end: The byte after its last.
    """

    key: str
    value: Any
    start: int
    end: int


def iterate_elements(path: Path) -> Iterator[Element]:
    """Yield the elements of all arrays in a file such as ``{"images": […], "annotations": […]}``, in their order.

    Values of the outermost object that are no arrays are passed over.

    Raises:
        DatasetError: if the file cannot be read or is not such JSON; the message names the byte.
    """
    try:
        with path.open("rb") as file:
            yield from _Cursor(file, path).walk()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error


def reread_element(file: BinaryIO, start: int, end: int, path: Path) -> Any:
    """Parse an element again from its place.

    Raises:
        DatasetError: if the file is not what it was.
    """
    file.seek(start)
    try:
        return json.loads(file.read(end - start))
    except ValueError as error:
        raise DatasetError(f"{path} changed while it was being read: {error}") from error


class _Cursor:
    """A window of text that moves through a file.

    Bytes are taken for Latin-1 characters: one each, so places in the text are places in the file, and what JSON
    itself consists of is ASCII. Elements with other characters are parsed again as the UTF-8 that they are.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._text = ""
        self._at = 0
        self._base = 0
        self._decoder = json.JSONDecoder()

    def walk(self) -> Iterator[Element]:
        self._expect("{")
        while self._next_character() != "}":
            key, _, _ = self._value()
            self._expect(":")
            if self._next_character() == "[":
                yield from self._array(str(key))
            else:
                self._value()
            self._comma("}")
        self._at += 1

    def _array(self, key: str) -> Iterator[Element]:
        self._expect("[")
        while self._next_character() != "]":
            value, start, end = self._value()
            yield Element(key, value, start, end)
            self._comma("]")
        self._at += 1

    def _value(self) -> tuple[Any, int, int]:
        """Parse the next value; read on while it is incomplete."""
        self._next_character()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number may go on in what is not read yet, as 4 does in 4.5e2.
                if self._text[end : end + 1] in _DELIMITERS or not self._read_on():
                    break
            except json.JSONDecodeError as error:
                if not self._read_on():
                    raise self._error(error.msg) from error
            except (ValueError, RecursionError) as error:
                raise self._error(str(error)) from error
        text, start = self._text[self._at : end], self._base + self._at
        self._at = end
        return value if text.isascii() else self._as_utf8(text), start, start + len(text)

    def _as_utf8(self, text: str) -> Any:
        try:
            return json.loads(text.encode("latin-1"))
        except ValueError as error:
            raise self._error(str(error)) from error

    def _comma(self, closing: str) -> None:
        character = self._next_character()
        if character == ",":
            self._at += 1
            if self._next_character() == closing:
                raise self._error("comma before the end")
        elif character != closing:
            raise self._error(f"expected ',' or '{closing}'")

    def _expect(self, character: str) -> None:
        if self._next_character() != character:
            raise self._error(f"expected '{character}'")
        self._at += 1

    def _next_character(self) -> str:
        """Skip blank space; the character that follows, or nothing at the end of the file."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def _read_on(self) -> bool:
        """Drop what is behind, read at least as much as is left; whether there was any."""
        left = len(self._text) - self._at
        if left > LARGEST_ELEMENT:
            raise self._error(f"an element of more than {LARGEST_ELEMENT >> 20} MiB")
        data = self._file.read(max(CHUNK, left))
        self._text = self._text[self._at :] + data.decode("latin-1")
        self._base += self._at
        self._at = 0
        return bool(data)

    def _error(self, problem: str) -> DatasetError:
        return DatasetError(f"{self._path} cannot be read as JSON: {problem} near byte {self._base + self._at}")
