"""Crops as JPEG bytes, and back; sizes are checked before anything is decoded.

A restart marker (ITU-T T.81, B.2.1) follows each row of cells of 16 x 16 pixels. Rows of cells can then be decoded
without those before and after them: most of a training view's decoding is that of rows that it does not show.
"""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from trackcli_cache.errors import CacheFormatError

CELL = 16
"""Pixels along a cell's side, with colour at half the resolution."""

START_OF_FRAME, START_OF_SCAN, RESTART_INTERVAL, FIRST_RESTART = 0xC0, 0xDA, 0xDD, 0xD0
END_OF_IMAGE = b"\xff\xd9"


def encode_crop(crop: NDArray[np.uint8], quality: int) -> bytes:
    """Encode an ``(S, S, 3)`` RGB crop, S a multiple of 16; the same pixels always give the same bytes."""
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        *(cv2.IMWRITE_JPEG_RST_INTERVAL, crop.shape[1] // CELL),
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a crop of shape {crop.shape} cannot be encoded")
    return data.tobytes()


def decode_rows(
    data: bytes, side: int, first: int, stop: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Decode some rows of a square RGB crop, and as few others as possible; they equal those of the whole crop.

    Args:
        data: JPEG bytes, not trusted.
        side: The side that the whole crop must have, in pixels.
        first: The first row.
        stop: The row after the last.
        out: ``(side, side, 3)`` contiguous uint8 to decode into; the result is then a part of it.

    Returns:
        ``(stop - first, side, 3)`` uint8, RGB.

    Raises:
        CacheFormatError: if it is no JPEG, damaged, or of another size.
    """
    upper, lower = first // CELL, -(-stop // CELL)
    part = _cut_rows(data, side, upper, lower) if 0 < (lower - upper) * CELL < side else None
    if part is None:
        return _decode(data, side, side, out)[first:stop]
    height = (lower - upper) * CELL
    rows = _decode(part, side, height, None if out is None else out[:height])
    return rows[first - upper * CELL : stop - upper * CELL]


def _decode(data: bytes | bytearray, width: int, height: int, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    try:
        found_height, found_width, _, _ = simplejpeg.decode_jpeg_header(data)
        if (found_height, found_width) != (height, width):
            raise CacheFormatError(f"a crop of {found_width}x{found_height} px where {width}x{height} are expected")
        # Chroma is repeated rather than interpolated: a tenth less time for a quarter of a grey level.
        crop: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", fastupsample=True, buffer=out)
    except ValueError as error:
        raise CacheFormatError(f"a crop that is no readable JPEG ({error})") from error
    return crop if out is None else out


def _cut_rows(data: bytes, side: int, upper: int, lower: int) -> bytearray | None:
    """The JPEG of the rows of cells ``upper`` to ``lower - 1``; ``None`` if the whole has no markers between rows."""
    places = _places(data, side)
    if places is None:
        return None
    size_at, scan = places
    content = np.frombuffer(data, np.uint8)
    marks = scan + np.flatnonzero(content[scan:-1] == 0xFF)
    marks = marks[(content[marks + 1] & 0xF8) == FIRST_RESTART]
    if len(marks) != side // CELL - 1:
        return None
    begin = scan if upper == 0 else int(marks[upper - 1]) + 2
    end = len(data) - len(END_OF_IMAGE) if lower > len(marks) else int(marks[lower - 1])
    part = bytearray().join((data[:scan], data[begin:end], END_OF_IMAGE))
    part[size_at : size_at + 2] = ((lower - upper) * CELL).to_bytes(2, "big")
    inner = marks[upper : lower - 1] - begin + scan
    np.frombuffer(part, np.uint8)[inner + 1] = FIRST_RESTART + np.arange(len(inner)) % 8  # they are numbered 0 to 7
    return part


def _places(data: bytes, side: int) -> tuple[int, int] | None:
    """Where the height and where the scan are; ``None`` if markers do not follow whole rows, or it is no such JPEG."""
    at, size_at, interval = 2, 0, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == START_OF_FRAME:
            size_at = at + 5
        elif kind == RESTART_INTERVAL:
            interval = int.from_bytes(data[at + 4 : at + 6], "big")
        elif kind == START_OF_SCAN:
            regular = size_at and interval * CELL == side and data.endswith(END_OF_IMAGE)
            return (size_at, at + 2 + length) if regular else None
        at += 2 + length
    return None
