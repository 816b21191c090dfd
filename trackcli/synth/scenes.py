"""Decides what happens in a scene: who looks like what, who moves where, who passes in front of whom.

Objects are planned in image pixels, as a person filming would keep the target in view; the camera's shake is then
applied to everything, and its pan to the background alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackcli.synth import motion
from trackcli.synth.settings import SceneSettings
from trackcli.synth.shapes import Outline, random_outline, similar_outline
from trackcli.synth.textures import Texture, random_texture, similar_texture

Floats = NDArray[np.float64]

# One random stream per part of the scene; the numbers are part of what "same seed, same bytes" means.
TARGET, BACKGROUND, CAMERA, LIGHT, NOISE, LOOK_ALIKES, OCCLUDERS = range(7)

CLUTTER_OBJECTS = 12
GROUND_KINDS = ("noise", "spots", "patches", "noise")
LIGHT_GRID_WH = (4, 3)


@dataclass(frozen=True, eq=False)
class MovingObject:
    """One object during the whole scene.

    Attributes:
        texture: Its surface.
        outlines_xy: ``(T, N, 2)`` its edge in image pixels.
        poses: ``(T, 2, 3)`` maps from the object's own coordinates (mean radius 1) to image pixels.
        drifts_xy: ``(T, 2)`` how far its surface has slid inside the edge, in own coordinates: a cheap way of turning.
        radius: Mean radius in pixels at ordinary scale.
    """

    texture: Texture
    outlines_xy: Floats
    poses: Floats
    drifts_xy: Floats
    radius: float

    @property
    def centres_xy(self) -> Floats:
        """``(T, 2)`` in image pixels."""
        return self.poses[:, :, 2]


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What lies behind everything.

    Attributes:
        textures: The ground's two surfaces, such as a road and the grass beside it.
        seed: Of the line between them.
        clutter: Standing objects on it, from back to front; their only frame is in the ground's pixels.
        size_wh: Size of the ground in pixels; larger than the image so that the camera can pan.
        views: ``(T, 2, 3)`` maps from the ground's to the image's pixels.
    """

    textures: tuple[Texture, Texture]
    seed: int
    clutter: tuple[MovingObject, ...]
    size_wh: tuple[int, int]
    views: Floats


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is to be painted.

    Attributes:
        settings: What was asked for.
        target: The object to follow.
        behind: Objects that the target passes in front of.
        in_front: Objects that pass in front of the target, from back to front.
        backdrop: What lies behind everything.
        light: ``(T, rows, columns, 3)`` coarse grid of brightness factors for red, green and blue.
    """

    settings: SceneSettings
    target: MovingObject
    behind: tuple[MovingObject, ...]
    in_front: tuple[MovingObject, ...]
    backdrop: Backdrop
    light: NDArray[np.float32]


def stream(settings: SceneSettings, *key: int) -> np.random.Generator:
    """The random stream of one part of a scene."""
    return np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=key))


def plan_scene(settings: SceneSettings) -> Scene:
    """Make up a scene; nothing is painted yet."""
    rng = stream(settings, CAMERA)
    views = motion.camera_views(rng, settings.frames, size_wh=settings.size_wh, strength=settings.camera_motion)
    hue = float(stream(settings, BACKGROUND).uniform())
    target = _target(settings, hue)
    behind, in_front = _look_alikes(settings, target)
    in_front += _occluders(settings, target)
    return Scene(
        settings=settings,
        target=_seen_through(views, target.moving),
        behind=tuple(_seen_through(views, actor.moving) for actor in behind),
        in_front=tuple(_seen_through(views, actor.moving) for actor in in_front),
        backdrop=_backdrop(settings, hue, rng, views),
        light=_light(settings),
    )


@dataclass(frozen=True, eq=False)
class _Actor:
    """A moving object and what its relatives and rivals must know of it."""

    moving: MovingObject
    outline: Outline
    reach: float  # no point of it is ever farther from its centre, in pixels


def _target(settings: SceneSettings, background_hue: float) -> _Actor:
    rng = stream(settings, TARGET)
    texture = random_texture(rng, hue=background_hue + rng.uniform(0.25, 0.75))
    radius = 0.5 * settings.target_size * min(settings.size_wh) * float(np.exp(rng.uniform(-0.2, 0.2)))
    return _roaming(rng, settings, texture, random_outline(rng), radius, leaves=settings.leave_and_return)


def _look_alikes(settings: SceneSettings, target: _Actor) -> tuple[list[_Actor], list[_Actor]]:
    """Relatives of the target: those behind it and those in front of it."""
    behind: list[_Actor] = []
    in_front: list[_Actor] = []
    for index in range(settings.look_alikes):
        rng = stream(settings, LOOK_ALIKES, index)
        texture = similar_texture(target.moving.texture, rng)
        outline = similar_outline(target.outline, rng)
        radius = target.moving.radius * float(np.exp(rng.uniform(-0.1, 0.1)))
        tries = [_roaming(rng, settings, texture, outline, radius, leaves=False) for _ in range(4)]
        actor = max(tries, key=lambda rival: float(np.minimum(_gaps(rival, target), 1.0).mean()))
        # The first frame shows the whole target: a tracker must be able to see what it is to follow.
        apart = _gaps(actor, target)[0] > 1.0
        (in_front if apart and rng.uniform() < 0.4 else behind).append(actor)
    return behind, in_front


def _gaps(one: _Actor, other: _Actor) -> Floats:
    """``(T,)`` distance of the centres in units of the distance from which on two objects cannot touch."""
    distances: Floats = np.linalg.norm(one.moving.centres_xy - other.moving.centres_xy, axis=1)
    return distances / (one.reach + other.reach)


def _roaming(
    rng: np.random.Generator,
    settings: SceneSettings,
    texture: Texture,
    outline: Outline,
    radius: float,
    *,
    leaves: bool,
) -> _Actor:
    """An object that wanders, turns, grows and deforms."""
    frames, size_wh = settings.frames, settings.size_wh
    curves = motion.smooth_noise(rng, frames, period=40.0, channels=8)
    points = outline.points(curves[:, :4] * settings.deform * np.array([0.09, 0.06, 0.04, 0.02]))
    scales = radius * np.exp(0.45 * settings.scale_change * curves[:, 4])
    angles = 0.9 * settings.rotation * curves[:, 5] + rng.uniform(-0.4, 0.4)
    squeeze = 0.25 * settings.deform * curves[:, 6]
    reach = float((np.linalg.norm(points, axis=2).max(axis=1) * scales * np.exp(np.abs(squeeze))).max())
    path = motion.roaming_path(rng, frames, size_wh=size_wh, margin=reach, speed=settings.speed)
    if leaves:
        away = 1.2 * reach + 0.15 * max(size_wh) * (1 + settings.camera_motion)
        path = motion.leave_and_return(rng, path, size_wh=size_wh, reach=away)
    drifts = 0.25 * settings.rotation * motion.smooth_noise(rng, frames, period=60.0, channels=2)
    poses = _poses(path, scales, angles, squeeze)
    moving = MovingObject(texture, motion.apply_affine(poses, points), poses, drifts, radius)
    return _Actor(moving, outline, reach)


def _poses(centres_xy: Floats, scales: Floats, angles: Floats, squeeze: Floats) -> Floats:
    """``(T, 2, 3)`` maps: stretch along the object's own x by exp(squeeze), keep the area, turn, scale, place."""
    turns = motion.similarities(scales=scales, angles=angles, pivots_xy=np.zeros_like(centres_xy), shifts_xy=centres_xy)
    stretch = np.zeros_like(turns)
    stretch[:, 0, 0], stretch[:, 1, 1] = np.exp(squeeze), np.exp(-squeeze)
    return motion.compose_affine(turns, stretch)


def _occluders(settings: SceneSettings, target: _Actor) -> list[_Actor]:
    return [_occluder(settings, target, index) for index in range(settings.occluders)]


def _occluder(settings: SceneSettings, target: _Actor, index: int) -> _Actor:
    """A pole or a stranger that covers the target's centre at one moment and has not touched it in the first frame."""
    rng = stream(settings, OCCLUDERS, index)
    frames = settings.frames
    # Meetings are spread over the sequence, whatever the number of occluders, and keep clear of the first frames.
    golden = (index * 0.618 + rng.uniform(0.0, 0.2)) % 1.0
    meeting = max(1, round(frames * (0.25 + 0.6 * golden)))
    meeting_xy = target.moving.centres_xy[min(meeting, frames - 1)]
    outline, radius = _occluder_shape(rng, settings, target, pole=rng.uniform() < 0.5)
    points = outline.points(np.zeros((1, 4)))
    half_width = float(np.abs(points[..., 0]).max()) * radius
    crossing = rng.uniform(14.0, 30.0)
    ordinary = max(settings.speed, 0.2) * 2 * (half_width + target.reach) / crossing
    first_gap = abs(float(meeting_xy[0] - target.moving.centres_xy[0, 0]))
    enough = (half_width + target.reach + first_gap) / meeting
    velocity = max(ordinary, 1.05 * enough) * float(rng.choice([-1.0, 1.0]))
    path = meeting_xy + (np.arange(frames) - meeting)[:, None] * np.array([velocity, 0.0])
    poses = _poses(path, np.full(frames, radius), np.zeros(frames), np.zeros(frames))
    texture = random_texture(rng, hue=float(rng.uniform()), saturation=(0.1, 0.7))
    moving = MovingObject(texture, motion.apply_affine(poses, points), poses, np.zeros((frames, 2)), radius)
    return _Actor(moving, outline, reach=half_width)


def _occluder_shape(
    rng: np.random.Generator, settings: SceneSettings, target: _Actor, *, pole: bool
) -> tuple[Outline, float]:
    if not pole:
        return random_outline(rng), target.moving.radius * float(rng.uniform(0.7, 1.1))
    half_width = target.moving.radius * float(rng.uniform(0.35, 0.7))
    half_height = 1.6 * settings.size_wh[1]
    shape = Outline(
        aspect=half_width / half_height,
        amplitudes=np.zeros(4),
        phases=np.zeros(4),
        squareness=1.0,
    )
    return shape, math.sqrt(half_width * half_height)


def _backdrop(settings: SceneSettings, hue: float, camera: np.random.Generator, views: Floats) -> Backdrop:
    rng = stream(settings, BACKGROUND, 1)
    width, height = settings.size_wh
    margin = round(0.2 * max(width, height))
    size_wh = (width + 2 * margin, height + 2 * margin)
    one, other = (
        random_texture(rng, hue=hue + shift, saturation=(0.05, 0.4), kinds=GROUND_KINDS)
        for shift in (0.0, rng.uniform(-0.2, 0.2))
    )
    seed = int(rng.integers(2**31))
    pan = motion.smooth_noise(camera, settings.frames, period=60.0, channels=2) * margin * settings.camera_motion
    placing = np.concatenate([np.broadcast_to(np.eye(2), (settings.frames, 2, 2)), (pan - margin)[:, :, None]], axis=2)
    clutter = tuple(_standing(rng, size_wh, min(width, height)) for _ in range(CLUTTER_OBJECTS))
    return Backdrop((one, other), seed, clutter, size_wh, motion.compose_affine(views, placing))


def _standing(rng: np.random.Generator, size_wh: tuple[int, int], shorter: int) -> MovingObject:
    radius = shorter * float(rng.uniform(0.05, 0.25))
    centre = rng.uniform(0.0, 1.0, size=(1, 2)) * size_wh
    poses = _poses(centre, np.array([radius]), rng.uniform(-3.0, 3.0, size=1), np.zeros(1))
    outline = motion.apply_affine(poses, random_outline(rng).points(np.zeros((1, 4))))
    texture = random_texture(rng, hue=float(rng.uniform()), saturation=(0.1, 0.5))
    return MovingObject(texture, outline, poses, np.zeros((1, 2)), radius)


def _light(settings: SceneSettings) -> NDArray[np.float32]:
    rng = stream(settings, LIGHT)
    columns, rows = LIGHT_GRID_WH
    over_image = motion.smooth_noise(rng, settings.frames, period=70.0, channels=rows * columns)
    over_time = motion.smooth_noise(rng, settings.frames, period=35.0)
    cast = motion.smooth_noise(rng, settings.frames, period=90.0, channels=3)
    exponents = (
        0.3 * over_image.reshape(-1, rows, columns, 1) + 0.3 * over_time[:, None, None] + 0.08 * cast[:, None, None]
    )
    return np.exp(settings.light * exponents).astype(np.float32)


def _seen_through(views: Floats, moving: MovingObject) -> MovingObject:
    return MovingObject(
        texture=moving.texture,
        outlines_xy=motion.apply_affine(views, moving.outlines_xy),
        poses=motion.compose_affine(views, moving.poses),
        drifts_xy=moving.drifts_xy,
        radius=moving.radius,
    )
