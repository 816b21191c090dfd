"""Cut and paste: an object is cut out along its outline and put onto another photograph."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_bend import Bend, warp_bent
from trackcli_cache.batches_views import Affine, Image, bounds, transform_points, warp

FEATHER_SIGMA = 0.7
"""Blur of the cut's edge in pixels, so that it does not give the object away."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """An object to paste.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB crop that shows it.
        outlines: Its polygons in the crop's pixels, ``(N, 2)`` each.
    """

    image: Image
    outlines: tuple[NDArray[np.float32], ...]


def paste(
    canvas: Image, sprite: Sprite, to_canvas: Affine, bend: Bend | None = None
) -> tuple[Image, NDArray[np.float64]]:
    """Composite a sprite onto a square canvas.

    Args:
        canvas: ``(S, S, 3)`` uint8 RGB.
        sprite: The object.
        to_canvas: Affine map from the sprite's crop to the canvas.
        bend: How the object is bent on the canvas; ``None``: it keeps its shape.

    Returns:
        The new picture, and the ``(4,)`` box of the object's outline on the canvas (not clipped).
    """
    size = canvas.shape[0]
    outlines = [transform_points(outline, to_canvas) for outline in sprite.outlines]
    if bend is None:
        moved = warp(sprite.image, to_canvas, size, fill=(0.0, 0.0, 0.0))
    else:
        moved = warp_bent(sprite.image, to_canvas, size, bend)
        outlines = [bend.points(outline) for outline in outlines]
    alpha = _soft_mask(outlines, size)
    blended = canvas + (moved.astype(np.float32) - canvas) * alpha[..., None]
    return np.rint(blended).astype(np.uint8), bounds(np.concatenate(outlines))


def _soft_mask(outlines: list[NDArray[np.float64]], size: int) -> NDArray[np.float32]:
    mask = np.zeros((size, size), np.uint8)
    # fillPoly takes fixed-point corners whose integers are pixel centres, ours lie at + ½.
    fixed = [np.rint((outline - 0.5) * 16).astype(np.int32) for outline in outlines]
    for corners in fixed:
        cv2.fillPoly(mask, [corners], 255, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), FEATHER_SIGMA), dtype=np.float32) / np.float32(255)
