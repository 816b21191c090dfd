"""The caches that a run draws from, as users name them and as a run folder remembers them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError, UsageError
from trackcli.redaction import HIDDEN, is_url

SOURCES_FILE = "data.json"
LARGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class DataSource:
    """A cache and how often it is drawn from.

    Attributes:
        path: The cache folder.
        weight: Relative to the other sources.
    """

    path: Path
    weight: float

    @classmethod
    def parse(cls, text: str) -> DataSource:
        """``DIR`` or ``DIR=WEIGHT``.

        Raises:
            UsageError: if the weight is no positive number.
        """
        name, equals, weight = text.rpartition("=")
        if not equals or Path(text).is_dir():
            return cls(Path(text), 1.0)
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            weight = HIDDEN if is_url(text) else weight  # what follows the last "=" of an address may be a token
            raise UsageError(
                f"--data {text}: weight {weight!r} is no positive number; expected DIR=WEIGHT, e.g. {name}=0.5"
            )
        return cls(Path(name), value)


def remember_sources(folder: Path, sources: Sequence[DataSource]) -> None:
    """Write into a run folder what ``--resume`` goes on with when nobody gives it data."""
    content = [{"path": str(source.path.absolute()), "weight": source.weight} for source in sources]
    write_whole(folder / SOURCES_FILE, json.dumps(content, indent=1).encode())


def remembered_sources(folder: Path) -> list[DataSource]:
    """What :func:`remember_sources` wrote; nothing if there is no such file.

    Raises:
        InputDataError: if the file is damaged.
    """
    path = folder / SOURCES_FILE
    if not path.is_file():
        return []
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError("it is too large")
        entries: Any = json.loads(path.read_text(encoding="utf-8"))
        return [DataSource(Path(entry["path"]), float(entry["weight"])) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputDataError(
            f"{path} cannot be read ({str(error).splitlines()[0]}); give the run's data again: --data CACHE"
        ) from error
