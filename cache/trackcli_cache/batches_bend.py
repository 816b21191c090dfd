"""Smooth bending of an object: its parts move against each other, as those of whatever lives do between frames."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_views import Affine, Image

MOST_CYCLES = 0.7
"""Most waves across the object along x and along y: fewer than one, so that it bends and does not ripple."""

LARGEST_BEND = 0.1
"""A displacement up to this share of the size never folds the object over itself: 2π · 0.7 · 2 · 0.1 < 1."""

ROUNDS = 20
"""Of the fixed-point iteration that follows points through the bend."""


class Bend(NamedTuple):
    """A wave of displacement along x, and one along y.

    What is seen at ``q`` is what was at ``q + d(q)``, with
    ``d(q) = amplitude · sin(2π (q - origin) · cycles / size + phase)``, along x and along y.

    Attributes:
        origin_xy: ``(2,)`` centre of the object, pixels.
        size: Its size, ``sqrt(w · h)``, pixels.
        amplitudes_xy: ``(2,)`` largest displacement along x and along y, pixels.
        cycles: ``(2, 2)`` waves on a way of ``size``: of the displacement along x (row 0) and along y (row 1), where
            the way goes along x (column 0) and along y (column 1).
        phases: ``(2,)`` radians.
    """

    origin_xy: NDArray[np.float64]
    size: float
    amplitudes_xy: NDArray[np.float64]
    cycles: NDArray[np.float64]
    phases: NDArray[np.float64]

    def displacement(self, points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(N, 2)`` d at ``(N, 2)`` points."""
        waves = (points_xy - self.origin_xy) @ (2 * np.pi / self.size * self.cycles.T) + self.phases
        moved: NDArray[np.float64] = self.amplitudes_xy * np.sin(waves)
        return moved

    def points(self, points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where ``(N, 2)`` points of the object lie after it was bent: q with ``q + d(q)`` = point."""
        bent = points_xy
        for _ in range(ROUNDS):
            bent = points_xy - self.displacement(bent)
        return bent

    def displacements(self, size: int) -> NDArray[np.float32]:
        """``(2, size, size)`` d at the centres of a square's pixels: along x, and along y.

        ``sin(a + b) = sin a cos b + cos a sin b`` leaves sines of single rows and columns.
        """
        centers = np.arange(size) + 0.5
        angular = 2 * np.pi / self.size * self.cycles
        across = np.outer(angular[:, 0], centers - self.origin_xy[0]) + self.phases[:, None]
        down = np.outer(angular[:, 1], centers - self.origin_xy[1])
        rows = self.amplitudes_xy[:, None, None] * np.stack((np.cos(down), np.sin(down)), axis=2)
        columns = np.stack((np.sin(across), np.cos(across)), axis=1)
        moved: NDArray[np.float32] = rows.astype(np.float32) @ columns.astype(np.float32)
        return moved


def random_bend(rng: np.random.Generator, box_xyxy: NDArray[np.float64], strength: float) -> Bend | None:
    """A random bend of the object in a box; ``None``, and no number drawn, for a strength of 0.

    Args:
        rng: Source of randomness.
        box_xyxy: ``(4,)`` the object.
        strength: Largest displacement as a share of the object's size, up to :data:`LARGEST_BEND`.
    """
    if not strength:
        return None
    sizes_wh = np.maximum(box_xyxy[2:] - box_xyxy[:2], 1.0)
    size = float(np.sqrt(sizes_wh.prod()))
    draws = rng.random(8)
    return Bend(
        (box_xyxy[:2] + box_xyxy[2:]) / 2,
        size,
        (2 * draws[:2] - 1) * strength * size,
        ((2 * draws[2:6] - 1) * MOST_CYCLES).reshape(2, 2),
        2 * np.pi * draws[6:],
    )


def warp_bent(image: Image, to_view: Affine, size: int, bend: Bend) -> Image:
    """Render a square view of ``size`` pixels, bent; pixels from outside the image are black.

    OpenCV's pixel centres are integers, ours + ½.
    """
    back = np.linalg.inv(to_view[:, :2])
    centers = np.arange(size) + 0.5
    maps = np.tensordot(back.astype(np.float32), bend.displacements(size), axes=1)
    corner = -back @ to_view[:, 2] - 0.5
    maps += (back[:, :1] * centers + corner[:, None]).astype(np.float32)[:, None, :]
    maps += (back[:, 1:] * centers).astype(np.float32)[:, :, None]
    warped = cv2.remap(image, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0))
    return np.asarray(warped, dtype=np.uint8)
