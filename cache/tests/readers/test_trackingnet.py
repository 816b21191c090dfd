from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import DatasetError


def write_sequence(tree, chunk, name, boxes, images):
    tree.text(f"{chunk}/anno/{name}.txt", "".join(f"{box}\n" for box in boxes))
    for number in range(images):
        tree.path(f"{chunk}/frames/{name}/{number}.jpg").touch()


@pytest.fixture
def trackingnet(tree):
    write_sequence(
        tree, "TRAIN_0", "-3TIfnTSM6c_2", [" 1.00,102.00,245.00,174.00"] + ["-4.07,96.34,236.30,172.80"] * 11, 12
    )
    write_sequence(tree, "TRAIN_0", "A63BoLTUNAM_0", ["1,2,3,4"], 1)
    write_sequence(tree, "TRAIN_11", "0abc_0", ["1,2,3,4"] * 2, 2)
    write_sequence(tree, "TEST", "0-6LB4FqxoE_0", ["10,20,30,40"], 3)
    return tree


def test_training_takes_all_chunks_or_one_and_leaves_out_the_known_bad(trackingnet):
    assert open_dataset("trackingnet", trackingnet.root).sequence_names() == ("-3TIfnTSM6c_2", "0abc_0")
    assert open_dataset("trackingnet", trackingnet.root, "train-11").sequence_names() == ("0abc_0",)


def test_frames_are_numbered_from_0_in_natural_order(trackingnet):
    sequence = open_dataset("trackingnet", trackingnet.root).read_sequence("-3TIfnTSM6c_2")
    assert [path.name for path in sequence.frames] == [f"{number}.jpg" for number in range(12)]
    assert sequence.frame_numbers.tolist() == list(range(12))
    assert sequence.boxes_xywh[:2].tolist() == [[1, 102, 245, 174], [-4.07, 96.34, 236.3, 172.8]]
    assert not sequence.absent.any()


def test_the_truth_of_the_test_set_is_hidden(trackingnet):
    dataset = open_dataset("trackingnet", trackingnet.root, "test")
    sequence = dataset.read_sequence("0-6LB4FqxoE_0")
    assert sequence.truth_hidden
    assert sequence.boxes_xywh[0].tolist() == [10, 20, 30, 40]
    assert np.isnan(sequence.boxes_xywh[1:]).all()
    assert not sequence.absent.any()
    assert [image.frame_number for image in dataset.images()] == [0]


def test_a_training_sequence_needs_a_box_for_each_image(trackingnet):
    write_sequence(trackingnet, "TRAIN_1", "short_0", ["1,2,3,4"], 5)
    with pytest.raises(DatasetError, match=r"short_0\.txt has 1 boxes for the 5 images in .*TRAIN_1/frames/short_0"):
        open_dataset("trackingnet", trackingnet.root, "train-1").read_sequence("short_0")


def test_frames_that_are_still_packed_are_asked_for(trackingnet):
    write_sequence(trackingnet, "TRAIN_1", "packed_0", ["1,2,3,4"], 0)
    with pytest.raises(DatasetError, match=r"no images for .*packed_0\.txt .*; unpack zips/packed_0\.zip there"):
        open_dataset("trackingnet", trackingnet.root, "train-1").read_sequence("packed_0")


def test_one_name_in_two_chunks_is_an_error(trackingnet):
    write_sequence(trackingnet, "TRAIN_1", "0abc_0", ["1,2,3,4"], 1)
    with pytest.raises(DatasetError, match=r"TRAIN_11 and TRAIN_1 in .* both hold a sequence 0abc_0"):
        open_dataset("trackingnet", trackingnet.root)


def test_a_wrong_root_shows_the_tree(trackingnet):
    with pytest.raises(
        DatasetError, match=r"looked for TRAIN_3/anno/ in .*it holds TEST, TRAIN_0, TRAIN_11.*\n  ROOT/TR"
    ):
        open_dataset("trackingnet", trackingnet.root, "train-3")
