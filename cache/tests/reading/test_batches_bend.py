"""Bent objects: points, pixels and boxes move together, and without bending nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackcli_cache.batches_bend import LARGEST_BEND, Bend, random_bend, warp_bent
from trackcli_cache.batches_paste import Sprite, paste
from trackcli_cache.batches_views import warp

BOX = np.array((30.0, 40.0, 110.0, 90.0))
UNMOVED = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def a_bend(seed: int, strength: float = LARGEST_BEND) -> Bend:
    bend = random_bend(np.random.default_rng(seed), BOX, strength)
    assert bend is not None
    return bend


def test_without_strength_there_is_no_bend_and_no_number_is_drawn() -> None:
    rng = np.random.default_rng(5)
    assert random_bend(rng, BOX, 0.0) is None
    assert rng.random() == np.random.default_rng(5).random()


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), strength=st.floats(0.01, LARGEST_BEND))
def test_a_bent_point_was_where_its_displacement_says(seed: int, strength: float) -> None:
    bend = a_bend(seed, strength)
    before = np.random.default_rng(seed).uniform(0, 150, (50, 2))
    after = bend.points(before)
    np.testing.assert_allclose(after + bend.displacement(after), before, atol=0.05)
    assert np.abs(after - before).max() <= strength * np.sqrt(80 * 50) + 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_the_strongest_bend_never_folds_the_object(seed: int) -> None:
    """q → q + d(q) keeps the order of points along any line: its Jacobian's determinant stays positive."""
    step, places = 1e-4, np.random.default_rng(seed).uniform(0, 150, (2000, 2))
    bend = a_bend(seed)
    by_x, by_y = (
        (bend.displacement(places + moved) - bend.displacement(places)) / step for moved in ((step, 0), (0, step))
    )
    determinant = (1 + by_x[:, 0]) * (1 + by_y[:, 1]) - by_x[:, 1] * by_y[:, 0]
    assert determinant.min() > 0


def test_a_hand_computed_displacement() -> None:
    """A quarter of a wave along x from the centre: the displacement along y has its largest value."""
    cycles = np.array(((0.0, 0.0), (0.5, 0.0)))
    bend = Bend(np.array((10.0, 20.0)), 40.0, np.array((3.0, 2.0)), cycles, np.array((np.pi / 2, 0.0)))
    places = np.array(((10.0, 7.0), (30.0, 7.0)))
    np.testing.assert_allclose(bend.displacement(places), ((3.0, 0.0), (3.0, 2.0)), atol=1e-12)


def test_displacements_of_a_square_are_those_of_its_pixels_centres() -> None:
    bend = a_bend(3)
    rows, columns = np.mgrid[0:64, 0:64]
    centers = np.stack((columns.ravel(), rows.ravel()), axis=1) + 0.5
    expected = bend.displacement(centers).T.reshape(2, 64, 64)
    np.testing.assert_allclose(bend.displacements(64), expected, atol=1e-4)


def test_a_bend_of_nothing_shows_what_the_affine_map_shows() -> None:
    ramp = np.add.outer(np.arange(100), np.arange(100))
    image = np.stack((ramp, ramp, 198 - ramp), axis=2).astype(np.uint8)
    to_view = np.array([[0.9, 0.2, 10.0], [-0.2, 1.1, 15.0]])
    bend = a_bend(1)._replace(amplitudes_xy=np.zeros(2))
    difference = warp_bent(image, to_view, 120, bend).astype(int) - warp(image, to_view, 120, fill=(0, 0, 0))
    inside = np.s_[45:80, 45:80]
    assert np.abs(difference[inside]).max() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_the_box_of_a_bent_object_encloses_its_pixels(seed: int) -> None:
    turns = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    disk = np.stack((70 + 40 * np.cos(turns), 65 + 25 * np.sin(turns)), axis=1).astype(np.float32)
    sprite = Sprite(np.full((150, 150, 3), 255, np.uint8), (disk,))
    picture, box = paste(np.zeros((150, 150, 3), np.uint8), sprite, UNMOVED, a_bend(seed))
    rows, columns = np.nonzero(picture[..., 0] > 127)
    shown = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(box, shown, atol=1.5)  # whole pixels, and a soft edge
    plain = paste(np.zeros((150, 150, 3), np.uint8), sprite, UNMOVED)[1]
    assert np.abs(box - plain).max() > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_a_mark_on_the_object_lies_where_its_point_went(seed: int) -> None:
    bend = a_bend(seed)
    image = np.zeros((150, 150, 3), np.uint8)
    image[58:63, 78:83] = 255
    shown = warp_bent(image, UNMOVED, 150, bend)[..., 0].astype(float)
    rows, columns = np.mgrid[0:150, 0:150] + 0.5
    center = ((shown * columns).sum() / shown.sum(), (shown * rows).sum() / shown.sum())
    np.testing.assert_allclose(center, bend.points(np.array(((80.5, 60.5),)))[0], atol=0.5)
