"""Phones store the sensor's picture and note how to turn it; this turns it upright."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """A combination of right-angle turns and flips: first transpose, then flip.

    Attributes:
        transpose: Swap rows and columns.
        flip_x: Mirror left and right, after the transposition.
        flip_y: Mirror top and bottom, after the transposition.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Orientation:
        """Read FFmpeg's display matrix: nine int32 in native order, rows (a, b, u), (c, d, v), (x, y, w).

        A pixel (x, y), y downwards, is shown at (a·x + c·y, b·x + d·y). Turns that are no multiple of 90° are rounded
        to the nearest; a matrix of the wrong length means upright.
        """
        if len(matrix) != struct.calcsize("=9i"):
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn ``image`` ``(H, W, 3)`` upright; the result is ``(W, H, 3)`` where it was transposed."""
        if self.transpose:
            image = cast("NDArray[np.uint8]", cv2.transpose(image))
        if self.flip_x or self.flip_y:
            # OpenCV's flip code: 1 mirrors left and right, 0 top and bottom, -1 both.
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            image = cast("NDArray[np.uint8]", cv2.flip(image, code))
        return image


def orientation_of(frame: Any) -> Orientation:
    """The orientation that comes with a decoded PyAV frame."""
    for item in frame.side_data:
        if item.type.name == "DISPLAYMATRIX":
            return Orientation.from_display_matrix(bytes(item))
    return Orientation()
