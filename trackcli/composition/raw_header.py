"""A tracker file's header as it is stored, read and written without touching the weights. No torch.

A safetensors file is eight bytes with the length of its header, the header as JSON, and the tensors' bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from trackcli_cache.files import write_whole

from trackcli.errors import InputDataError

HEADER_KEY = "trackcli"
METADATA = "__metadata__"
PROVENANCE = "provenance"

MAX_HEADER_BYTES = 1 << 24
_LENGTH = struct.Struct("<Q")


def read_raw_header(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], bytes]:
    """The header, and the bytes behind it if they are asked for: ``header[METADATA][HEADER_KEY]`` is our own, as text.

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


def write_raw_header(path: Path, header: dict[str, Any], tensors: bytes) -> None:
    """Write a file from what :func:`read_raw_header` gave.

    Raises:
        CacheError: if it cannot be written.
    """
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors stay aligned
    write_whole(path, _LENGTH.pack(len(text)) + text + tensors)


def tracker_hash(path: Path) -> str:
    """Equal for equal trackers: a hash of recipe, components and weights, whatever the file says of their provenance.

    Raises:
        InputDataError: if it is no tracker file of trackcli.
    """
    header, tensors = read_raw_header(path, with_tensors=True)
    try:
        described = json.loads(header.pop(METADATA)[HEADER_KEY])
        described.pop(PROVENANCE, None)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputDataError(f"{path} has no sound trackcli header; expected a tracker written by trackcli") from error
    digest = hashlib.sha256(json.dumps([described, header], sort_keys=True).encode())
    digest.update(tensors)
    return f"sha256:{digest.hexdigest()}"
