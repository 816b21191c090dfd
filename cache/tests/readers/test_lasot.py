from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.lasot_splits import TEST_SEQUENCES


def write_sequence(tree, folder, boxes, occluded, outside, *, images=None):
    for number in range(1, (images or len(boxes)) + 1):
        tree.path(f"{folder}/img/{number:08d}.jpg").touch()
    tree.text(f"{folder}/groundtruth.txt", "".join(f"{box}\n" for box in boxes))
    tree.text(f"{folder}/full_occlusion.txt", ",".join(occluded))
    tree.text(f"{folder}/out_of_view.txt", ",".join(outside))
    tree.text(f"{folder}/nlp.txt", "a white airplane")


@pytest.fixture
def lasot(tree):
    boxes = ["367,101,41,16", "0,0,0,0", "613,731,247,-11", "370,102,41,16"]
    write_sequence(tree, "airplane/airplane-1", boxes, "0100", "0001")
    write_sequence(tree, "airplane/airplane-2", ["1,2,3,4"], "0", "0")
    write_sequence(tree, "bear/bear-2", ["1,2,3,4"], "0", "0")
    write_sequence(tree, "bear/bear-10", ["1,2,3,4"], "0", "0")
    return tree


def test_the_test_split_is_the_official_280_sequences(lasot):
    names = open_dataset("lasot", lasot.root, "test").sequence_names()
    assert len(names) == len(set(names)) == 280
    assert names[:5] == ("airplane-1", "airplane-9", "airplane-13", "airplane-15", "basketball-1")
    assert len({name.rpartition("-")[0] for name in names}) == 70


def test_the_training_split_is_what_else_is_there_in_natural_order(lasot):
    write_sequence(lasot, "bear-3", ["1,2,3,4"], "0", "0")
    assert open_dataset("lasot", lasot.root, "train").sequence_names() == ("airplane-2", "bear-3", "bear-10")


def test_lists_in_the_root_come_first(lasot):
    lasot.text("testing_set.txt", "bear-10\nbear-2\n")
    assert open_dataset("lasot", lasot.root, "test").sequence_names() == ("bear-10", "bear-2")
    assert open_dataset("lasot", lasot.root, "train").sequence_names() == ("airplane-1", "airplane-2")
    lasot.text("training_set.txt", "airplane-2\n")
    assert open_dataset("lasot", lasot.root, "train").sequence_names() == ("airplane-2",)


def test_boxes_are_kept_and_hidden_targets_are_marked_and_absent(lasot):
    sequence = open_dataset("lasot", lasot.root, "test").read_sequence("airplane-1")
    assert sequence.boxes_xywh[[0, 3]].tolist() == [[367, 101, 41, 16], [370, 102, 41, 16]]
    assert np.isnan(sequence.boxes_xywh[1:3]).all()
    assert sequence.absent.tolist() == [False, True, True, True]
    assert sequence.marks.tolist() == [0, Mark.FULLY_OCCLUDED, 0, Mark.OUT_OF_VIEW]
    assert (sequence.category, sequence.attributes) == ("airplane", ())
    assert sequence.frames[0] == lasot.root / "airplane/airplane-1/img/00000001.jpg"


def test_the_flat_layout_is_read_too(tree):
    write_sequence(tree, "airplane-1", ["1,2,3,4"], "0", "0")
    assert len(open_dataset("lasot", tree.root, "test").read_sequence("airplane-1")) == 1


@pytest.mark.parametrize("folder", ["att", "annos/att"])
def test_attributes_are_read_from_the_toolkits_files(lasot, folder):
    lasot.text(f"{folder}/airplane-1.txt", "0,1,0,0,0,1,0,0,1,0,0,0,1,0\n")
    sequence = open_dataset("lasot", lasot.root, "test").read_sequence("airplane-1")
    assert sequence.attributes == ("POC", "ROT", "SV", "LR")


def test_one_image_more_than_boxes_is_left_out(lasot):
    write_sequence(lasot, "airplane/airplane-15", ["1,2,3,4"] * 2, "00", "00", images=3)
    sequence = open_dataset("lasot", lasot.root, "test").read_sequence("airplane-15")
    assert sequence.frame_numbers.tolist() == [1, 2]


@pytest.mark.parametrize("images", [1, 4])
def test_other_differences_in_number_are_errors(lasot, images):
    write_sequence(lasot, "airplane/airplane-15", ["1,2,3,4"] * 2, "00", "00", images=images)
    with pytest.raises(DatasetError, match=rf"has 2 boxes for the {images} images"):
        open_dataset("lasot", lasot.root, "test").read_sequence("airplane-15")


def test_marks_may_stand_in_lines_and_must_be_as_many_as_frames(lasot):
    lasot.text("airplane/airplane-1/full_occlusion.txt", "0\n0\n1\n0\n")
    dataset = open_dataset("lasot", lasot.root, "test")
    assert dataset.read_sequence("airplane-1").marks.tolist() == [0, 0, Mark.FULLY_OCCLUDED, Mark.OUT_OF_VIEW]
    lasot.text("airplane/airplane-1/out_of_view.txt", "0,0,0")
    with pytest.raises(DatasetError, match=r"out_of_view\.txt has 3 values for 4 frames"):
        dataset.read_sequence("airplane-1")


def test_a_test_sequence_that_was_not_unpacked_is_an_error_when_it_is_read(lasot):
    dataset = open_dataset("lasot", lasot.root, "test")
    with pytest.raises(DatasetError, match=r"sequence zebra-17 has no zebra/zebra-17/groundtruth\.txt"):
        dataset.read_sequence(TEST_SEQUENCES[TEST_SEQUENCES.index("zebra-17")])


def test_a_wrong_root_shows_the_tree(tree):
    tree.text("pictures/a.txt", "")
    with pytest.raises(DatasetError, match=r"looked for <category>/<category>-<n>/groundtruth\.txt in .*\n  ROOT/<cat"):
        open_dataset("lasot", tree.root, "train")
