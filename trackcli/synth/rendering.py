"""Paints a scene: anti-aliased, shaded objects with soft shadows, motion blur, changing light and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.synth.motion import velocities
from trackcli.synth.scenes import NOISE, Backdrop, MovingObject, Scene, stream
from trackcli.synth.shapes import Window, coverage, window_around
from trackcli.synth.textures import fractal_noise

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Floats = NDArray[np.float64]

# A sprite is painted once, larger than its object so that its surface can slide (own coordinates, see MovingObject).
_SPRITE_REACH = 2.2
_MAX_SPRITE_SIDE, _MAX_GROUND_SIDE = 512, 1024
_MAX_BLUR = 24.0  # pixels; longer streaks would hide what the boxes claim
_SHADOW_STRENGTH, _SHADING_STRENGTH, _NOISE_SIGMA = 0.35, 1.1, 3.0
_SHADOW_OFFSET = (0.22, 0.3)  # right and down, in mean radii: the light comes from the upper left
_SOFTNESS = 0.3  # of shadow and shading, in mean radii
_COARSE = 4  # shadow and shading are soft, so that a quarter of the resolution is enough
_NOISE_SLACK = 32
_PIXEL_CENTRE = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


class Renderer:
    """Paints any frame of one scene, in any order; every call with the same frame gives the same bytes.

    Example:
        >>> renderer = Renderer(plan_scene(SceneSettings(seed=7)))
        >>> image = renderer.paint(0)
    """

    def __init__(self, scene: Scene) -> None:
        settings = scene.settings
        self._scene = scene
        self._layers = [_Sprite.of(o, settings.blur) for o in (*scene.behind, scene.target, *scene.in_front)]
        self._ground = _paint_ground(scene.backdrop)
        # The point of the ground in the middle of the first image stands for the camera's movement.
        middle = np.linalg.solve(
            scene.backdrop.views[0, :, :2], np.asarray(settings.size_wh) / 2 - scene.backdrop.views[0, :, 2]
        )
        seen = scene.backdrop.views[:, :, :2] @ middle + scene.backdrop.views[:, :, 2]
        self._ground_streaks = velocities(seen) * settings.blur
        width, height = settings.size_wh
        pool = stream(settings, NOISE).standard_normal((height + _NOISE_SLACK, width + _NOISE_SLACK, 3), np.float32)
        self._noise = pool * np.float32(_NOISE_SIGMA * settings.noise)

    def paint(self, frame: int) -> Image:
        """Paint one frame.

        Returns:
            ``(H, W, 3)`` RGB.
        """
        canvas = self._paint_backdrop(frame)
        for sprite in self._layers:
            sprite.paint(canvas, frame)
        canvas *= cv2.resize(self._scene.light[frame], self._scene.settings.size_wh, interpolation=cv2.INTER_LINEAR)
        cv2.GaussianBlur(canvas, (3, 3), 0.6, dst=canvas)
        return self._expose(canvas, frame)

    def _paint_backdrop(self, frame: int) -> Field:
        view = _to_3x3(self._scene.backdrop.views[frame])
        image = cv2.warpAffine(
            self._ground,
            _between_pixel_centres(view)[:2],
            self._scene.settings.size_wh,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return _streak(image.astype(np.float32), self._ground_streaks[frame])

    def _expose(self, canvas: Field, frame: int) -> Image:
        # Shifting one field of noise is far cheaper than new noise, and no eye or network tells the difference.
        left, top = stream(self._scene.settings, NOISE, frame).integers(_NOISE_SLACK, size=2)
        height, width = canvas.shape[:2]
        image: Image = cv2.add(canvas, self._noise[top : top + height, left : left + width], dtype=cv2.CV_8U)
        return image


@dataclass(frozen=True, eq=False)
class _Sprite:
    """One object ready to paint."""

    moving: MovingObject
    surface: Image
    streaks_xy: Floats

    @classmethod
    def of(cls, moving: MovingObject, shutter: float) -> _Sprite:
        side = min(_MAX_SPRITE_SIDE, max(32, round(2 * _SPRITE_REACH * moving.radius)))
        return cls(moving, moving.texture.paint(side), velocities(moving.centres_xy) * shutter)

    def paint(self, canvas: Field, frame: int) -> None:
        """Put the object and its shadow onto ``(H, W, 3)`` float RGB, in place."""
        outline = self.moving.outlines_xy[frame]
        radius = float(np.sqrt(abs(np.linalg.det(self.moving.poses[frame, :, :2]))))
        softness = min(radius, self.moving.radius)
        padding = min(softness, 40.0) + _MAX_BLUR / 2
        height, width = canvas.shape[:2]
        window = window_around(outline, (width, height), padding)
        if window is None:
            return
        mask = coverage(outline, window)
        shading, shadow = _shading_and_shadow(mask, min(softness, 40.0))
        colour = self._surface_in(window, frame) * shading[..., None]
        layer = _streak(np.dstack([colour * mask[..., None], mask]), self.streaks_xy[frame])
        left, top, right, bottom = window
        under = canvas[top:bottom, left:right]
        under *= (1.0 - _SHADOW_STRENGTH * shadow)[..., None]
        under *= 1.0 - layer[..., 3:]
        under += layer[..., :3]

    def _surface_in(self, window: Window, frame: int) -> Field:
        left, top, right, bottom = window
        side = self.surface.shape[0]
        scale = side / (2 * _SPRITE_REACH)
        middle = self.moving.drifts_xy[frame] * scale + side / 2
        surface_to_own = np.array(
            [[1 / scale, 0.0, -middle[0] / scale], [0.0, 1 / scale, -middle[1] / scale], [0.0, 0.0, 1.0]]
        )
        into_window = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
        to_window = into_window @ _to_3x3(self.moving.poses[frame]) @ surface_to_own
        warped = cv2.warpAffine(
            self.surface,
            _between_pixel_centres(to_window)[:2],
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        surface: Field = warped.astype(np.float32)
        return surface


def _paint_ground(backdrop: Backdrop) -> Image:
    width, height = backdrop.size_wh
    side = max(width, height)
    one, other = (cv2.resize(texture.paint(min(side, _MAX_GROUND_SIDE)), (side, side)) for texture in backdrop.textures)
    clouds = fractal_noise(np.random.default_rng(backdrop.seed), side, cells=2, octaves=6)
    share = np.clip((clouds - np.float32(0.5)) * 15.0 + 0.5, 0.0, 1.0)[..., None]
    canvas = np.ascontiguousarray((one * share + other * (1.0 - share))[:height, :width], dtype=np.float32)
    for standing in backdrop.clutter:
        _Sprite.of(standing, shutter=0.0).paint(canvas, 0)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def _shading_and_shadow(mask: Field, radius: float) -> tuple[Field, Field]:
    """Brightness factors that make a flat shape look round, and the shadow it casts, both as large as ``mask``."""
    height, width = mask.shape
    coarse_wh = (max(2, width // _COARSE), max(2, height // _COARSE))
    soft = cv2.GaussianBlur(cv2.resize(mask, coarse_wh, interpolation=cv2.INTER_AREA), (0, 0), _coarse_sigma(radius))
    down, right = np.gradient(soft)
    slope = (right + down) * np.float32(radius / _COARSE)
    shading = 1.0 + np.clip(slope * np.float32(_SHADING_STRENGTH * _SOFTNESS), -0.45, 0.45)
    shift = np.array([[1.0, 0.0, _SHADOW_OFFSET[0]], [0.0, 1.0, _SHADOW_OFFSET[1]]])
    shift[:, 2] *= radius / _COARSE
    shadow = cv2.warpAffine(soft, shift, coarse_wh)
    full_wh = (width, height)
    return cv2.resize(shading, full_wh), cv2.resize(shadow, full_wh)


def _coarse_sigma(radius: float) -> float:
    return max(0.5, _SOFTNESS * radius / _COARSE)


def _streak(image: Field, way_xy: Floats) -> Field:
    """Motion blur: the mean of ``(H, W, C)`` moved along ``way_xy`` pixels, half of it before and half after."""
    length = float(np.hypot(*way_xy))
    if length < 1.0:
        return image
    kernel = _streak_kernel(way_xy * min(1.0, _MAX_BLUR / length))
    blurred: Field = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return blurred


def _streak_kernel(way_xy: Floats) -> Field:
    half = int(np.ceil(np.abs(way_xy).max() / 2)) + 1
    steps = np.linspace(-0.5, 0.5, 8 * half + 1)[:, None] * way_xy + half
    corner = np.floor(steps).astype(int)
    share = steps - corner
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            np.add.at(kernel, (corner[:, 1] + dy, corner[:, 0] + dx), weight)
    normalised: Field = (kernel / kernel.sum()).astype(np.float32)
    return normalised


def _to_3x3(affine: Floats) -> Floats:
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def _between_pixel_centres(continuous: Floats) -> Floats:
    """A map of continuous coordinates as OpenCV wants it: with whole numbers on pixel centres."""
    shifted: Floats = np.linalg.inv(_PIXEL_CENTRE) @ continuous @ _PIXEL_CENTRE
    return shifted
