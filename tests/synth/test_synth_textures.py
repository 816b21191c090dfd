"""Surfaces: every kind paints, reproducibly, at any size."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from trackcli.synth.textures import KINDS, Texture, colourise, fractal_noise, hsv_to_rgb, similar_texture

GREYS = np.repeat(np.linspace(20, 230, 4)[:, None], 3, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [32, 75])
def test_every_kind_paints_a_textured_rgb_square(kind, side):
    texture = Texture(kind, GREYS, frequency=3.0, angle=0.4, seed=5)
    image = texture.paint(side)
    assert image.shape == (side, side, 3)
    assert image.dtype == np.uint8
    assert image.std() > 10
    assert (image == texture.paint(side)).all()


def test_another_seed_paints_another_pattern():
    one, other = (Texture("noise", GREYS, 3.0, 0.0, seed).paint(64) for seed in (1, 2))
    assert np.abs(one.astype(int) - other).mean() > 5


def test_a_similar_texture_keeps_the_kind_and_nearly_the_colours():
    texture = Texture("stripes", GREYS, 3.0, 0.4, seed=5)
    similar = similar_texture(texture, np.random.default_rng(0))
    assert similar.kind == "stripes"
    assert 0 < np.abs(similar.palette - texture.palette).max() <= 14


def test_colours_are_interpolated_along_the_palette():
    palette = np.array([[0.0, 0, 0], [100.0, 0, 0], [100.0, 200, 0]])
    field = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert colourise(field, palette)[0].tolist() == [[0, 0, 0], [100, 1, 0], [100, 200, 0]]


def test_fractal_noise_fills_the_range_from_zero_to_one():
    field = fractal_noise(np.random.default_rng(0), 50, cells=4, octaves=3)
    assert (field.min(), field.max()) == (0.0, 1.0)


def test_hsv_agrees_with_the_standard_library():
    values = np.random.default_rng(0).random((50, 3))
    expected = [colorsys.hsv_to_rgb(*row) for row in values]
    assert hsv_to_rgb(*values.T) == pytest.approx(np.array(expected))
