"""Geometric augmentation: a random window of a cached crop becomes a network input, and its labels follow exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.config.training import AugmentConfig

Image = NDArray[np.uint8]
Affine = NDArray[np.float64]  # (2, 3), continuous coordinates: pixel i covers [i, i + 1)


@dataclass(frozen=True)
class View:
    """One augmented crop.

    Attributes:
        image: ``(S, S, 3)`` uint8 RGB.
        to_view: ``(2, 3)`` affine map from cached-crop pixels to view pixels.
    """

    image: Image
    to_view: Affine


def random_affine(
    rng: np.random.Generator, config: AugmentConfig, *, center_xy: tuple[float, float], zoom: float, size: int
) -> Affine:
    """A random similarity (with slightly unequal axes) that takes ``center_xy`` near the middle of the view.

    Args:
        rng: Source of randomness.
        config: Limits.
        center_xy: The target's centre in cached-crop pixels.
        zoom: View pixels per cached-crop pixel without augmentation.
        size: Side of the view.
    """
    angle = math.radians(rng.uniform(-config.rotation, config.rotation))
    scale = zoom * math.exp(rng.uniform(-1, 1) * math.log1p(config.scale))
    aspect = math.exp(rng.uniform(-0.5, 0.5) * math.log1p(config.aspect))
    shift = rng.uniform(-config.shift, config.shift, size=2)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = rotation @ np.diag((scale * aspect, scale / aspect))
    offset = np.full(2, size / 2) + shift - linear @ np.array(center_xy)
    return np.column_stack((linear, offset))


def warp(image: NDArray[np.uint8], to_view: Affine, size: int, *, fill: tuple[float, ...]) -> Image:
    """Render the view of an image; pixels from outside take ``fill``. OpenCV's pixel centres are integers, ours + ½."""
    linear, offset = to_view[:, :2], to_view[:, 2]
    half = np.full(2, 0.5)
    integer = np.column_stack((linear, linear @ half + offset - half))
    warped = cv2.warpAffine(
        image, integer, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=fill
    )
    return np.asarray(warped, dtype=np.uint8)


def mean_color(image: Image) -> tuple[float, ...]:
    """Mean RGB of an image."""
    return tuple(cv2.mean(image)[:3])


def transform_points(points_xy: NDArray[np.floating], to_view: Affine) -> NDArray[np.float64]:
    """``(N, 2)`` points under an affine map."""
    moved: NDArray[np.float64] = points_xy @ to_view[:, :2].T + to_view[:, 2]
    return moved


def transform_box(box_xyxy: NDArray[np.floating], to_view: Affine) -> NDArray[np.float64]:
    """The upright box of a transformed box, taking the object for the ellipse that fills its box.

    Without rotation this is exact; with rotation it does not blow the box up as its corners would.
    """
    center = (box_xyxy[:2] + box_xyxy[2:]) / 2
    half = (box_xyxy[2:] - box_xyxy[:2]) / 2
    middle = transform_points(center[None], to_view)[0]
    reach = np.sqrt(np.square(to_view[:, :2] * half).sum(axis=1))
    return np.concatenate((middle - reach, middle + reach))


def bounds(points_xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(4,)`` upright box of ``(N, 2)`` points."""
    return np.concatenate((points_xy.min(axis=0), points_xy.max(axis=0))).astype(np.float64)


def degrade(image: Image, rng: np.random.Generator, config: AugmentConfig) -> Image:
    """Blur (Gaussian or motion) and lost resolution, each with its chance."""
    if rng.random() < config.blur:
        image = _motion_blur(image, rng) if rng.random() < 0.5 else _gaussian_blur(image, rng)
    if rng.random() < config.low_resolution:
        image = _lose_resolution(image, rng)
    return image


def _gaussian_blur(image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0)), dtype=np.uint8)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    length = int(rng.integers(3, 12))
    angle = rng.uniform(0, math.pi)
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    reach = np.array([math.cos(angle), math.sin(angle)]) * middle
    start, stop = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
    cv2.line(kernel, start.tolist(), stop.tolist(), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def _lose_resolution(image: Image, rng: np.random.Generator) -> Image:
    """What a small, distant target looks like after it was enlarged to the crop."""
    size = image.shape[0]
    small = max(8, round(size * rng.uniform(0.2, 0.6)))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
