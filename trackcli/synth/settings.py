"""What can be asked of a synthetic scene, and how one seed becomes many."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from trackcli.errors import ConfigError

MIN_SIDE = 32
MAX_SIDE = 4096
MIN_FRAMES_TO_LEAVE = 20
_STRENGTHS = ("speed", "scale_change", "rotation", "deform", "camera_motion", "light", "noise")
_MAX_STRENGTH = 2.0  # beyond it outlines would fold over themselves


@dataclass(frozen=True)
class SceneSettings:
    """A scene in numbers; the same settings always give the same pictures and boxes.

    The strengths (``speed`` to ``noise``) are relative: 1 is ordinary footage, 0 switches the effect off, 2 is twice as
    much. Each part of a scene has its own random stream, so that adding a look-alike leaves the target as it was.

    Attributes:
        frames: Length of the sequence.
        size_wh: Width and height of the images in pixels.
        seed: Not negative; everything random follows from it.
        look_alikes: Objects that differ only a little from the target, moving too.
        occluders: Objects that pass in front of the target, one after the other.
        leave_and_return: The target leaves the image for a while in the second half, and may return elsewhere.
        target_size: Mean side of the target as a share of the image's shorter side.
        speed: How fast objects roam.
        scale_change: How much objects grow and shrink.
        rotation: How much objects turn.
        deform: How much outlines and textures change shape.
        camera_motion: Pan, shake and zoom.
        blur: Share of the frame interval in which the shutter is open, 0..1.
        light: Changes of brightness and colour over time and over the image.
        noise: Sensor noise.
        fps: Frames per second of a video made from the scene.
    """

    frames: int = 120
    size_wh: tuple[int, int] = (320, 240)
    seed: int = 0
    look_alikes: int = 1
    occluders: int = 1
    leave_and_return: bool = False
    target_size: float = 0.25
    speed: float = 1.0
    scale_change: float = 1.0
    rotation: float = 1.0
    deform: float = 1.0
    camera_motion: float = 1.0
    blur: float = 0.5
    light: float = 1.0
    noise: float = 1.0
    fps: float = 30.0

    def __post_init__(self) -> None:
        _require(self.frames >= 1, "frames", self.frames, "at least 1")
        _require(
            len(self.size_wh) == 2 and all(MIN_SIDE <= side <= MAX_SIDE for side in self.size_wh),
            "size",
            "x".join(map(str, self.size_wh)),
            f"width and height from {MIN_SIDE} to {MAX_SIDE} pixels, such as 320x240",
        )
        _require(self.seed >= 0, "seed", self.seed, "0 or above")
        _require(self.look_alikes >= 0, "look_alikes", self.look_alikes, "0 or above")
        _require(self.occluders >= 0, "occluders", self.occluders, "0 or above")
        _require(0.05 <= self.target_size <= 0.5, "target_size", self.target_size, "0.05 to 0.5 of the shorter side")
        _require(0.0 <= self.blur <= 1.0, "blur", self.blur, "0 (no blur) to 1 (shutter always open)")
        _require(math.isfinite(self.fps) and self.fps > 0, "fps", self.fps, "a number above 0")
        for name in _STRENGTHS:
            value = getattr(self, name)
            _require(0.0 <= value <= _MAX_STRENGTH, name, value, f"0 (off) to {_MAX_STRENGTH:g}, where 1 is ordinary")
        if self.leave_and_return:
            _require(
                self.frames >= MIN_FRAMES_TO_LEAVE,
                "frames",
                self.frames,
                f"at least {MIN_FRAMES_TO_LEAVE} when the target leaves and returns",
            )

    def as_dict(self) -> dict[str, object]:
        """The settings as plain values that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"size_wh": list(self.size_wh)}


def derive_seed(seed: int, index: int) -> int:
    """The seed of sequence ``index`` of a run with ``seed``: independent of how many sequences are made.

    Returns:
        A number below 2**53, so that JSON readers with float numbers keep it whole.
    """
    state = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)
    return int(state[0]) >> 11


def _require(holds: bool, name: str, given: object, expected: str) -> None:
    if not holds:
        raise ConfigError(f"scene setting {name} is {given}; expected {expected}")
