from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.settings import TierSettings
from trackcli_cache.windows import SquareWindow, context_side, cut_crop, mean_colour, tier_window

TIERS = TierSettings()
coordinates = st.floats(-300, 900, allow_nan=False)
lengths = st.floats(4, 1500, allow_nan=False)


def test_the_default_limits_give_crops_of_144_and_432_pixels():
    assert (TIERS.exemplar_crop_side, TIERS.search_crop_side) == (144, 432)


def test_settings_survive_being_written_and_read():
    settings_read = TierSettings.from_dict(TierSettings(search_shift=32).as_dict())
    assert settings_read == TierSettings(search_shift=32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jpeg_quality": 101}, "cache setting jpeg_quality is 101; expected 1 to 100"),
        ({"search_size": 10**9}, "at most 4096 are allowed"),
        ({"search_scale": float("nan")}, "expected a finite number"),
        ({"template_size": 12.5}, "expected a whole number"),
        ({"template_size": "127"}, "expected a number"),
        ({"colour": 1}, "colour missing or unknown"),
    ],
)
def test_settings_from_elsewhere_that_make_no_sense_are_refused(change, message):
    with pytest.raises(CacheFormatError, match=message):
        TierSettings.from_dict(TIERS.as_dict() | change)


def test_context_of_a_square_target_is_twice_its_side():
    # p = 0.5 * (40 + 40) = 40, so s_z = sqrt(80 * 80).
    assert context_side(40, 40, 0.5) == 80


def test_context_of_an_oblong_target_by_hand():
    # p = 0.5 * (30 + 10) = 20; (30 + 20) * (10 + 20) = 1500.
    assert context_side(30, 10, 0.5) == pytest.approx(math.sqrt(1500))


def test_a_window_is_centred_on_the_box_and_scaled_to_its_context():
    # s_z = 254, so the exemplar window is 144 / 127 * 254 = 288 wide: 100 + 63.5 - 144 = 19.5, rounded to 20.
    assert tier_window((100, 100, 227, 227), 144, TIERS) == SquareWindow(20, 20, 288)


@given(coordinates, coordinates, lengths, lengths, st.sampled_from([144, 432]))
def test_a_window_is_within_a_percent_and_half_a_pixel_of_the_ideal_one(x, y, width, height, side):
    window = tier_window((x, y, x + width, y + height), side, TIERS)
    ideal = side / 127 * context_side(width, height, 0.5)
    assert abs(window.side - ideal) <= 0.5 + 0.011 * ideal
    assert abs(window.x + window.side / 2 - (x + width / 2)) <= 0.51
    assert abs(window.y + window.side / 2 - (y + height / 2)) <= 0.51


@given(coordinates, coordinates, lengths, lengths, st.sampled_from([144, 432]))
def test_a_box_mapped_to_the_crop_and_back_is_the_same_to_a_thousandth_of_a_pixel(x, y, width, height, side):
    box = np.array([[x, y, x + width, y + height]])
    window = tier_window((x, y, x + width, y + height), side, TIERS)
    back = window.to_source(window.boxes_to_crop(box, side).reshape(-1, 2, 2), side).reshape(-1, 4)
    assert np.abs(back - box).max() < 1e-3


def test_the_corners_of_a_window_are_the_corners_of_its_crop():
    window = SquareWindow(-5, 7, 20)
    assert window.boxes_to_crop(np.array([[-5.0, 7.0, 15.0, 27.0]]), 40).tolist() == [[0, 0, 40, 40]]


def test_a_crop_at_source_scale_is_the_source_itself_with_the_border_filled():
    image = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    crop = cut_crop(image, SquareWindow(-3, -2, 16), 16, (7, 8, 9))
    assert np.array_equal(crop[2:6, 3:8], image)
    crop[2:6, 3:8] = (7, 8, 9)
    assert np.all(crop == (7, 8, 9))


def test_a_window_beside_the_image_is_all_fill():
    image = np.zeros((4, 5, 3), np.uint8)
    assert np.all(cut_crop(image, SquareWindow(100, 100, 8), 16, (1, 2, 3)) == (1, 2, 3))


@settings(deadline=None, max_examples=25)
@given(st.integers(-40, 60), st.integers(-40, 40), st.floats(4, 300), st.floats(4, 300), st.booleans())
def test_cutting_only_the_visible_part_equals_padding_the_whole_window(x, y, width, height, search):
    side = 432 if search else 144
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    window = tier_window((x, y, x + width, y + height), side, TIERS)
    fill = mean_colour(image)
    padded = np.full((window.side, window.side, 3), fill, np.uint8)
    left, top, right, bottom = (
        max(window.x, 0),
        max(window.y, 0),
        min(window.x + window.side, 64),
        min(window.y + window.side, 48),
    )
    if left < right and top < bottom:
        visible = image[top:bottom, left:right]
        padded[top - window.y : bottom - window.y, left - window.x : right - window.x] = visible
    while len(padded) >= 2 * side:
        padded = cv2.resize(padded, (len(padded) // 2,) * 2, interpolation=cv2.INTER_AREA)
    expected = cv2.resize(padded, (side, side), interpolation=cv2.INTER_LINEAR)
    difference = np.abs(cut_crop(image, window, side, fill).astype(int) - expected)
    assert difference.max() <= 1


def test_a_label_sits_on_the_pixels_it_names():
    image = np.zeros((120, 160, 3), np.uint8)
    image[40:60, 70:110] = 255
    box = (70.0, 40.0, 110.0, 60.0)
    window = tier_window(box, 432, TIERS)
    bright = cut_crop(image, window, 432, (0, 0, 0))[:, :, 0] / 255.0
    left, top, right, bottom = window.boxes_to_crop(np.array([box]), 432)[0]
    centres = np.arange(432) + 0.5
    assert (bright.sum(0) * centres).sum() / bright.sum() == pytest.approx((left + right) / 2, abs=0.05)
    assert (bright.sum(1) * centres).sum() / bright.sum() == pytest.approx((top + bottom) / 2, abs=0.05)
    assert bright.sum() == pytest.approx((right - left) * (bottom - top), rel=0.01)
