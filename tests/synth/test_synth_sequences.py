"""Whole sequences: reproducible, and their truth agrees with the pictures."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from trackcli.synth.rendering import Renderer
from trackcli.synth.scenes import plan_scene
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings

SMALL = SceneSettings(frames=24, size_wh=(96, 72), seed=4)
LEAVING = replace(SMALL, frames=40, leave_and_return=True)

HASH_SCRIPT = """
import hashlib
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
sequence = make_sequence(SceneSettings(frames=24, size_wh=(96, 72), seed=4))
digest = hashlib.sha256(sequence.boxes_xywh.tobytes())
for image in sequence.frames:
    digest.update(image.tobytes())
print(digest.hexdigest())
"""


def digest_of(sequence):
    digest = hashlib.sha256(sequence.boxes_xywh.tobytes())
    for image in sequence.frames:
        digest.update(image.tobytes())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_here_and_in_a_fresh_process():
    here = digest_of(make_sequence(SMALL))
    fresh = subprocess.run([sys.executable, "-c", HASH_SCRIPT], capture_output=True, text=True, check=True)
    assert digest_of(make_sequence(SMALL)) == here
    assert fresh.stdout.strip() == here


def test_another_seed_gives_another_sequence():
    assert digest_of(make_sequence(replace(SMALL, seed=5))) != digest_of(make_sequence(SMALL))


def test_frames_are_rgb_bytes_of_the_asked_size_and_number():
    sequence = make_sequence(SMALL)
    images = list(sequence.frames)
    assert len(sequence.frames) == len(images) == 24
    assert {(image.shape, str(image.dtype)) for image in images} == {((72, 96, 3), "uint8")}
    assert sequence.boxes_xywh.shape == (24, 4)
    assert sequence.visible.shape == sequence.absent.shape == (24,)


def test_frames_can_be_painted_in_any_order():
    sequence = make_sequence(SMALL)
    images = list(sequence.frames)
    assert (sequence.frames[7] == images[7]).all()
    assert (sequence.frames[-1] == images[23]).all()
    with pytest.raises(IndexError, match=r"^frame 24 of a sequence of 24$"):
        sequence.frames[24]


def test_a_sequence_of_one_frame_works():
    sequence = make_sequence(replace(SMALL, frames=1))
    assert sequence.frames[0].shape == (72, 96, 3)
    assert not sequence.absent[0]


@pytest.mark.parametrize("seed", range(12))
def test_the_first_frame_shows_the_whole_target(seed):
    sequence = make_sequence(replace(SMALL, seed=seed, look_alikes=3, occluders=2))
    assert sequence.visible[0] > 0.98
    x, y, w, h = sequence.boxes_xywh[0]
    assert x >= 0 and y >= 0 and x + w <= 96 and y + h <= 72
    assert min(w, h) > 5


@pytest.mark.parametrize("seed", range(12))
def test_every_occluder_hides_part_of_the_target_at_some_moment(seed):
    calm = replace(SMALL, seed=seed, frames=60, look_alikes=0, occluders=1)
    assert make_sequence(calm).visible.min() < 0.9
    free = make_sequence(replace(calm, occluders=0))
    assert free.visible[free.boxes_xywh[:, :2].min(axis=1) > 1].min() > 0.9


def test_a_leaving_target_is_absent_in_the_second_half_and_comes_back():
    sequence = make_sequence(LEAVING)
    gone = np.flatnonzero(sequence.absent)
    assert 20 <= gone[0] < gone[-1] < 36
    assert (np.diff(gone) == 1).all()
    assert np.isnan(sequence.boxes_xywh[gone]).all()
    assert np.isfinite(sequence.boxes_xywh[~sequence.absent]).all()
    assert (sequence.visible[gone] == 0).all()
    assert not sequence.absent[-4:].any()


@pytest.mark.parametrize("seed", range(6))
def test_boxes_lie_inside_the_image(seed):
    sequence = make_sequence(replace(LEAVING, seed=seed))
    x, y, w, h = sequence.boxes_xywh[~sequence.absent].T
    assert (x >= 0).all() and (y >= 0).all()
    assert (x + w <= 96).all() and (y + h <= 72).all()
    assert (w >= 1).all() and (h >= 1).all()


def test_adding_look_alikes_and_occluders_leaves_the_target_as_it_was():
    plain = make_sequence(replace(SMALL, look_alikes=0, occluders=0))
    crowded = make_sequence(replace(SMALL, look_alikes=3, occluders=2))
    assert (plain.boxes_xywh == crowded.boxes_xywh).all()


def test_the_box_bounds_the_pixels_that_the_target_changes():
    settings = replace(SMALL, look_alikes=0, occluders=0, noise=0.0, blur=0.0, light=0.0)
    scene = plan_scene(settings)
    far_away = replace(scene.target, outlines_xy=scene.target.outlines_xy + 1e4)
    boxes = make_sequence(settings).boxes_xywh
    for frame in (0, 11, 23):
        with_target = Renderer(scene).paint(frame).astype(int)
        without = Renderer(replace(scene, target=far_away)).paint(frame).astype(int)
        # The shadow only darkens by up to 35 %; the surface differs by far more in some channel.
        changed = np.abs(with_target - without).max(axis=2) > 0.4 * without.max(axis=2) + 8
        rows, columns = np.nonzero(changed)
        x, y, w, h = boxes[frame]
        painted = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(painted - [x, y, x + w, y + h]).max() < 4.5
        assert columns.min() >= x - 2 and rows.min() >= y - 2


def test_everything_switched_off_gives_a_still_picture():
    still = replace(
        SMALL, occluders=0, speed=0, scale_change=0, rotation=0, deform=0, camera_motion=0, light=0, noise=0
    )
    sequence = make_sequence(still)
    assert (sequence.frames[0] == sequence.frames[23]).all()
    assert np.ptp(sequence.boxes_xywh, axis=0) == pytest.approx(np.zeros(4))


def test_noise_and_light_change_a_picture_of_which_nothing_moves():
    still = replace(SMALL, occluders=0, speed=0, scale_change=0, rotation=0, deform=0, camera_motion=0, light=0)
    sequence = make_sequence(still)
    difference = sequence.frames[0].astype(int) - sequence.frames[23]
    # Two frames of sensor noise with a deviation of 3 grey levels: 3 * sqrt(2), less what clipping takes.
    assert 3.0 < difference.std() < 4.6
    brighter = make_sequence(replace(still, noise=0, light=2))
    assert abs(float(brighter.frames[0].mean()) - float(brighter.frames[23].mean())) > 1
