"""Smooth random curves over time, and the affine maps that objects, camera and background follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Four knots in -1..1 can push a Catmull-Rom curve to ±1.25; dividing by it keeps every curve inside -1..1.
_OVERSHOOT = 1.25
# When the target starts to leave, is gone, starts to come back and is back, as shares of the sequence.
_LEAVE, _GONE, _BACK, _RETURNED = 0.52, 0.62, 0.70, 0.80


def smooth_noise(rng: np.random.Generator, frames: int, *, period: float, channels: int = 1) -> Floats:
    """Random curves without jumps or kinks: Catmull-Rom through uniform knots.

    Args:
        rng: Source of the knots.
        frames: Number of samples T.
        period: Frames between two knots; larger is slower.
        channels: Number of independent curves C.

    Returns:
        ``(T, C)`` in -1..1.
    """
    position = np.arange(frames) / period + rng.uniform()
    knots = rng.uniform(-1.0, 1.0, size=(int(position[-1]) + 4, channels))
    start = position.astype(int)
    t = (position - start)[:, None]
    before, here, there, after = (knots[start + offset] for offset in range(4))
    cubic = -before + 3 * here - 3 * there + after
    square = 2 * before - 5 * here + 4 * there - after
    curve: Floats = (2 * here + t * (there - before + t * (square + t * cubic))) / 2
    return curve / _OVERSHOOT


def roaming_path(
    rng: np.random.Generator, frames: int, *, size_wh: tuple[int, int], margin: float, speed: float
) -> Floats:
    """A path of a centre that stays ``margin`` pixels inside the image where the image is large enough.

    Returns:
        ``(T, 2)`` x, y in image pixels. With ``speed`` 0 the centre stands still at a random place.
    """
    reach = np.maximum(np.asarray(size_wh) / 2 - margin, 0.0)
    if speed == 0:
        offsets = np.repeat(rng.uniform(-0.8, 0.8, size=(1, 2)), frames, axis=0)
    else:
        offsets = smooth_noise(rng, frames, period=45.0 / speed, channels=2)
    path: Floats = np.asarray(size_wh) / 2 + reach * offsets
    return path


def leave_and_return(rng: np.random.Generator, path_xy: Floats, *, size_wh: tuple[int, int], reach: float) -> Floats:
    """Bend a path so that it leaves the image in the second half and comes back, at any side.

    Args:
        rng: Chooses the sides.
        path_xy: ``(T, 2)`` centres in image pixels.
        size_wh: Image size.
        reach: How far outside a centre must be for nothing of the object to be seen.

    Returns:
        ``(T, 2)``. While nobody can see it, the object jumps from where it left to where it returns.
    """
    progress = np.arange(len(path_xy)) / len(path_xy)
    away = _smoothstep((progress - _LEAVE) / (_GONE - _LEAVE)) - _smoothstep((progress - _BACK) / (_RETURNED - _BACK))
    before, after = progress < (_GONE + _BACK) / 2, progress >= (_GONE + _BACK) / 2
    bent = path_xy.copy()
    for part in (before, after):
        anchor = path_xy[np.argmax(away * part)]
        outside = _point_outside(rng, anchor, size_wh, reach)
        weight = (away * part)[:, None]
        bent = bent + weight * (outside - path_xy)
    return bent


def camera_views(rng: np.random.Generator, frames: int, *, size_wh: tuple[int, int], strength: float) -> Floats:
    """What a hand-held camera adds to everything: slow drift, shake, a little roll and zoom about the image's centre.

    Returns:
        ``(T, 2, 3)`` maps from the planned to the seen image pixels; the first is the identity.
    """
    drift = _from_zero(smooth_noise(rng, frames, period=50.0, channels=4)) * strength
    shake = _from_zero(smooth_noise(rng, frames, period=4.0, channels=2)) * strength
    shorter = min(size_wh)
    shifts = drift[:, :2] * 0.03 * shorter + shake * 0.006 * shorter
    return similarities(
        scales=np.exp(0.05 * drift[:, 2]),
        angles=0.03 * drift[:, 3],
        pivots_xy=np.broadcast_to(np.asarray(size_wh) / 2, (frames, 2)),
        shifts_xy=shifts,
    )


def similarities(*, scales: Floats, angles: Floats, pivots_xy: Floats, shifts_xy: Floats) -> Floats:
    """``(T, 2, 3)`` maps that turn and scale about a pivot, then shift; angles in radians, x towards y."""
    cosines, sines = scales * np.cos(angles), scales * np.sin(angles)
    linear = np.stack([np.stack([cosines, -sines], -1), np.stack([sines, cosines], -1)], 1)
    offsets = pivots_xy + shifts_xy - np.einsum("tij,tj->ti", linear, pivots_xy)
    return np.concatenate([linear, offsets[:, :, None]], axis=2)


def compose_affine(outer: Floats, inner: Floats) -> Floats:
    """``(T, 2, 3)`` maps that apply ``inner`` first, then ``outer``."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    offset = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return np.concatenate([linear, offset], axis=2)


def apply_affine(maps: Floats, points_xy: Floats) -> Floats:
    """Map ``(T, N, 2)`` points by ``(T, 2, 3)`` maps."""
    mapped: Floats = np.einsum("tij,tnj->tni", maps[:, :, :2], points_xy) + maps[:, None, :, 2]
    return mapped


def velocities(points_xy: Floats) -> Floats:
    """``(T, 2)`` centres → ``(T, 2)`` pixels per frame; zeros for a single frame."""
    if len(points_xy) < 2:
        return np.zeros_like(points_xy)
    return np.gradient(points_xy, axis=0)


def _from_zero(curves: Floats) -> Floats:
    return curves - curves[:1]


def _smoothstep(values: Floats) -> Floats:
    t = np.clip(values, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _point_outside(rng: np.random.Generator, near_xy: Floats, size_wh: tuple[int, int], reach: float) -> Floats:
    axis = int(rng.integers(2))
    point = near_xy.copy()
    point[axis] = -reach if rng.uniform() < 0.5 else size_wh[axis] + reach
    return point
