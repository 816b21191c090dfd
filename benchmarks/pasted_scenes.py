"""Cut-and-paste sequences: real objects, cut out along their outlines, move over real photographs.

Exact boxes, real pixels: between the synthetic scenes of ``trackcli synth`` and annotated videos. Targets change place,
size and angle; look-alikes move beside them, and in some sequences something passes in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.synth.motion import apply_affine, roaming_path, similarities, smooth_noise

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIZE_WH = (480, 320)
FEATHER_SIGMA = 0.8
"""Blur of a cut's edge in pixels, so that the edge is not what is tracked."""
_TO_CENTERS = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
_NOISE_SIGMA = 2.5


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object and its outline.

    Attributes:
        image: ``(H, W, 3)`` RGB, cropped to the object with a little margin.
        outlines_xy: ``(N, 2)`` each, pixels of ``image``.
        category: What it is.
    """

    image: Image
    outlines_xy: tuple[Floats, ...]
    category: str

    @property
    def size(self) -> float:
        """Root of the area of its box in pixels."""
        points = np.concatenate(self.outlines_xy)
        return float(np.sqrt(np.prod(points.max(axis=0) - points.min(axis=0))))

    @property
    def center_xy(self) -> Floats:
        """Centre of its box."""
        points = np.concatenate(self.outlines_xy)
        return np.asarray((points.max(axis=0) + points.min(axis=0)) / 2)


@dataclass(frozen=True, eq=False)
class Moving:
    """A cutout and where it is.

    Attributes:
        cutout: The object.
        poses: ``(T, 2, 3)`` maps from its pixels to the frame's.
    """

    cutout: Cutout
    poses: Floats

    def boxes_xyxy(self) -> Floats:
        """``(T, 4)`` bounds of the outline, not cut to the frame."""
        points = np.concatenate(self.cutout.outlines_xy)
        moved = apply_affine(self.poses, np.broadcast_to(points, (len(self.poses), *points.shape)))
        return np.concatenate((moved.min(axis=1), moved.max(axis=1)), axis=1)


@dataclass(frozen=True, eq=False)
class PastedScene:
    """A planned sequence.

    Attributes:
        background: ``(H, W, 3)`` photograph.
        views: ``(T, 2, 3)`` maps from the photograph to the frame: a slowly moving camera.
        layers: What moves, from back to front.
        target: Its place in ``layers``.
        seed: Of the noise.
    """

    background: Image
    views: Floats
    layers: tuple[Moving, ...]
    target: int
    seed: int

    def boxes_xywh(self) -> Floats:
        """``(T, 4)`` the target's box cut to the frame; hidden parts count, as in most benchmarks."""
        corners = self.layers[self.target].boxes_xyxy()
        limits = np.array([*SIZE_WH, *SIZE_WH], dtype=np.float64)
        corners = np.clip(corners, 0, limits)
        return np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1)

    def paint(self, frame: int) -> Image:
        """Frame number ``frame``, ``(H, W, 3)`` RGB."""
        canvas = _warp(self.background, self.views[frame], cv2.BORDER_REFLECT_101).astype(np.float32)
        for layer in self.layers:
            mask = _mask(layer, frame)[..., None]
            canvas += (_warp(layer.cutout.image, layer.poses[frame], cv2.BORDER_REPLICATE) - canvas) * mask
        noise = np.random.default_rng((self.seed, frame)).normal(0, _NOISE_SIGMA, canvas.shape)
        return np.clip(np.rint(canvas + noise), 0, 255).astype(np.uint8)


def plan_scene(
    rng: np.random.Generator,
    background: Image,
    target: Cutout,
    *,
    behind: Sequence[Cutout] = (),
    in_front: Sequence[Cutout] = (),
    frames: int,
) -> PastedScene:
    """Plan one sequence.

    Args:
        rng: Decides everything.
        background: The photograph.
        target: What is followed.
        behind: Look-alikes and other objects that move about; the target hides them where they meet.
        in_front: Objects that pass before the target once.
        frames: How many.
    """
    side = float(np.exp(rng.uniform(np.log(28), np.log(110))))
    moving = Moving(target, _poses(rng, target, side, frames, speed=float(rng.uniform(0.8, 3.0))))
    about = [
        Moving(one, _poses(rng, one, side * float(rng.uniform(0.8, 1.25)), frames, speed=float(rng.uniform(0.5, 2.0))))
        for one in behind
    ]
    passing = [Moving(one, _crossing(rng, one, moving, side * 0.8)) for one in in_front]
    layers = (*about, moving, *passing)
    return PastedScene(background, _views(rng, background, frames), layers, len(behind), int(rng.integers(2**31)))


def _poses(rng: np.random.Generator, cutout: Cutout, side: float, frames: int, *, speed: float) -> Floats:
    """A path through the frame with slowly changing size and angle."""
    path = roaming_path(rng, frames, size_wh=SIZE_WH, margin=0.6 * side, speed=speed)
    change = smooth_noise(rng, frames, period=30.0, channels=2)
    scales = side / cutout.size * np.exp(0.4 * (change[:, 0] - change[0, 0]))
    return _about(cutout, scales, np.radians(15) * change[:, 1], path)


def _crossing(rng: np.random.Generator, cutout: Cutout, target: Moving, side: float) -> Floats:
    """A straight way that meets the target in the middle third of the sequence."""
    frames = len(target.poses)
    boxes = target.boxes_xyxy()
    meeting = int(rng.integers(frames // 3, 2 * frames // 3))
    place = (boxes[meeting, :2] + boxes[meeting, 2:]) / 2
    angle = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.08, 0.2) * side
    path = place + (np.arange(frames) - meeting)[:, None] * way
    return _about(cutout, np.full(frames, side / cutout.size), np.zeros(frames), path)


def _about(cutout: Cutout, scales: Floats, angles: Floats, path_xy: Floats) -> Floats:
    """Maps that turn and scale a cutout about its centre and put that on a path."""
    pivots = np.broadcast_to(cutout.center_xy, (len(path_xy), 2))
    return similarities(scales=scales, angles=angles, pivots_xy=pivots, shifts_xy=path_xy - cutout.center_xy)


def _views(rng: np.random.Generator, background: Image, frames: int) -> Floats:
    """The photograph a little larger than the frame, drifting."""
    height, width = background.shape[:2]
    zoom = 1.15 * max(SIZE_WH[0] / width, SIZE_WH[1] / height)
    drift = 0.06 * min(SIZE_WH) * smooth_noise(rng, frames, period=40.0, channels=2)
    middle = np.array([width / 2, height / 2])
    return similarities(
        scales=np.full(frames, zoom),
        angles=np.zeros(frames),
        pivots_xy=np.broadcast_to(middle, (frames, 2)),
        shifts_xy=drift + np.array(SIZE_WH) / 2 - middle,
    )


def _mask(layer: Moving, frame: int) -> NDArray[np.float32]:
    mask = np.zeros(SIZE_WH[::-1], np.uint8)
    for outline in layer.cutout.outlines_xy:
        moved = apply_affine(layer.poses[frame][None], outline[None])[0]
        # fillPoly takes fixed-point corners whose integers are pixel centres, ours lie at + 1/2.
        cv2.fillPoly(mask, [np.rint((moved - 0.5) * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    blurred = cv2.GaussianBlur(mask, (0, 0), FEATHER_SIGMA)
    return np.asarray(blurred, dtype=np.float32) / np.float32(255)


def _warp(image: Image, pose: Floats, border: int) -> Image:
    """``(2, 3)`` map of continuous coordinates, as OpenCV wants it: with whole numbers on pixel centres."""
    full = np.vstack([pose, [0.0, 0.0, 1.0]])
    shifted = np.linalg.inv(_TO_CENTERS) @ full @ _TO_CENTERS
    warped: Image = cv2.warpAffine(image, shifted[:2], SIZE_WH, flags=cv2.INTER_LINEAR, borderMode=border)
    return warped
