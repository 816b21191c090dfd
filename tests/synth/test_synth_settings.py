"""What may be asked of a scene, and seeds."""

from __future__ import annotations

import re

import pytest

from trackcli.errors import ConfigError
from trackcli.synth.settings import SceneSettings, derive_seed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 0}, "scene setting frames is 0; expected at least 1"),
        (
            {"size_wh": (16, 240)},
            "scene setting size is 16x240; expected width and height from 32 to 4096 pixels, such as 320x240",
        ),
        ({"seed": -1}, "scene setting seed is -1; expected 0 or above"),
        ({"look_alikes": -2}, "scene setting look_alikes is -2; expected 0 or above"),
        ({"target_size": 0.9}, "scene setting target_size is 0.9; expected 0.05 to 0.5 of the shorter side"),
        ({"blur": 1.5}, "scene setting blur is 1.5; expected 0 (no blur) to 1 (shutter always open)"),
        ({"light": float("nan")}, "scene setting light is nan; expected 0 (off) to 2, where 1 is ordinary"),
        ({"fps": 0.0}, "scene setting fps is 0.0; expected a number above 0"),
        (
            {"frames": 10, "leave_and_return": True},
            "scene setting frames is 10; expected at least 20 when the target leaves and returns",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_with_what_was_expected(wrong, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        SceneSettings(**wrong)


def test_settings_as_plain_values_make_the_same_settings_again():
    settings = SceneSettings(frames=7, size_wh=(64, 48), seed=3, blur=0.25)
    values = settings.as_dict()
    assert SceneSettings(**(values | {"size_wh": tuple(values["size_wh"])})) == settings


def test_derived_seeds_differ_between_sequences_and_between_runs():
    seeds = {derive_seed(seed, index) for seed in range(20) for index in range(50)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**53
