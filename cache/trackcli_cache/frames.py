"""Pixels of a dataset's images: files are decoded one by one, videos from front to back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import SourceImage
from trackcli_cache.errors import DatasetError


class FrameReader:
    """Reads source images; keeps one video open, because its frames are asked for in order.

    Frames are never sought by time stamp: where a seek lands depends on the file and the decoder, and a frame that is
    off by one spoils its box without anybody noticing. One reader belongs to one thread.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._capture: cv2.VideoCapture | None = None
        self._next = 0
        self._ended = False

    def read(self, image: SourceImage) -> NDArray[np.uint8]:
        """The image as ``(H, W, 3)`` uint8 RGB.

        Raises:
            DatasetError: if it is missing, no image, or the video has no such frame.
        """
        if image.video_frame is None:
            return read_rgb(image.path)
        return self._read_frame(image.path, image.video_frame)

    def _read_frame(self, path: Path, number: int) -> NDArray[np.uint8]:
        if number < 0:
            raise DatasetError(f"{path.name} has no frame {number}; they are counted from 0")
        if path != self._path or (number < self._next):
            self._open(path)
        while self._next < number:
            self._advance(number, decode=False)
        frame = self._advance(number, decode=True)
        assert frame is not None
        rgb: NDArray[np.uint8] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        return rgb

    def _open(self, path: Path) -> None:
        self._path, self._capture, self._next, self._ended = path, None, 0, False
        if not path.is_file():
            raise DatasetError(f"{path.name} cannot be read: no such file")
        self._capture = cv2.VideoCapture(str(path))

    def _advance(self, wanted: int, *, decode: bool) -> NDArray[np.uint8] | None:
        """Step over one frame."""
        if self._path is None or self._capture is None or not self._capture.isOpened():
            raise DatasetError(f"{self._path.name if self._path else 'video'} is no video that can be decoded")
        if self._ended:
            raise self._too_short(wanted)
        frame: NDArray[np.uint8] | None = None
        if decode:
            good, frame = self._capture.read()
        else:
            good = self._capture.grab()
        if not good:
            self._ended = True
            raise self._too_short(wanted)
        self._next += 1
        return frame

    def _too_short(self, wanted: int) -> DatasetError:
        return DatasetError(f"{self._path.name if self._path else 'video'} has {self._next} frames; no frame {wanted}")


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image file as ``(H, W, 3)`` uint8 RGB; grey, alpha and 16 bits are converted, EXIF rotation applied.

    Raises:
        DatasetError: if it is missing or no image.
    """
    bgr = decode_image(read_bytes(path), path.name, cv2.IMREAD_COLOR)
    rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)
    return rgb


def read_bytes(path: Path) -> NDArray[np.uint8]:
    """A file's bytes (*Raises* ``DatasetError`` if it cannot be read)."""
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}") from error


def decode_image(data: NDArray[np.uint8], name: str, flags: int) -> NDArray[np.uint8]:
    """Decode an image file's bytes as OpenCV does with ``flags`` (*Raises* ``DatasetError`` if it is none)."""
    try:
        image: NDArray[np.uint8] | None = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise DatasetError(f"{name} is no image that can be decoded")
    return image
