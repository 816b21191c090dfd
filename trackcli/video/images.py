"""Still images as frames: decoding one file, and folders or patterns in the order a person expects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError
from trackcli.video.frames import Frame, LimitedWarnings, Warn

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2"}
)

IMAGES_PER_SECOND = 25.0
"""Images carry no clock; their times assume this rate."""


def is_image_name(path: Path) -> bool:
    """Whether the file's suffix, in any case, is one of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def natural_sort_key(path: Path) -> tuple[tuple[str | int, ...], str]:
    """Sort key that puts ``img2`` before ``img10``, folder by folder, without regard to case."""
    # re.split with a group alternates text and digits, so that equal positions always compare equal types.
    parts = re.split(r"([0-9]+)", str(path).casefold())
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), str(path)


def sort_images(paths: Iterable[Path]) -> list[Path]:
    """The image files among ``paths`` in natural order; everything else is left out, hidden ones (``._1.jpg``) too."""
    chosen = (path for path in paths if is_image_name(path) and not path.name.startswith(".") and path.is_file())
    return sorted(chosen, key=natural_sort_key)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file of any common kind.

    Grey and palette images become RGB, an alpha channel is dropped, 16 bits are scaled to 8, and the EXIF orientation
    is applied.

    Returns:
        ``(H, W, 3)`` uint8, RGB, upright.

    Raises:
        InputDataError: if the file cannot be opened or decoded.
    """
    try:
        # Reading the bytes here lets OpenCV open names that its own reader cannot (other scripts on Windows).
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputDataError(f"image '{path}' cannot be opened: {error.strerror or error}") from error
    try:
        image_bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # an empty buffer, or a header that asks for more pixels than OpenCV allows
        image_bgr = None
    if image_bgr is None:
        raise InputDataError(f"image '{path}' cannot be decoded; expected a whole JPEG, PNG, TIFF, WebP or BMP file")
    return cast("NDArray[np.uint8]", cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB, dst=image_bgr))


def count_pictures(path: Path) -> int:
    """How many pictures a file holds: several in an animation or a TIFF with pages; 1 where that cannot be told."""
    try:
        with quiet_opencv():
            return max(1, cv2.imcount(str(path)))
    except cv2.error:
        return 1


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV's own complaints stay off stderr: whoever calls it has words for the user."""
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def read_frames(paths: Sequence[Path], numbers: range, warn: Warn) -> Iterator[Frame]:
    """Frames from image files, one in memory at a time.

    Args:
        paths: The files in order.
        numbers: Which of them to read; they become the frames' numbers.
        warn: Takes one line per unreadable file (the first ones).
    """
    warn = LimitedWarnings(warn)
    for index in numbers:
        yield Frame(index, index / IMAGES_PER_SECOND, _read_or_warn(paths[index], index, warn))


def _read_or_warn(path: Path, index: int, warn: Callable[[str], None]) -> NDArray[np.uint8] | None:
    try:
        return read_image(path)
    except InputDataError as error:
        warn(f"frame {index} is unreadable: {error}")
        return None
