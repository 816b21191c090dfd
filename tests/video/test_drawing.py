import numpy as np
import pytest

from trackcli.video.drawing import PALETTE_RGB, color_of, contact_sheet, draw_boxes, line_width


def grey(size_wh=(100, 80)):
    return np.full((size_wh[1], size_wh[0], 3), 128, np.uint8)


def test_a_line_covers_the_boxs_own_border_pixels():
    drawn = draw_boxes(grey(), np.array([[20.0, 30.0, 60.0, 70.0]]))
    colored = (drawn == PALETTE_RGB[0]).all(axis=2)
    rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(axis=0))
    assert (columns[0], columns[-1]) == (20, 59)
    assert (rows[0], rows[-1]) == (30, 69)
    assert (drawn[45, 40] == 128).all(), "the inside stays as it is"


def test_the_given_image_is_not_changed():
    image = grey()
    drawn = draw_boxes(image, np.array([[20.0, 30.0, 60.0, 70.0]]), ["a"], [0.5])
    assert (image == 128).all()
    assert drawn.shape == image.shape


def test_every_target_has_its_own_colour():
    boxes = np.array([[10.0, 10.0, 30.0, 30.0], [50.0, 40.0, 90.0, 70.0]])
    drawn = draw_boxes(grey(), boxes)
    assert tuple(drawn[20, 10]) == color_of(0)
    assert tuple(drawn[50, 50]) == color_of(1)
    assert len(set(PALETTE_RGB)) == len(PALETTE_RGB)
    assert color_of(len(PALETTE_RGB)) == color_of(0)


@pytest.mark.parametrize(
    "box", [[-50, -50, 200, 200], [95, 0, 300, 10], [-1e12, 0, 1e12, 5], [90, 70, 90.2, 70.1], [60, 60, 20, 20]]
)
def test_boxes_over_the_border_tiny_or_absurd_are_drawn_without_complaint(box):
    draw_boxes(grey(), np.array([box], dtype=float), ["a long name that does not fit"], [0.123])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_box_that_is_not_finite_is_left_out(value):
    assert (draw_boxes(grey(), np.array([[value, 1.0, 20.0, 20.0]]), ["a"]) == 128).all()


@pytest.mark.parametrize("top", [40.0, 0.0])
def test_a_label_stands_above_the_box_or_inside_at_the_top(top):
    drawn = draw_boxes(grey(), np.array([[30.0, top, 90.0, 79.0]]), ["cat"], [0.5])
    plain = draw_boxes(grey(), np.array([[30.0, top, 90.0, 79.0]]))
    rows = np.flatnonzero((drawn != plain).any(axis=(1, 2)))
    assert len(rows) > 8
    assert (rows[-1] < top) if top else (rows[0] <= 2)


def test_a_name_in_another_script_becomes_question_marks():
    box = np.array([[30.0, 40.0, 90.0, 79.0]])
    assert (draw_boxes(grey(), box, ["кот"]) == draw_boxes(grey(), box, ["???"])).all()


def test_lines_grow_with_the_image():
    assert [line_width(grey(size)) for size in ((64, 48), (640, 360), (1920, 1080), (3840, 2160))] == [1, 2, 5, 9]


def test_a_contact_sheet_goes_row_by_row_and_leaves_the_rest_black():
    images = [np.full((8, 10, 3), value, np.uint8) for value in (50, 100, 150)]
    sheet = contact_sheet(images, 2)
    assert sheet.shape == (16, 20, 3)
    assert [sheet[y, x, 0] for y, x in ((4, 5), (4, 15), (12, 5), (12, 15))] == [50, 100, 150, 0]


def test_a_contact_sheet_scales_down_and_fits_other_sizes_in():
    sheet = contact_sheet([grey((960, 540)), grey((100, 300))], 2)
    assert sheet.shape == (270, 960, 3)
    assert (sheet[100, 490] == 0).all()
    assert (sheet[100, 720] == 128).all()


def test_captions_stand_under_the_images():
    sheet = contact_sheet([grey(), grey()], 2, ["frame 1"])
    assert sheet.shape[0] > 80
    assert sheet[80:, :100].max() > 200
    assert sheet[80:, 100:].max() == 0


@pytest.mark.parametrize(("images", "columns"), [([], 3), ([grey()], 0)])
def test_a_sheet_of_nothing_is_refused(images, columns):
    with pytest.raises(ValueError, match="needs images and columns"):
        contact_sheet(images, columns)
