from __future__ import annotations

import numpy as np
import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.datasets import Mark
from trackcli_cache.errors import DatasetError

META = "[METAINFO]\nurl: https://youtu.be/x\nanno_fps: 10Hz\nobject_class: bay lynx\nmotion_class: walking\n"


def write_sequence(tree, name, boxes, *, cover=None, absence=None, cut=None):
    folder = name if "/" in name else f"train/{name}"
    for number in range(1, (len(cover) if cover else 3) + 1):
        tree.path(f"{folder}/{number:08d}.jpg").touch()
    tree.text(f"{folder}/groundtruth.txt", "".join(f"{box}\n" for box in boxes))
    if cover:
        tree.text(f"{folder}/cover.label", "\n".join(map(str, cover)) + "\n")
        tree.text(f"{folder}/absence.label", "\n".join(map(str, absence or [0] * len(cover))) + "\n")
        tree.text(f"{folder}/cut_by_image.label", "\n".join(map(str, cut or [0] * len(cover))) + "\n")
        tree.text(f"{folder}/meta_info.ini", META)


@pytest.fixture
def got10k(tree):
    tree.text("train/list.txt", "GOT-10k_Train_000002\nGOT-10k_Train_000001\n")
    write_sequence(
        tree,
        "GOT-10k_Train_000001",
        ["347.0000,443.0000,42.5000,27.0000", "1,2,30,40", "3,4,30,40", "-1,-1,-1,-1", "5,6,30,40"],
        cover=[8, 3, 0, 8, 5],
        absence=[0, 0, 0, 0, 1],
        cut=[0, 1, 0, 0, 0],
    )
    write_sequence(tree, "GOT-10k_Train_000002", ["1,2,30,40"] * 3, cover=[8, 8, 8])
    return tree


def test_sequences_are_those_of_the_list_in_its_order(got10k):
    names = open_dataset("got10k", got10k.root, "train").sequence_names()
    assert names == ("GOT-10k_Train_000002", "GOT-10k_Train_000001")


def test_boxes_are_kept_as_they_are_and_labels_become_marks(got10k):
    sequence = open_dataset("got10k", got10k.root, "train").read_sequence("GOT-10k_Train_000001")
    assert sequence.boxes_xywh[0].tolist() == [347, 443, 42.5, 27]
    assert np.isnan(sequence.boxes_xywh).all(axis=1).tolist() == [False, False, False, True, False]
    assert sequence.absent.tolist() == [False, False, True, True, True]
    assert sequence.marks.tolist() == [
        Mark.NONE,
        Mark.OCCLUDED | Mark.CUT_BY_IMAGE,
        Mark.FULLY_OCCLUDED,
        Mark.NONE,
        Mark.OCCLUDED,
    ]
    assert sequence.category == "bay lynx"
    assert sequence.frame_numbers.tolist() == [1, 2, 3, 4, 5]
    assert not sequence.truth_hidden


def test_known_bad_training_sequences_are_left_out(got10k):
    got10k.text("train/list.txt", "GOT-10k_Train_008623\nGOT-10k_Train_000001\nGOT-10k_Train_009059\n")
    assert open_dataset("got10k", got10k.root).sequence_names() == ("GOT-10k_Train_000001",)


def test_the_truth_of_the_test_set_is_hidden_but_for_the_first_frame(tree):
    tree.text("test/list.txt", "GOT-10k_Test_000001\n")
    write_sequence(tree, "test/GOT-10k_Test_000001", ["10,20,30,40"])
    dataset = open_dataset("got10k", tree.root, "test")
    sequence = dataset.read_sequence("GOT-10k_Test_000001")
    assert sequence.truth_hidden
    assert sequence.boxes_xywh[0].tolist() == [10, 20, 30, 40]
    assert np.isnan(sequence.boxes_xywh[1:]).all()
    assert not sequence.absent.any()
    (image,) = dataset.images()
    assert image.objects[0].box_xyxy == (10, 20, 40, 60)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("groundtruth.txt", "1,2,30,40\n" * 4, r"groundtruth\.txt has 4 boxes for the 5 images in .*000001"),
        ("groundtruth.txt", "1,2,30\n" * 5, r"groundtruth\.txt, line 1: '1,2,30' is not a box; expected x,y,w,h"),
        ("cover.label", "8\n8\n", r"cover\.label has 2 values for 5 frames; expected one per frame"),
        ("cover.label", "8\n8\n9\n8\n8\n", r"cover\.label holds values outside 0 to 8"),
        ("absence.label", "0\n0\nx\n0\n0\n", r"absence\.label, line 3: 'x' is not a list of whole numbers"),
    ],
)
def test_bad_annotations_are_named_with_file_and_line(got10k, name, content, message):
    got10k.text(f"train/GOT-10k_Train_000001/{name}", content)
    with pytest.raises(DatasetError, match=message):
        open_dataset("got10k", got10k.root).read_sequence("GOT-10k_Train_000001")


def test_a_missing_label_or_sequence_is_an_error(got10k):
    (got10k.root / "train/GOT-10k_Train_000001/cover.label").unlink()
    dataset = open_dataset("got10k", got10k.root)
    with pytest.raises(DatasetError, match=r"sequence GOT-10k_Train_000001 has no train/.*/cover\.label"):
        dataset.read_sequence("GOT-10k_Train_000001")
    got10k.text("train/list.txt", "GOT-10k_Train_000007\n")
    with pytest.raises(DatasetError, match=r"sequence GOT-10k_Train_000007 has no train/.*/groundtruth\.txt"):
        open_dataset("got10k", got10k.root).read_sequence("GOT-10k_Train_000007")


@pytest.mark.parametrize("name", ["../secret", "a/b", "..", "C:x"])
def test_names_in_the_list_cannot_lead_elsewhere(got10k, name):
    got10k.text("train/list.txt", f"GOT-10k_Train_000001\n{name}\n")
    with pytest.raises(DatasetError, match=r"list\.txt, line 2: .* is not a plain name"):
        open_dataset("got10k", got10k.root)


def test_a_name_that_is_twice_in_the_list_is_an_error(got10k):
    got10k.text("train/list.txt", "GOT-10k_Train_000001\nGOT-10k_Train_000001\n")
    with pytest.raises(DatasetError, match=r"line 2: 'GOT-10k_Train_000001' is already on line 1"):
        open_dataset("got10k", got10k.root)


def test_a_wrong_root_shows_what_was_looked_for_and_the_expected_tree(got10k):
    with pytest.raises(DatasetError) as error:
        open_dataset("got10k", got10k.root, "val")
    message = str(error.value)
    assert message.startswith(f"looked for val/list.txt in {got10k.root} and found none (it holds train); expected\n")
    assert "  ROOT/train/<sequence>/groundtruth.txt" in message


def test_an_unknown_split_lists_the_known_ones(got10k):
    with pytest.raises(DatasetError, match="expected one of: train, val, test"):
        open_dataset("got10k", got10k.root, "valid")
