"""Measured figures in a tracker file's header, read and written without touching its weights. No torch.

Listing trackers reads the header alone; writing figures replaces it and copies the rest as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trackcli.composition.raw_header import HEADER_KEY, METADATA, PROVENANCE, read_raw_header, write_raw_header
from trackcli.errors import InputDataError, UsageError

FIGURES = "figures"
"""Key in the header's ``provenance``."""


@dataclass(frozen=True)
class Figures:
    """What was measured of a tracker; None where it was not.

    Attributes:
        auc: Success AUC in 0..1.
        fps: Frames per second.
        note: On which sequences, on which machine.
    """

    auc: float | None = None
    fps: float | None = None
    note: str | None = None


def without_figures(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A tracker's facts for another one made from it: what was measured was not measured of that one."""
    return {name: fact for name, fact in provenance.items() if name != FIGURES}


def read_figures(path: Path) -> Figures:
    """The figures of a tracker file; none where it has no sound ones: a listing does not fail for one bad file."""
    try:
        header, _ = read_raw_header(path, with_tensors=False)
        given = json.loads(header[METADATA][HEADER_KEY])[PROVENANCE][FIGURES]
        note = given.get("note")
        return Figures(_number(given.get("auc")), _number(given.get("fps")), note if isinstance(note, str) else None)
    except (InputDataError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return Figures()


def write_figures(path: Path, figures: Figures) -> None:
    """Put figures into a tracker file's header; those not given stay as they are. Tensors are copied byte by byte.

    Raises:
        UsageError: if a figure is no finite number.
        InputDataError: if it is no tracker file of trackcli.
        CacheError: if it cannot be written.
    """
    for name in ("auc", "fps"):
        value = getattr(figures, name)
        if value is not None and not math.isfinite(value):
            raise UsageError(f"{name} {value} is no figure; expected a finite number")
    header, tensors = read_raw_header(path, with_tensors=True)
    try:
        described = json.loads(header[METADATA][HEADER_KEY])
        known = described[PROVENANCE].get(FIGURES, {})
        kept = known if isinstance(known, dict) else {}
        given = {key: value for key, value in asdict(figures).items() if value is not None}
        described[PROVENANCE][FIGURES] = {**kept, **given}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputDataError(f"{path} has no sound trackcli header; expected a tracker written by trackcli") from error
    header[METADATA][HEADER_KEY] = json.dumps(described)
    write_raw_header(path, header, tensors)


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]
