"""Procedural surfaces: fractal noise, stripes, checks, spots and patches in random palettes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Image = NDArray[np.uint8]

KINDS = ("noise", "stripes", "checks", "spots", "patches")
_COLOURS = 4


@dataclass(frozen=True, eq=False)
class Texture:
    """A surface that can be painted at any resolution.

    Attributes:
        kind: One of :data:`KINDS`.
        palette: ``(4, 3)`` RGB in 0..255, from the pattern's low to its high values.
        frequency: Pattern elements per side.
        angle: Direction of stripes and checks in radians.
        seed: Of the pattern's random part.
    """

    kind: str
    palette: NDArray[np.float64]
    frequency: float
    angle: float
    seed: int

    def paint(self, side: int) -> Image:
        """The surface as a ``(side, side, 3)`` RGB image."""
        rng = np.random.default_rng(self.seed)
        # Fine grain on every surface: nothing in a photograph is perfectly flat.
        grain = fractal_noise(rng, side, cells=max(4, int(self.frequency * 4)), octaves=4, gain=0.8)
        field = _PATTERNS[self.kind](self, rng, side)
        return colourise(np.clip(field * 0.8 + (grain - 0.5) * 0.5 + 0.1, 0.0, 1.0), self.palette)


def random_palette(rng: np.random.Generator, *, hue: float, saturation: tuple[float, float]) -> NDArray[np.float64]:
    """``(4, 3)`` RGB colours around ``hue`` (0..1), from dark to light, one of them an accent of another hue."""
    hues = hue + rng.uniform(-0.06, 0.06, size=_COLOURS)
    hues[rng.integers(_COLOURS)] += rng.uniform(0.2, 0.8)
    saturations = rng.uniform(*saturation, size=_COLOURS)
    values = np.sort(rng.uniform(0.12, 1.0, size=_COLOURS))
    values[-1] = max(values[-1], values[0] + 0.35)
    return hsv_to_rgb(hues % 1.0, saturations, np.clip(values, 0.0, 1.0)) * 255.0


def random_texture(
    rng: np.random.Generator,
    *,
    hue: float,
    saturation: tuple[float, float] = (0.25, 0.9),
    kinds: tuple[str, ...] = KINDS,
) -> Texture:
    """A surface of one of ``kinds`` in colours around ``hue`` (0..1) with a saturation in a range within 0..1."""
    return Texture(
        kind=str(rng.choice(kinds)),
        palette=random_palette(rng, hue=hue, saturation=saturation),
        frequency=float(rng.uniform(2.5, 6.0)),
        angle=float(rng.uniform(0.0, np.pi)),
        seed=int(rng.integers(2**31)),
    )


def similar_texture(texture: Texture, rng: np.random.Generator) -> Texture:
    """A surface of the same kind and nearly the same colours whose pattern lies elsewhere."""
    return replace(
        texture,
        palette=np.clip(texture.palette + rng.uniform(-14.0, 14.0, size=texture.palette.shape), 0.0, 255.0),
        frequency=texture.frequency * float(rng.uniform(0.9, 1.1)),
        angle=texture.angle + float(rng.uniform(-0.25, 0.25)),
        seed=int(rng.integers(2**31)),
    )


def fractal_noise(rng: np.random.Generator, side: int, *, cells: int, octaves: int, gain: float = 0.5) -> Field:
    """Clouds ``(side, side)`` in 0..1: random grids of doubling fineness, each ``gain`` times as strong as the last."""
    total = np.zeros((side, side), dtype=np.float32)
    for octave in range(octaves):
        count = min(cells * 2**octave, side)
        grid = rng.random((count + 1, count + 1), dtype=np.float32)
        total += cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) * np.float32(gain**octave)
    low, high = float(total.min()), float(total.max())
    return (total - np.float32(low)) / np.float32(max(high - low, 1e-6))


def colourise(field: Field, palette: NDArray[np.float64]) -> Image:
    """Turn ``(h, w)`` values in 0..1 into RGB along a palette of equally spaced colours."""
    stops = np.linspace(0.0, 1.0, len(palette))
    shades = np.linspace(0.0, 1.0, 256)
    table = np.stack([np.interp(shades, stops, palette[:, channel]) for channel in range(3)], axis=-1)
    return np.rint(table).astype(np.uint8)[np.rint(field * 255).astype(np.uint8)]


def hsv_to_rgb(
    hues: NDArray[np.float64], saturations: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(N,)`` hue, saturation and value in 0..1 → ``(N, 3)`` RGB in 0..1."""
    ramps = (np.array([5.0, 3.0, 1.0]) + hues[:, None] * 6.0) % 6.0
    falls = np.clip(np.minimum(ramps, 4.0 - ramps), 0.0, 1.0)
    colours: NDArray[np.float64] = values[:, None] * (1.0 - saturations[:, None] * falls)
    return colours


def _grid(side: int) -> tuple[Field, Field]:
    steps = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    return steps[None, :], steps[:, None]


def _noise(texture: Texture, rng: np.random.Generator, side: int) -> Field:
    return fractal_noise(rng, side, cells=max(2, round(texture.frequency)), octaves=4)


def _waves(texture: Texture, rng: np.random.Generator, side: int, angle: float) -> Field:
    x, y = _grid(side)
    bend = fractal_noise(rng, side, cells=2, octaves=2) * np.float32(0.35 / texture.frequency * 2)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)) + bend
    waves: Field = np.tanh(3.0 * np.sin(along * np.float32(2 * np.pi * texture.frequency)))
    return waves


def _stripes(texture: Texture, rng: np.random.Generator, side: int) -> Field:
    return 0.5 + 0.5 * _waves(texture, rng, side, texture.angle)


def _checks(texture: Texture, rng: np.random.Generator, side: int) -> Field:
    across = _waves(texture, rng, side, texture.angle + np.pi / 2)
    return 0.5 + 0.5 * _waves(texture, rng, side, texture.angle) * across


def _spots(texture: Texture, rng: np.random.Generator, side: int) -> Field:
    clouds = fractal_noise(rng, side, cells=round(texture.frequency * 1.5), octaves=1)
    spots: Field = np.clip((clouds - np.float32(np.median(clouds))) * 12.0 + 0.5, 0.0, 1.0)
    return 0.7 * spots + 0.3 * fractal_noise(rng, side, cells=3, octaves=2)


def _patches(texture: Texture, rng: np.random.Generator, side: int) -> Field:
    count = max(6, round(texture.frequency**2))
    centres, heights = rng.random((count, 2), dtype=np.float32), rng.random(count, dtype=np.float32)
    x, y = _grid(side)
    distances = (x[..., None] - centres[:, 0]) ** 2 + (y[..., None] - centres[:, 1]) ** 2
    nearest: Field = heights[np.argmin(distances, axis=-1)]
    return nearest


_PATTERNS = {"noise": _noise, "stripes": _stripes, "checks": _checks, "spots": _spots, "patches": _patches}
