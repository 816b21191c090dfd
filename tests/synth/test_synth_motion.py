"""Curves over time: bounded, smooth, reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackcli.synth import motion


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 200), period=st.floats(2.0, 90.0))
def test_smooth_noise_stays_between_minus_one_and_one(seed, frames, period):
    curves = motion.smooth_noise(np.random.default_rng(seed), frames, period=period, channels=3)
    assert curves.shape == (frames, 3)
    assert np.abs(curves).max() <= 1.0


def test_smooth_noise_has_no_jumps():
    curve = motion.smooth_noise(np.random.default_rng(3), 500, period=40.0)
    # Catmull-Rom between knots in -1..1 is never steeper than 2.5 per period (before division by 1.25).
    assert np.abs(np.diff(curve, axis=0)).max() <= 2.5 / 40.0


def test_a_roaming_path_keeps_its_margin():
    path = motion.roaming_path(np.random.default_rng(1), 300, size_wh=(320, 240), margin=40.0, speed=2.0)
    assert path.min(axis=0)[0] >= 40
    assert path.max(axis=0)[1] <= 200


def test_a_path_with_speed_zero_stands_still():
    path = motion.roaming_path(np.random.default_rng(1), 9, size_wh=(320, 240), margin=40.0, speed=0.0)
    assert np.ptp(path, axis=0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(8))
def test_a_path_that_leaves_is_outside_in_the_middle_and_unchanged_at_both_ends(seed):
    path = np.full((100, 2), 100.0)
    bent = motion.leave_and_return(np.random.default_rng(seed), path, size_wh=(320, 240), reach=50.0)
    outside = ((bent < -49) | (bent > np.array([320, 240]) + 49)).any(axis=1)
    assert outside[63:70].all()
    assert (bent[:52] == 100).all()
    assert (bent[81:] == 100).all()


def test_a_camera_without_motion_leaves_everything_where_it_is():
    views = motion.camera_views(np.random.default_rng(0), 5, size_wh=(320, 240), strength=0.0)
    assert views == pytest.approx(np.broadcast_to([[1.0, 0, 0], [0, 1, 0]], (5, 2, 3)))


def test_the_first_view_of_a_moving_camera_is_the_identity():
    views = motion.camera_views(np.random.default_rng(0), 5, size_wh=(320, 240), strength=1.0)
    assert views[0] == pytest.approx(np.array([[1.0, 0, 0], [0, 1, 0]]))
    assert np.abs(views[1:] - views[0]).max() > 0


def test_a_similarity_turns_and_scales_about_its_pivot_and_then_shifts():
    maps = motion.similarities(
        scales=np.array([2.0]),
        angles=np.array([np.pi / 2]),
        pivots_xy=np.array([[10.0, 20.0]]),
        shifts_xy=np.array([[1.0, 0.0]]),
    )
    mapped = motion.apply_affine(maps, np.array([[[10.0, 20.0], [11.0, 20.0]]]))
    assert mapped[0] == pytest.approx(np.array([[11.0, 20.0], [11.0, 22.0]]))


def test_composed_maps_apply_the_inner_one_first():
    double = np.array([[[2.0, 0, 0], [0, 2, 0]]])
    shift = np.array([[[1.0, 0, 5], [0, 1, 7]]])
    point = np.array([[[1.0, 1.0]]])
    assert motion.apply_affine(motion.compose_affine(shift, double), point)[0, 0].tolist() == [7.0, 9.0]
    assert motion.apply_affine(motion.compose_affine(double, shift), point)[0, 0].tolist() == [12.0, 16.0]


def test_velocity_of_a_steady_path_is_its_step_and_of_one_frame_zero():
    path = np.array([[0.0, 0.0], [3.0, 1.0], [6.0, 2.0]])
    assert motion.velocities(path).tolist() == [[3.0, 1.0]] * 3
    assert motion.velocities(path[:1]).tolist() == [[0.0, 0.0]]
