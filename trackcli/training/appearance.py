"""How each crop's pixels are to change: drawn numbers and settings become amounts. Small arrays, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trackcli.config.sampling import AugmentConfig, SamplerConfig

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""

TINT = 0.3
"""How much single channels change, as a share of ``color``."""

_FLIP, _GREY = 0, 1
_FIRST, _PER_BRANCH = 2, 12


@dataclass(frozen=True, eq=False)
class Appearance:
    """Changes of B crops, in the order in which they happen: flip, blur, colour, noise.

    Attributes:
        flip: ``(B,)`` bool.
        blur_wh: ``(B, 2)`` int64, odd lengths across and down; 1 leaves the crop sharp.
        matrix: ``(B, 3, 3)`` float32, new RGB = matrix · RGB + ``bias`` · mean luma of the crop.
        bias: ``(B,)`` float32.
        noise: ``(B,)`` float32, standard deviation in grey levels.
        noise_key: ``(B,)`` int64 under 2²⁴: which noise.
    """

    flip: NDArray[np.bool_]
    blur_wh: NDArray[np.int64]
    matrix: NDArray[np.float32]
    bias: NDArray[np.float32]
    noise: NDArray[np.float32]
    noise_key: NDArray[np.int64]


def appearance_of(draws: NDArray[np.float32], config: SamplerConfig, branch: int) -> Appearance:
    """What the samples' numbers mean for one of their crops.

    Args:
        draws: ``(B, 26)`` or more, in 0..1: each sample's own.
        config: Chances and strengths.
        branch: 0 for templates, 1 for search regions: flip and loss of colour are common to a pair, the rest is not.
    """
    augment: AugmentConfig = (config.template, config.search)[branch]
    own = draws[:, _FIRST + branch * _PER_BRANCH :][:, :_PER_BRANCH].astype(np.float64)
    matrix, bias = _colour(own[:, :6] * 2 - 1, augment.color, draws[:, _GREY] < config.grey)
    return Appearance(
        flip=draws[:, _FLIP] < config.flip,
        blur_wh=_blur_sizes(own[:, 6], own[:, 7:9], augment),
        matrix=matrix.astype(np.float32),
        bias=bias.astype(np.float32),
        noise=(own[:, 9] * augment.noise).astype(np.float32),
        noise_key=(own[:, 10] * (1 << 24)).astype(np.int64),
    )


def _blur_sizes(chance: NDArray[np.float64], drawn: NDArray[np.float64], augment: AugmentConfig) -> NDArray[np.int64]:
    half = (augment.blur_size - 1) // 2
    sizes = 1 + 2 * np.minimum((drawn * (half + 1)).astype(np.int64), half)
    return np.where(chance[:, None] < augment.blur, sizes, 1)


def _colour(
    amounts: NDArray[np.float64], strength: float, grey: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Saturation, tint, contrast (around the mean luma) and brightness, in this order, as one linear map.

    Args:
        amounts: ``(B, 6)`` in -1..1: brightness, contrast, saturation, and three channels' tint.
        strength: Largest relative change.
        grey: ``(B,)`` which crops lose their colour, and are not tinted.
    """
    brightness, contrast = 1 + strength * amounts[:, 0], 1 + strength * amounts[:, 1]
    saturation = np.where(grey, 0.0, 1 + strength * amounts[:, 2])
    tint = np.where(grey[:, None], 1.0, 1 + TINT * strength * amounts[:, 3:6])
    saturated = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * np.array(LUMA)
    return (brightness * contrast)[:, None, None] * tint[:, :, None] * saturated, brightness * (1 - contrast)
