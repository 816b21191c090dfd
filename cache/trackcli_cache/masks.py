"""Outlines of objects: from polygons as they are, from mask images, indexed masks and run lengths by their contours.

A cache keeps outlines and not masks, since a polygon can be moved to any crop and costs a hundredth of the bytes. Only
outer contours are kept: a hole in a mask is filled.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedObject, RunLengthMask
from trackcli_cache.errors import DatasetError
from trackcli_cache.frames import decode_image, read_bytes

SourcePolygons = tuple[NDArray[np.float64], ...]

MAX_OUTLINE_POINTS = 2**16
"""Of one object: noise for a mask must not swell the cache."""

_PNG = b"\x89PNG\r\n\x1a\n"


class ImageMasks:
    """The masks that belong to one image; a file that holds several objects is decoded once.

    Args:
        size_hw: Height and width of the image.
    """

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._size_hw = size_hw
        self._files: dict[Path, MaskFile] = {}

    def outlines_of(self, item: AnnotatedObject) -> SourcePolygons:
        """Everything that is known of an object's outline, each ``(N, 2)`` float64 source pixels.

        Raises:
            DatasetError: if a mask is missing, damaged, or of another size than the image.
        """
        outlines = item.polygons
        if item.mask_path is not None:
            outlines += mask_outlines(self._file(item.mask_path).pixels_of(item.mask_label))
        if item.run_lengths is not None:
            outlines += mask_outlines(decode_run_lengths(item.run_lengths, self._size_hw))
        if sum(map(len, outlines)) > MAX_OUTLINE_POINTS:
            raise DatasetError(f"the outline of object {item.track_id} has over {MAX_OUTLINE_POINTS} points")
        return outlines

    def _file(self, path: Path) -> MaskFile:
        if path not in self._files:
            self._files[path] = MaskFile(path, self._size_hw)
        return self._files[path]


class MaskFile:
    """A decoded mask image.

    Args:
        path: The file.
        size_hw: The size it must have.

    Raises:
        DatasetError: if it is missing, no image, or of another size.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int]) -> None:
        data = read_bytes(path)
        self._name = path.name
        pixels = decode_image(data, path.name, cv2.IMREAD_UNCHANGED)
        if pixels.shape[:2] != size_hw:
            (height, width), (image_height, image_width) = pixels.shape[:2], size_hw
            raise DatasetError(f"mask {path.name} is {width}x{height} but its image is {image_width}x{image_height}")
        self._channels = pixels.reshape(*size_hw, -1)[:, :, :3]
        self._palette = read_png_palette(data.tobytes())

    def pixels_of(self, label: int | None) -> NDArray[np.bool_]:
        """``(H, W)`` bool: the pixels of one object.

        Args:
            label: Its number; ``None``: all pixels that are not black.

        Raises:
            DatasetError: if the file has no such number, or its colours do not tell it from another.
        """
        if label is None:
            return np.asarray(np.any(self._channels != 0, axis=2))
        if self._channels.shape[2] < 3:  # plain numbers, perhaps with alpha
            return np.asarray(self._channels[:, :, 0] == label)
        return np.asarray(np.all(self._channels == np.array(self._colour_bgr(label)), axis=2))

    def _colour_bgr(self, label: int) -> tuple[int, int, int]:
        """OpenCV turns the numbers of an indexed file into colours; this is the one of ``label``."""
        if self._palette is None:
            red, green, blue = voc_colour(label)
            return blue, green, red
        if not 0 <= label < len(self._palette):
            raise DatasetError(f"mask {self._name} has {len(self._palette)} colours; expected one for object {label}")
        if self._palette.count(self._palette[label]) > 1:
            raise DatasetError(f"mask {self._name} has the same colour for object {label} and another number")
        red, green, blue = self._palette[label]
        return blue, green, red


def mask_outlines(mask: NDArray[np.bool_]) -> SourcePolygons:
    """Outer contours of an ``(H, W)`` mask, through the centres of its border pixels.

    Returns:
        One ``(N, 2)`` float64 polygon per part, in source pixels.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # Contour points are pixel indices; pixel i is centred at i + 0.5.
    return tuple(contour.reshape(-1, 2).astype(np.float64) + 0.5 for contour in contours if len(contour) >= 3)


def decode_run_lengths(mask: RunLengthMask, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Unpack run lengths to ``(H, W)`` bool.

    Raises:
        DatasetError: if they are for another size than the image's, or do not cover it exactly.

    Source: COCO's mask API: columns from left to right, runs of 0 and 1 in turn, beginning with 0.
    """
    (height, width), (image_height, image_width) = mask.size_hw, size_hw
    if mask.size_hw != size_hw:
        raise DatasetError(f"a mask of {width}x{height} run lengths but its image is {image_width}x{image_height}")
    # Python's numbers: a huge one must not wrap around to a sum that looks right.
    if any(count < 0 for count in mask.counts) or sum(mask.counts) != height * width:
        raise DatasetError(f"a mask's run lengths do not add up to {width}x{height} pixels")
    runs = np.arange(len(mask.counts)) % 2 == 1
    return np.repeat(runs, mask.counts).reshape(width, height).T


def voc_colour(label: int) -> tuple[int, int, int]:
    """Red, green and blue of a number in the PASCAL VOC colour map, which DAVIS and YouTube-VOS use.

    Source: ``VOClabelcolormap`` of the VOC development kit: bits 0, 1 and 2 of the number go to the highest bit of red,
    green and blue, the next three to the next, and so on.
    """
    red, green, blue = (
        sum(((label >> (3 * place + channel)) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


def read_png_palette(data: bytes) -> list[tuple[int, int, int]] | None:
    """The colours of an indexed PNG file by number, or ``None`` if it is none.

    Source: PNG specification, sections 5.3 (chunks) and 11.2.3 (PLTE).
    """
    if not data.startswith(_PNG):
        return None
    place = len(_PNG)
    while place + 8 <= len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if kind == b"PLTE":
            content = data[place + 8 : place + 8 + min(length, 768)]
            return [(r, g, b) for r, g, b in zip(content[0::3], content[1::3], content[2::3], strict=False)]
        if kind in {b"IDAT", b"IEND"}:
            return None
        place += 12 + length
    return None
