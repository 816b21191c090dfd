"""Random views of a cached crop, and labels that follow them exactly.

A view without rotation is a rectangle of whole crop pixels: cutting it is a slice and a resize, and labels are computed
from that very rectangle. Only a rotated view is warped. All maps are in continuous coordinates: pixel i covers
[i, i + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Affine = NDArray[np.float64]
"""``(2, 3)`` map."""

AREA_FROM = 2.0
"""From this reduction on a view is resized by averaging areas; under it, bilinear sampling misses no pixel."""


@dataclass(frozen=True)
class ViewSettings:
    """Limits of the random changes of one crop; lengths in pixels of the view.

    Attributes:
        shift: Largest shift of the target from the centre, in x and in y.
        scale: Largest relative change of scale, up and down alike.
        aspect: Largest relative change of the aspect ratio.
        rotation: Largest rotation in degrees.
        low_resolution: Chance that the view is shrunk and enlarged again.
        bend: Largest displacement of a pasted object's parts against each other, as a share of its size.
    """

    shift: float = 0.0
    scale: float = 0.0
    aspect: float = 0.0
    rotation: float = 0.0
    low_resolution: float = 0.0
    bend: float = 0.0


class Upright(NamedTuple):
    """The map of a view without rotation: x becomes ``scale · x + move``. Plain numbers: arrays of four cost more."""

    scale_x: float
    scale_y: float
    move_x: float
    move_y: float

    def box(self, box_xyxy: Box) -> Box:
        """The box in the view."""
        left, top, right, bottom = box_xyxy
        x, y = self.move_x, self.move_y
        return left * self.scale_x + x, top * self.scale_y + y, right * self.scale_x + x, bottom * self.scale_y + y

    def affine(self) -> Affine:
        """The same as a matrix."""
        return np.array([[self.scale_x, 0.0, self.move_x], [0.0, self.scale_y, self.move_y]])


ViewMap = Upright | Affine
"""From crop pixels to a view's."""


class Window(NamedTuple):
    """A rectangle of whole crop pixels that becomes a square view; it may reach over the crop's border."""

    left: int
    top: int
    width: int
    height: int

    def to_view(self, size: int) -> Upright:
        """The map from crop pixels to the pixels of a view of ``size``."""
        x, y = size / self.width, size / self.height
        return Upright(x, y, -self.left * x, -self.top * y)

    def lies_in(self, side: int) -> bool:
        """Whether it needs no pixel from outside a square crop."""
        return self.left >= 0 and self.top >= 0 and self.left + self.width <= side and self.top + self.height <= side


class ViewRequest(NamedTuple):
    """What shall be seen, before it is rounded to whole pixels.

    Attributes:
        center_x: The target's centre, in crop pixels.
        center_y: Likewise.
        scale_x: View pixels per crop pixel before rotation.
        scale_y: Likewise.
        shift_x: Where the target's centre shall be, from the view's centre.
        shift_y: Likewise.
        angle: Rotation in radians.
    """

    center_x: float
    center_y: float
    scale_x: float
    scale_y: float
    shift_x: float
    shift_y: float
    angle: float = 0.0

    def window(self, size: int) -> Window:
        """The rectangle of whole pixels that comes nearest; only for requests without rotation."""
        width, height = max(1, round(size / self.scale_x)), max(1, round(size / self.scale_y))
        left = round(self.center_x - self.shift_x / self.scale_x - width / 2)
        top = round(self.center_y - self.shift_y / self.scale_y - height / 2)
        return Window(left, top, width, height)

    def affine(self, size: int) -> Affine:
        """The exact map from crop to view."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        linear = np.array([[cosine, -sine], [sine, cosine]]) * np.array((self.scale_x, self.scale_y))
        offset = np.array((self.shift_x, self.shift_y)) + size / 2 - linear @ np.array((self.center_x, self.center_y))
        return np.column_stack((linear, offset))

    def moved(self, corner_xy: tuple[float, float], scale: float) -> ViewRequest:
        """The same view of another crop of the scene, in whose pixels x is ``(x - corner) · scale`` of this one's."""
        return ViewRequest(
            (self.center_x - corner_xy[0]) * scale,
            (self.center_y - corner_xy[1]) * scale,
            self.scale_x / scale,
            self.scale_y / scale,
            self.shift_x,
            self.shift_y,
            self.angle,
        )


def random_request(
    rng: np.random.Generator, settings: ViewSettings, *, center_xy: tuple[float, float], zoom: float
) -> ViewRequest:
    """A random view whose target lies near the middle.

    Args:
        rng: Source of randomness; exactly five numbers are drawn.
        settings: Limits.
        center_xy: The target's centre in crop pixels.
        zoom: View pixels per crop pixel without change of scale.
    """
    scale, aspect, turn, x, y = rng.random(5).tolist()
    enlarged: float = zoom * (1 + settings.scale) ** (2 * scale - 1)
    stretch: float = (1 + settings.aspect) ** (aspect - 0.5)
    return ViewRequest(
        *center_xy,
        enlarged * stretch,
        enlarged / stretch,
        (2 * x - 1) * settings.shift,
        (2 * y - 1) * settings.shift,
        math.radians((2 * turn - 1) * settings.rotation),
    )


def cut_window(image: Image, window: Window, out: Image, *, fill: tuple[float, ...] | None = None) -> None:
    """Cut a window and resize it into ``out``, a square contiguous image; pixels from outside take ``fill``.

    ``fill`` defaults to the image's mean, which is computed only if it is needed.
    """
    left, top, right, bottom = window.left, window.top, window.left + window.width, window.top + window.height
    inner = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inner.shape[:2] != (window.height, window.width):
        region = np.empty((window.height, window.width, 3), np.uint8)
        region[:] = np.rint(mean_color(image) if fill is None else fill)
        x, y = max(-left, 0), max(-top, 0)
        region[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
        inner = region
    size = out.shape[0]
    if inner.shape[:2] == (size, size):
        np.copyto(out, inner)
        return
    area = max(window.width, window.height) >= AREA_FROM * size
    cv2.resize(inner, (size, size), dst=out, interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)


def warp(
    image: NDArray[np.uint8],
    to_view: Affine,
    size: int,
    *,
    fill: tuple[float, ...] | None = None,
    out: Image | None = None,
) -> Image:
    """Render a view; pixels from outside take ``fill``, by default the image's mean.

    OpenCV's pixel centres are integers, ours + ½.
    """
    linear, offset = to_view[:, :2], to_view[:, 2]
    half = np.full(2, 0.5)
    integer = np.column_stack((linear, linear @ half + offset - half))
    value = mean_color(image) if fill is None else fill
    warped = cv2.warpAffine(
        image, integer, (size, size), out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=value
    )
    return np.asarray(warped, dtype=np.uint8)


def mean_color(image: Image) -> tuple[float, ...]:
    """Mean RGB of an image."""
    return tuple(cv2.mean(image)[:3])


def lose_resolution(image: Image, kept: float) -> None:
    """Make the image, in place, what a small and distant target looks like after it was enlarged.

    Args:
        image: A square picture.
        kept: Share of its side that the small picture has.
    """
    size = image.shape[0]
    small = max(8, round(size * kept))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    cv2.resize(shrunk, (size, size), dst=image, interpolation=cv2.INTER_LINEAR)


def transform_points(points_xy: NDArray[np.floating], to_view: Affine) -> NDArray[np.float64]:
    """``(N, 2)`` points under an affine map."""
    moved: NDArray[np.float64] = points_xy @ to_view[:, :2].T + to_view[:, 2]
    return moved


def transform_boxes(boxes_xyxy: NDArray[np.floating], to_view: ViewMap) -> NDArray[np.float64]:
    """``(N, 4)`` upright boxes of transformed boxes, taking each object for the ellipse that fills its box.

    Without rotation this is exact; with rotation it does not blow the box up as its corners would.
    """
    if isinstance(to_view, Upright):
        x, y, move_x, move_y = to_view
        upright: NDArray[np.float64] = boxes_xyxy * np.array((x, y, x, y)) + np.array((move_x, move_y, move_x, move_y))
        return upright
    middle = transform_points((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2, to_view)
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2
    reach = np.sqrt(np.square(half) @ np.square(to_view[:, :2]).T)
    boxes: NDArray[np.float64] = np.concatenate((middle - reach, middle + reach), axis=1)
    return boxes


def bounds(points_xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(4,)`` upright box of ``(N, 2)`` points."""
    return np.concatenate((points_xy.min(axis=0), points_xy.max(axis=0))).astype(np.float64)
