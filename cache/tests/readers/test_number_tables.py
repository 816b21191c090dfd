from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.vot import regions_of
from trackcli_cache.tables import parse_numbers, read_boxes, read_flags

coordinates = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(coordinates, min_size=1, max_size=8), st.sampled_from([",", ", ", "\t", " ", "  ", ";", " ; ", " ,\t"]))
def test_numbers_survive_any_separator_bit_by_bit(numbers, separator):
    assert parse_numbers(separator.join(map(repr, numbers))) == numbers


@given(st.lists(coordinates, min_size=8, max_size=8))
def test_the_upright_box_holds_all_corners_and_touches_each_side(numbers):
    polygons_xy, boxes_xywh = regions_of([numbers])
    corners, (x, y, width, height) = polygons_xy[0], boxes_xywh[0]
    if np.ptp(corners, axis=0).min() <= 0:
        assert math.isnan(x)
        return
    assert (x, y) == (corners[:, 0].min(), corners[:, 1].min())
    assert (x + width, y + height) == pytest.approx((corners[:, 0].max(), corners[:, 1].max()), abs=1e-9)


@pytest.mark.parametrize(
    "line",
    ["1,2,3", "1,2,3,4,5", "1,2,,4", "1,2,3,4,", "a,b,c,d", "1.2.3,4,5,6", "", "1e99,2,3,4", "1_0,2,3,4", "١,2,3,4"],
)
def test_what_is_no_box_is_refused_with_file_and_line(tmp_path, line):
    path = tmp_path / "boxes.txt"
    path.write_text(f"1,2,3,4\n{line}\n5,6,7,8\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"boxes\.txt, line 2: .*expected x,y,w,h in pixels"):
        read_boxes(path)


def test_byte_order_marks_windows_line_ends_and_blank_lines_at_the_end_are_fine(tmp_path):
    path = tmp_path / "boxes.txt"
    path.write_bytes(b"\xef\xbb\xbf1,2,3,4\r\n5,6,7,8\r\n\r\n")
    assert read_boxes(path).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    (tmp_path / "picture.txt").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DatasetError, match=r"picture\.txt is not a text file"):
        read_boxes(tmp_path / "picture.txt")
    with pytest.raises(DatasetError, match=r"gone\.txt cannot be read: No such file"):
        read_boxes(tmp_path / "gone.txt")


@pytest.mark.parametrize("text", ["0,1,0", "0\n1\n0\n", "0 1\n0", "0.0,1.0,0.0"])
def test_flags_stand_in_one_line_or_in_many(tmp_path, text):
    path = tmp_path / "flags.txt"
    path.write_text(text)
    assert read_flags(path, 3).tolist() == [0, 1, 0]
