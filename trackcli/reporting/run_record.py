"""What a training run left behind: the lines of ``metrics.jsonl`` as series, and its recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackcli.errors import InputDataError

METRICS_FILE = "metrics.jsonl"
RECIPE_FILE = "recipe.json"
VALIDATION_PREFIX = "validation."
COURSE = ("rate", "epoch", "gradient_norm", "pairs_per_second", "waiting")
"""What a line says beside its step and the loss terms."""

MAX_METRICS_BYTES = 512 * 2**20
MAX_RECIPE_BYTES = 2**20


@dataclass(frozen=True)
class Series:
    """One number over the steps.

    Attributes:
        steps: Ascending.
        values: As many.
    """

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class RunRecord:
    """A run folder as a report reads it.

    Attributes:
        folder: The run folder.
        terms: Weighted loss terms by name.
        course: Rate, speed and the like by name, see :data:`COURSE`.
        validation: Figures of validations by name.
        recipe: The complete recipe as plain data; empty if there is none.
        cut: The last line was half written and is left out.
    """

    folder: Path
    terms: Mapping[str, Series]
    course: Mapping[str, Series]
    validation: Mapping[str, Series]
    recipe: Mapping[str, Any]
    cut: bool = False

    @property
    def last_step(self) -> int:
        """The last step that anything is known of."""
        every = (*self.terms.values(), *self.course.values(), *self.validation.values())
        return max(series.steps[-1] for series in every)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a training run."""
    return (folder / METRICS_FILE).is_file() or (folder / RECIPE_FILE).is_file()


def read_run(folder: Path) -> RunRecord:
    """Read a run folder.

    Of steps that are there twice, as after a resume, the later line counts. A half-written last line, as a killed run
    leaves it, is left out.

    Raises:
        InputDataError: if there are no metrics yet, or a line is not one; the message names file and line.
    """
    path = folder / METRICS_FILE
    lines, cut = _read_lines(path)
    by_name: dict[str, dict[int, float]] = {}
    for step, numbers in lines:
        for name, value in numbers.items():
            by_name.setdefault(name, {})[step] = value
    series = {name: _series(values) for name, values in by_name.items()}
    if not series:
        raise InputDataError(
            f"{path} holds no figures yet; expected a run that got some steps far; go on with trackcli train --resume"
        )
    return RunRecord(
        folder=folder,
        terms={k: v for k, v in series.items() if k not in COURSE and not k.startswith(VALIDATION_PREFIX)},
        course={k: series[k] for k in COURSE if k in series},
        validation={k.removeprefix(VALIDATION_PREFIX): v for k, v in series.items() if k.startswith(VALIDATION_PREFIX)},
        recipe=_read_recipe(folder / RECIPE_FILE),
        cut=cut,
    )


def _series(values: Mapping[int, float]) -> Series:
    steps = sorted(values)
    return Series(tuple(steps), tuple(values[step] for step in steps))


def _read_lines(path: Path) -> tuple[list[tuple[int, dict[str, float]]], bool]:
    text = _read_text(path, MAX_METRICS_BYTES)
    rows = text.splitlines()
    lines, cut = [], False
    for number, row in enumerate(rows, start=1):
        try:
            lines.append(_parse(row))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            cut = number == len(rows) and not text.endswith("\n")
            if not cut:
                raise InputDataError(
                    f'{path}, line {number}: {row[:80]!r} is no line of a run\'s metrics; expected {{"step": …, …}}'
                ) from error
    return lines, cut


def _parse(row: str) -> tuple[int, dict[str, float]]:
    data = json.loads(row)
    if not isinstance(data, dict) or not isinstance(data["step"], int):
        raise TypeError(row)
    numbers = {name: float(value) for name, value in data.items() if name != "step" and _is_number(value)}
    return data["step"], numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_recipe(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        recipe = json.loads(_read_text(path, MAX_RECIPE_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"{path} cannot be read as JSON: {error}; expected a run's recipe") from error
    return recipe if isinstance(recipe, dict) else {}


def _read_text(path: Path, most: int) -> str:
    try:
        if path.stat().st_size > most:
            raise InputDataError(f"{path} is larger than {most // 2**20} MiB; expected a file of trackcli train")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputDataError(
            f"cannot read {path}: {error.strerror or error}; expected the run folder of trackcli train"
        ) from error
