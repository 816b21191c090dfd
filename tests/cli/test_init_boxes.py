import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.cli.boxes import check_boxes, parse_inits
from trackcli.errors import InputDataError, UsageError


def boxes_of(*values, note=pytest.fail):
    return [(box.name, box.box_xywh) for box in parse_inits(values, note)]


@pytest.mark.parametrize(
    "text", ["10,20,30,40", "10 20 30 40", " 10, 20,\t30 ,40 ", "10;20;30;40", "1e1,20.0,+30,40", "10\t20\t30\t40"]
)
def test_a_box_may_be_written_with_commas_or_blanks(text):
    assert boxes_of(text) == [("1", (10.0, 20.0, 30.0, 40.0))]


def test_fractions_and_corners_outside_are_kept():
    assert boxes_of("-10.5,0.25,30.125,40") == [("1", (-10.5, 0.25, 30.125, 40.0))]


def test_targets_have_names_or_numbers():
    assert [name for name, _ in boxes_of("left eye=1,2,3,4", "5,6,7,8", "кот=5,6,7,8")] == ["left eye", "2", "кот"]


@pytest.mark.parametrize("line", ["10,20,30,40", "10\t20\t30\t40", "10 20 30 40", "\ufeff10,20,30,40"])
def test_a_file_gives_its_first_line(tmp_path, line):
    path = tmp_path / "groundtruth.txt"
    path.write_text(f"{line}\n1,1,1,1\n", encoding="utf-8")
    assert boxes_of(str(path)) == [("1", (10.0, 20.0, 30.0, 40.0))]
    assert boxes_of(f"cat={path}") == [("cat", (10.0, 20.0, 30.0, 40.0))]


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "a=b.txt"
    path.write_text("1,2,3,4\n")
    assert boxes_of(str(path)) == [("1", (1.0, 2.0, 3.0, 4.0))]


def test_a_polygon_becomes_its_bounding_box_with_a_note(tmp_path):
    path = tmp_path / "groundtruth.txt"
    path.write_text("10,5,20.5,0,30,10,12,18\n")
    notes = []
    assert boxes_of(str(path), note=notes.append) == [("1", (10.0, 0.0, 20.0, 18.0))]
    assert notes == [f"line 1 of '{path}' is a polygon; its bounding box is used"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"^no target is given; add its box in the first frame as --init x,y,w,h in pixels, for example --init 1"),
        (["10,20,30"], r"^--init 10,20,30 has 3 numbers; expected four, x,y,w,h in pixels, for example --init 120,8"),
        (["7"], r"^--init 7 has 1 number; expected four"),
        (["1,2,3,4,5"], r"has 5 numbers"),
        (["10,,20,30"], r"^--init 10,,20,30 is neither a box nor a file that exists; expected x,y,w,h in pixels"),
        (["nowhere.txt"], r"^--init nowhere.txt is neither a box nor a file"),
        ([""], r"neither a box nor a file"),
        (["=1,2,3,4"], r"has no usable name; expected NAME=x,y,w,h"),
        (["a\x1b[31m=1,2,3,4"], r"has no usable name"),
        (["a=1,2,3,4", "a=5,6,7,8"], r"^two targets are called 'a'; expected different names"),
        (["2=1,2,3,4", "5,6,7,8"], r"^two targets are called '2'"),
    ],
)
def test_what_is_no_box_is_a_usage_error_in_one_line(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        boxes_of(*values)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10,20,0,40", r"^--init 10,20,0,40 has zero width; expected x,y,w,h with w and h above 0$"),
        ("10,20,30,0", r"has zero height"),
        ("10,20,-5,40", r"has negative width"),
        ("nan,20,30,40", r"^--init nan,20,30,40 has a number that is not finite; expected x,y,w,h in pixels"),
        ("10,20,inf,40", r"not finite"),
    ],
)
def test_a_box_without_size_or_not_finite_is_an_input_error(value, message):
    with pytest.raises(InputDataError, match=message):
        boxes_of(value)


@pytest.mark.parametrize("text", ["", "\n1,2,3,4\n", "x,y,w,h\n", "1_0,2,3,4\n", "\x00\xff" * 5000])
def test_a_file_without_a_box_in_its_first_line_says_so(tmp_path, text):
    path = tmp_path / "groundtruth.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputDataError, match=r"^line 1 of '.*' holds no box; expected x,y,w,h"):
        boxes_of(str(path))


def test_a_file_whose_first_target_is_absent_says_so(tmp_path):
    path = tmp_path / "groundtruth.txt"
    path.write_text("nan,nan,nan,nan\n1,2,3,4\n")
    with pytest.raises(InputDataError, match=r"^line 1 of '.*' has a number that is not finite"):
        boxes_of(str(path))


def check(text, size_wh=(640, 480)):
    warnings = []
    check_boxes(parse_inits([text], pytest.fail), size_wh, warnings.append)
    return warnings


@pytest.mark.parametrize("text", ["640,0,10,10", "0,480,10,10", "-10,0,10,10", "0,-10,10,10", "9999,9999,1,1"])
def test_a_box_outside_the_image_is_refused_with_the_images_size(text):
    with pytest.raises(
        InputDataError, match=rf"^--init {text} lies outside the image, which is 640x480 pixels; expect"
    ):
        check(text)


@pytest.mark.parametrize("text", ["639,479,10,10", "-9.5,0,10,10", "0,0,640,480", "-50,-50,1000,1000", "10,20,30,40"])
def test_a_box_that_overlaps_the_image_is_accepted(text):
    assert check(text) == []


def test_probable_corners_get_a_hint():
    assert check("300,200,640,400.5") == [
        "--init 300,200,640,400.5 reaches out of the 640x480 image; if these are two corners (x1,y1,x2,y2), "
        "give --init 300,200,340,200.5"
    ]
    assert check("300,200,310,220") == [], "this fits as it is"


@given(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.01, 1e4), st.floats(0.01, 1e4)))
def test_any_box_reads_back(box):
    assert boxes_of(",".join(map(repr, box))) == [("1", box)]


@pytest.mark.parametrize("text", ["-1e308,0,1.5e308,10", "0,0,1e7,5", "0,-2000000,10,2000010"])
def test_numbers_that_no_image_has_pixels_for_are_refused(text):
    with pytest.raises(InputDataError, match="has a number beyond 1000000; expected x,y,w,h in pixels"):
        boxes_of(text)
