from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError


def line(frame, left=100, lost=0, occluded=0):
    return f'0 {left} 200 {left + 40} 230 {frame} {lost} {occluded} 1 "ball"'


def write_sequence(tree, name, rate, lines, images):
    for number in range(1, images + 1):
        tree.path(f"{name}/{rate}/{name}/{number:05d}.jpg").touch()
    tree.text(f"{name}/{rate}/{name}.txt", "\n".join(lines) + "\n")


def read(tree, rate="30", name="pingpong_2"):
    return open_dataset("nfs", tree.root, rate).read_sequence(name)


def test_corners_become_boxes_and_states_become_marks(tree):
    lines = [line(0), line(1, left=-3), line(2, lost=1), line(3, occluded=1)]
    write_sequence(tree, "pingpong_2", 240, lines, images=4)
    sequence = read(tree, "240")
    assert sequence.boxes_xywh[0].tolist() == [100, 200, 40, 30]
    assert sequence.boxes_xywh[1].tolist() == [-3, 200, 40, 30]
    assert sequence.absent.tolist() == [False, False, True, False]
    assert sequence.marks.tolist() == [0, 0, Mark.OUT_OF_VIEW, Mark.OCCLUDED]
    assert sequence.category == "ball"


def test_frame_rates_are_splits_and_30_is_the_first(tree):
    write_sequence(tree, "pingpong_10", 30, [line(0)], images=1)
    write_sequence(tree, "pingpong_2", 30, [line(0)], images=1)
    write_sequence(tree, "pingpong_2", 240, [line(0), line(1)], images=2)
    assert open_dataset("nfs", tree.root).sequence_names() == ("pingpong_2", "pingpong_10")
    assert open_dataset("nfs", tree.root, "240").sequence_names() == ("pingpong_2",)


def test_eight_lines_for_each_image_are_thinned_out(tree):
    write_sequence(tree, "pingpong_2", 30, [line(frame, left=frame) for frame in range(24)], images=3)
    assert read(tree).boxes_xywh[:, 0].tolist() == [0, 8, 16]


@pytest.mark.parametrize("images", [9, 11])
def test_one_image_more_or_less_than_lines_is_let_through(tree, images):
    write_sequence(tree, "pingpong_2", 30, [line(frame) for frame in range(10)], images)
    assert len(read(tree)) == min(images, 10)


def test_other_differences_in_number_are_errors(tree):
    write_sequence(tree, "pingpong_2", 30, [line(frame) for frame in range(10)], images=12)
    with pytest.raises(DatasetError, match=r"pingpong_2\.txt has 10 boxes for the 12 images"):
        read(tree)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('0 1 2 3 4 5 0 0 "ball"', r"line 2: .* is not a box; expected track xmin ymin xmax ymax frame lost"),
        ('0 1 2 3 4 x 0 0 1 "ball"', r"line 2: .* is not a box"),
        ('0 1 2 inf 4 1 0 0 1 "ball"', r"line 2: .* infinite or absurd number"),
        (line(0), r"line 2: frame numbers do not grow; expected one target"),
    ],
)
def test_malformed_lines_are_named(tree, bad, message):
    write_sequence(tree, "pingpong_2", 30, [line(0), bad], images=2)
    with pytest.raises(DatasetError, match=message):
        read(tree)


def test_a_box_without_area_is_none(tree):
    write_sequence(tree, "pingpong_2", 30, [line(0), '0 5 5 5 9 1 0 0 1 "ball"'], images=2)
    assert np.isnan(read(tree).boxes_xywh[1]).all()


def test_a_wrong_root_shows_the_tree(tree):
    write_sequence(tree, "pingpong_2", 30, [line(0)], images=1)
    with pytest.raises(
        DatasetError, match=r"looked for <sequence>/240/ in .*it holds pingpong_2.*\n  ROOT/<sequence>/30"
    ):
        open_dataset("nfs", tree.root, "240")
