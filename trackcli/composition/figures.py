"""Measured figures in a tracker file's header, read and written without touching its weights. No torch.

A safetensors file is eight bytes with the length of its header, the header as JSON, and the tensors' bytes. Listing
trackers reads the header alone; writing figures replaces it and copies the rest as it is.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError

HEADER_KEY = "trackcli"
FIGURES = "figures"
"""Key in the header's ``provenance``."""

MAX_HEADER_BYTES = 1 << 24
_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"


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


def read_figures(path: Path) -> Figures:
    """The figures of a tracker file; none where it has no sound ones: a listing does not fail for one bad file."""
    try:
        header, _ = _read_header(path, with_tensors=False)
        given = json.loads(header[_METADATA][HEADER_KEY])["provenance"][FIGURES]
        note = given.get("note")
        return Figures(_number(given.get("auc")), _number(given.get("fps")), note if isinstance(note, str) else None)
    except (InputDataError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return Figures()


def write_figures(path: Path, figures: Figures) -> None:
    """Put figures into a tracker file's header; those not given stay as they are. Tensors are copied byte by byte.

    Raises:
        InputDataError: if it is no tracker file of trackcli.
        CacheError: if it cannot be written.
    """
    header, tensors = _read_header(path, with_tensors=True)
    try:
        described = json.loads(header[_METADATA][HEADER_KEY])
        known = described["provenance"].get(FIGURES, {})
        kept = known if isinstance(known, dict) else {}
        given = {key: value for key, value in asdict(figures).items() if value is not None}
        described["provenance"][FIGURES] = {**kept, **given}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputDataError(f"{path} has no sound trackcli header; expected a tracker written by trackcli") from error
    header[_METADATA][HEADER_KEY] = json.dumps(described)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors stay aligned
    write_whole(path, _LENGTH.pack(len(text)) + text + tensors)


def _read_header(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], bytes]:
    """The header, and the bytes behind it if they are asked for.

    Raises:
        InputDataError: if it is no safetensors file.
    """
    expected = "expected a tracker written by trackcli"
    try:
        with path.open("rb") as file:
            start = file.read(_LENGTH.size)
            length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise InputDataError(f"{path} is no safetensors file; {expected}")
            header = json.loads(file.read(length))
            tensors = file.read() if with_tensors else b""
    except OSError as error:
        raise InputDataError(f"{path} cannot be read ({error.strerror or error}); {expected}") from error
    except (ValueError, RecursionError) as error:
        raise InputDataError(f"{path} is no safetensors file; {expected}") from error
    if not isinstance(header, dict):
        raise InputDataError(f"{path} is no safetensors file; {expected}")
    return header, tensors


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]
