from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.uav123_sequences import UAV20L_SEQUENCES, UAV123_SEQUENCES


def write_frames(tree, folder, first, last):
    for number in range(first, last + 1):
        tree.path(f"data_seq/UAV123/{folder}/{number:06d}.jpg").touch()


@pytest.fixture
def uav(tree):
    write_frames(tree, "person8", 1070, 1525)
    boxes = ["588,416,22,14", "NaN,NaN,NaN,NaN", *["590,416,22,14"] * 449]
    tree.text("anno/UAV123/person8_2.txt", "".join(f"{box}\n" for box in boxes))
    tree.text("anno/UAV123/att/person8_2.txt", "1,1,0,1,0,0,0,0,1,1,1,1\n")
    write_frames(tree, "uav6", 1, 109)
    tree.text("anno/UAV123/uav6.txt", "1,2,3,4\n" * 109)
    return tree


def test_the_benchmarks_have_their_published_numbers_of_sequences_and_frames():
    assert (len(UAV123_SEQUENCES), len(UAV20L_SEQUENCES)) == (123, 20)
    assert len({sequence.folder for sequence in UAV123_SEQUENCES.values()}) == 91
    assert sum(item.last - item.first + 1 for item in UAV123_SEQUENCES.values()) == 112578
    assert sum(item.last - item.first + 1 for item in UAV20L_SEQUENCES.values()) == 58670


def test_parts_read_their_frames_from_one_folder(uav):
    sequence = open_dataset("uav123", uav.root).read_sequence("person8_2")
    assert (sequence.frame_numbers[0], sequence.frame_numbers[-1], len(sequence)) == (1075, 1525, 451)
    assert sequence.frames[0] == uav.root / "data_seq/UAV123/person8/001075.jpg"
    assert UAV123_SEQUENCES["bird1_2"].folder == "bird1"
    assert UAV123_SEQUENCES["car1_s"].folder == "car1_s"


def test_nan_is_absent_and_numbers_are_kept(uav):
    sequence = open_dataset("uav123", uav.root).read_sequence("person8_2")
    assert sequence.boxes_xywh[0].tolist() == [588, 416, 22, 14]
    assert np.isnan(sequence.boxes_xywh[1]).all()
    assert sequence.absent.tolist()[:3] == [False, True, False]


def test_the_category_is_the_first_word_and_attributes_are_read(uav):
    dataset = open_dataset("uav123", uav.root)
    sequence = dataset.read_sequence("person8_2")
    assert sequence.attributes == ("SV", "ARC", "FM", "IV", "VC", "CM", "SOB")
    assert (sequence.category, dataset.read_sequence("uav6").category) == ("person", "uav")
    assert dataset.read_sequence("uav6").attributes == ()


def test_uav20l_uses_the_same_images(tree):
    write_frames(tree, "person20", 1, 1783)
    tree.text("anno/UAV20L/person20.txt", "1,2,3,4\n" * 1783)
    sequence = open_dataset("uav20l", tree.root).read_sequence("person20")
    assert sequence.frames[-1] == tree.root / "data_seq/UAV123/person20/001783.jpg"


def test_incomplete_annotations_and_images_are_errors(uav):
    uav.text("anno/UAV123/uav6.txt", "1,2,3,4\n" * 100)
    (uav.root / "data_seq/UAV123/person8/001300.jpg").unlink()
    dataset = open_dataset("uav123", uav.root)
    with pytest.raises(DatasetError, match=r"uav6\.txt has 100 boxes; expected 109, for frames 1 to 109"):
        dataset.read_sequence("uav6")
    with pytest.raises(DatasetError, match="person8 lacks 1 of the frames 1075 to 1525, such as number 1300"):
        dataset.read_sequence("person8_2")
    uav.text("anno/UAV123/att/person8_2.txt", "1,0\n")
    write_frames(uav, "person8", 1300, 1300)
    with pytest.raises(DatasetError, match=r"att/person8_2\.txt has 2 values for 12 attributes"):
        dataset.read_sequence("person8_2")


@pytest.mark.parametrize("name", ["uav123", "uav20l"])
def test_a_wrong_root_shows_the_tree(tree, name):
    with pytest.raises(
        DatasetError, match=rf"anno/{name.upper()}/<sequence>\.txt in .*it holds nothing.*\n  ROOT/data_"
    ):
        open_dataset(name, tree.root)
