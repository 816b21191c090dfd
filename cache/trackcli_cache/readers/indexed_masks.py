"""Masks whose pixel values are object numbers, as DAVIS and YouTube-VOS store them, and the boxes that they imply."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.errors import DatasetError
from trackcli_cache.frames import decode_image
from trackcli_cache.masks import read_png_palette, voc_colour
from trackcli_cache.readers.image_size import read_image_size
from trackcli_cache.readers.layout import MEBIBYTE, read_bytes
from trackcli_cache.windows import BoxXyxy

VOID = 255
"""Pixels that belong to no object for sure."""

LARGEST_FILE = 64 * MEBIBYTE
MOST_PIXELS = 1 << 26


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read an indexed mask.

    OpenCV turns indexed files into colours; they are turned back by the file's palette, or by PASCAL VOC's, which both
    datasets use, if it is a plain colour file.

    Returns:
        ``(H, W)`` object numbers; 0 is background.

    Raises:
        DatasetError: if it is missing, no 8-bit image, or larger than 64 megapixels.
    """
    width, height = read_image_size(path)
    if width * height > MOST_PIXELS:
        raise DatasetError(f"mask {path} is {width}x{height}; expected at most {MOST_PIXELS >> 20} megapixels")
    data = read_bytes(path, LARGEST_FILE)
    mask = decode_image(np.frombuffer(data, np.uint8), str(path), cv2.IMREAD_UNCHANGED)
    if mask.dtype != np.uint8:
        raise DatasetError(f"mask {path} has {mask.dtype} pixels; expected 8 bits")
    if mask.ndim == 2:
        return mask
    palette = read_png_palette(data) or _VOC_PALETTE
    if palette == _VOC_PALETTE[: len(palette)]:
        return _labels_of_voc_colours(mask)
    return _labels_of_colours(mask, palette)


def label_boxes(labels: NDArray[np.uint8]) -> dict[int, BoxXyxy]:
    """Smallest box around each object's pixels.

    Args:
        labels: ``(H, W)`` object numbers.

    Returns:
        Float xyxy pixels, half-open, by object number; background and void left out.
    """
    numbers = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    boxes: dict[int, BoxXyxy] = {}
    for number in (int(value) for value in numbers):
        if number not in {0, VOID}:
            x, y, width, height = cv2.boundingRect((labels == number).astype(np.uint8))
            boxes[number] = (float(x), float(y), float(x + width), float(y + height))
    return boxes


def _labels_of_voc_colours(mask_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a number's bits together again: they were dealt out in turn to red, green and blue, highest place first."""
    labels = np.zeros(mask_bgr.shape[:2], np.uint8)
    for bit in range(8):
        colour = mask_bgr[:, :, 2 - bit % 3]
        labels |= (colour >> np.uint8(7 - bit // 3) & np.uint8(1)) << np.uint8(bit)
    return labels


def _labels_of_colours(mask_bgr: NDArray[np.uint8], palette: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """The first number of each pixel's colour."""
    packed = mask_bgr[:, :, :3].astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
    colours, first = np.unique([red << 16 | green << 8 | blue for red, green, blue in palette], return_index=True)
    numbers: NDArray[np.uint8] = first.astype(np.uint8)[np.searchsorted(colours, packed).clip(max=len(colours) - 1)]
    return numbers


_VOC_PALETTE = [voc_colour(number) for number in range(256)]
