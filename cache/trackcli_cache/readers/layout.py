"""What all readers need: errors that show the expected tree, names that stay inside their folder, bounded reading."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.numerals import to_float

LARGEST_COORDINATE = 1e9
MEBIBYTE = 1 << 20


def open_root(root: Path, tree: str, names: Sequence[str] = ()) -> Path:
    """Return the absolute root, or the sub-folder that the dataset's archive unpacks to, if that is there.

    Args:
        root: What the user gave.
        tree: The expected tree, for the message.
        names: Names that the archive gives its top folder.

    Raises:
        DatasetError: if there is no such folder.
    """
    folder = root.expanduser().resolve()
    if not folder.is_dir():
        raise DatasetError(f"--root {root} is not a folder; expected one that holds\n{tree}")
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def wrong_root(looked_for: str, root: Path, tree: str) -> DatasetError:
    """An error for a root that lacks something: what was looked for, where, what is there, what is expected."""
    found = sorted((path.name for path in root.iterdir()), key=natural_key) if root.is_dir() else []
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return DatasetError(
        f"looked for {looked_for} in {root} and found none (it holds {shown or 'nothing'}); expected\n{tree}"
    )


def require_folders(root: Path, folders: Iterable[str], tree: str) -> None:
    """Check that a root has these sub-folders.

    Raises:
        DatasetError: if one is missing; the message shows the expected tree.
    """
    for name in folders:
        if not (root / name).is_dir():
            raise wrong_root(f"{name}/", root, tree)


def inner_path(folder: Path, name: object, where: str) -> Path:
    """Join a name from an annotation to its folder.

    Raises:
        DatasetError: if it is not text, or would lead out of the folder.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if not parts or any(part in {"", ".", ".."} or "\\" in part or "\0" in part or ":" in part for part in parts):
        raise DatasetError(f"{where}: {name!r:.80} is not a file name; expected a name inside {folder}")
    return folder.joinpath(*parts)


def sub_folders(folder: Path) -> list[Path]:
    """Folders in a folder, in natural order; hidden ones left out."""
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(found, key=lambda path: natural_key(path.name))


def files_with(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder with this ending, in natural order, hidden ones left out; none if there is no such folder."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith("."))
    return sorted(found, key=lambda path: natural_key(path.name))


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a file of at most ``limit`` bytes.

    Raises:
        DatasetError: if it is missing or larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise DatasetError(f"{path} is larger than {limit // MEBIBYTE} MiB, too large for what it should be")
    return content


def read_lines(path: Path, limit: int = 256 * MEBIBYTE) -> list[str]:
    """Read the lines of a text file, without blank space around them; blank lines at the end are dropped.

    Raises:
        DatasetError: if it is missing, too large, or not text.
    """
    try:
        text = read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not a text file: {error}") from error
    return [line.strip() for line in text.rstrip().splitlines()]


def read_json_object(path: Path, limit: int = 256 * MEBIBYTE) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        DatasetError: if it is missing, too large, or holds anything else.
    """
    try:
        content = json.loads(read_bytes(path, limit))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds a JSON {type(content).__name__}; expected an object")
    return content


def finite(value: object, where: str) -> float:
    """Turn a number, or text that is one, into a float.

    Raises:
        DatasetError: if it is neither, or not a sensible coordinate (infinite, not a number, a thousand million).
    """
    try:
        if isinstance(value, str):
            number = to_float(value)
        else:
            number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not abs(number) < LARGEST_COORDINATE:
        raise DatasetError(f"{where}: {value!r:.80} is not a coordinate; expected a number of pixels")
    return number


def whole(value: object, where: str) -> int:
    """Turn a number, or text that is one, into an int; ``1.0`` is one too.

    Raises:
        DatasetError: if it is not whole, or beyond all reason.
    """
    try:
        number = finite(value, where)
    except DatasetError:
        number = math.nan
    if not number.is_integer():
        raise DatasetError(f"{where}: {value!r:.80} is not a whole number")
    return int(number)
