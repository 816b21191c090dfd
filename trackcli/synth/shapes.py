"""Outlines: smooth closed curves, the pixels they cover and the exact bounds of their part in the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Window = tuple[int, int, int, int]

POINTS = 96
_WAVES = np.arange(2, 6)  # bumps per turn; 1 would only shift the shape
_SUPERSAMPLING = 4
_FIXED_POINT_BITS = 4


@dataclass(frozen=True, eq=False)
class Outline:
    """A smooth closed curve around the origin with mean radius near 1.

    Attributes:
        aspect: Width over height.
        amplitudes: ``(4,)`` size of 2, 3, 4 and 5 bumps per turn, as a share of the radius.
        phases: ``(4,)`` where the bumps are, in radians.
        squareness: 0 is an ellipse, 1 nearly a rectangle.
    """

    aspect: float
    amplitudes: Floats
    phases: Floats
    squareness: float = 0.0

    def points(self, wobbles: Floats) -> Floats:
        """The curve at each moment.

        Args:
            wobbles: ``(T, 4)`` what deformation adds to the amplitudes.

        Returns:
            ``(T, POINTS, 2)`` x, y in units of the mean radius.
        """
        angles = np.linspace(0.0, 2 * np.pi, POINTS, endpoint=False)
        waves = np.cos(_WAVES[:, None] * angles + self.phases[:, None])
        radii = 1.0 + (self.amplitudes + wobbles) @ waves
        power = 2.0 + 6.0 * self.squareness
        radii = radii / (np.abs(np.cos(angles)) ** power + np.abs(np.sin(angles)) ** power) ** (1 / power)
        stretch = np.sqrt(self.aspect)
        return np.stack([radii * np.cos(angles) * stretch, radii * np.sin(angles) / stretch], axis=-1)


def random_outline(rng: np.random.Generator) -> Outline:
    """An irregular shape, from a pebble to a rounded box."""
    return Outline(
        aspect=float(np.exp(rng.uniform(-0.45, 0.45))),
        amplitudes=rng.uniform(0.02, 0.16, size=4) / np.array([1.0, 1.2, 1.8, 2.5]),
        phases=rng.uniform(0.0, 2 * np.pi, size=4),
        squareness=float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.8)])),
    )


def similar_outline(outline: Outline, rng: np.random.Generator) -> Outline:
    """A shape that a hasty look takes for ``outline``."""
    return Outline(
        aspect=outline.aspect * float(np.exp(rng.uniform(-0.1, 0.1))),
        amplitudes=outline.amplitudes + rng.uniform(-0.025, 0.025, size=4),
        phases=outline.phases + rng.uniform(-0.4, 0.4, size=4),
        squareness=outline.squareness,
    )


def coverage(outline_xy: Floats, window_xyxy: Window) -> NDArray[np.float32]:
    """The share of each pixel that lies inside a closed curve, in steps of 1/16.

    Args:
        outline_xy: ``(N, 2)`` corners in image pixels; pixel i covers [i, i + 1).
        window_xyxy: The pixels to fill, as whole numbers, half-open.

    Returns:
        ``(h, w)`` in 0..1.
    """
    left, top, right, bottom = window_xyxy
    fine = np.zeros(((bottom - top) * _SUPERSAMPLING, (right - left) * _SUPERSAMPLING), dtype=np.uint8)
    # OpenCV puts whole numbers on pixel centres, hence the half fine pixel.
    corners = (outline_xy - (left, top)) * _SUPERSAMPLING - 0.5
    cv2.fillPoly(fine, [np.rint(corners * 2**_FIXED_POINT_BITS).astype(np.int32)], 255, shift=_FIXED_POINT_BITS)
    mask = cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    shares: NDArray[np.float32] = mask.astype(np.float32) / 255.0
    return shares


def window_around(outline_xy: Floats, size_wh: tuple[int, int], padding: float = 0.0) -> Window | None:
    """The image's pixels that a curve and ``padding`` around it touch; None when there are none."""
    low = np.maximum(np.floor(outline_xy.min(axis=0) - padding), 0).astype(int)
    high = np.minimum(np.ceil(outline_xy.max(axis=0) + padding), size_wh).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def area(outline_xy: Floats) -> float:
    """Area inside a closed curve in square pixels (shoelace formula)."""
    x, y = outline_xy.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def visible_bounds_xyxy(outline_xy: Floats, size_wh: tuple[int, int]) -> Floats | None:
    """The exact bounds of the part of a curve's inside that lies in the image.

    This is tighter than the curve's bounds cut to the image: a corner outside may hold the shape's widest part.

    Returns:
        ``(4,)`` in image pixels, or None when less than a pixel's width or height is in the image.
    """
    points = outline_xy
    for axis in (0, 1):
        points = _cut(points, axis, 0.0, keep_above=True)
        points = _cut(points, axis, float(size_wh[axis]), keep_above=False)
    if len(points) == 0:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    if (high - low < 1.0).any():
        return None
    return np.concatenate([low, high])


def _cut(points: Floats, axis: int, border: float, *, keep_above: bool) -> Floats:
    """One step of Sutherland–Hodgman clipping: keep the part of a closed curve on one side of a line."""
    if len(points) == 0:
        return points
    heights = points[:, axis] - border if keep_above else border - points[:, axis]
    following, following_heights = np.roll(points, -1, axis=0), np.roll(heights, -1)
    crosses = (heights < 0) != (following_heights < 0)
    share = heights[crosses] / (heights[crosses] - following_heights[crosses])
    crossings = points[crosses] + share[:, None] * (following[crosses] - points[crosses])
    crossings[:, axis] = border
    # The order of the points is lost here, but the next cut needs it: sort both kinds by where they lie on the curve.
    places = np.concatenate([np.flatnonzero(heights >= 0), np.flatnonzero(crosses) + 0.5])
    kept = np.concatenate([points[heights >= 0], crossings])
    return kept[np.argsort(places, kind="stable")]
