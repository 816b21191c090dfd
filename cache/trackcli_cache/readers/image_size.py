"""Width and height of JPEG and PNG files from their first bytes, without decoding."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from trackcli_cache.errors import DatasetError

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_MOST_SEGMENTS = 1000


def read_image_size(path: Path) -> tuple[int, int]:
    """Width and height of the stored image; an EXIF rotation is not looked at.

    Raises:
        DatasetError: if it is missing, or neither JPEG nor PNG.
    """
    try:
        with path.open("rb") as file:
            start = file.read(24)
            if start.startswith(_PNG) and len(start) == 24:
                width, height = struct.unpack(">II", start[16:])
                return width, height
            if start.startswith(_JPEG):
                file.seek(len(_JPEG))
                return _read_jpeg_size(file, path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    raise DatasetError(f"{path} is neither a JPEG nor a PNG file")


def _read_jpeg_size(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Go from segment to segment until the one that starts the frame (ITU T.81, B.2.2)."""
    for _ in range(_MOST_SEGMENTS):
        marker = _next_marker(file)
        if marker in _WITHOUT_LENGTH:
            continue
        header = file.read(7)
        if marker is None or len(header) < 7:
            break
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack(">HH", header[3:])
            return width, height
        file.seek(int.from_bytes(header[:2], "big") - 7, 1)
    raise DatasetError(f"{path} is a JPEG file without a size; it may be truncated")


def _next_marker(file: BinaryIO) -> int | None:
    if file.read(1) != b"\xff":
        return None
    byte = file.read(1)
    while byte == b"\xff":
        byte = file.read(1)
    return byte[0] if byte else None
