from __future__ import annotations

import pytest
from trackcli_cache.catalogue import open_dataset
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.otb_sequences import ATTRIBUTES, OTB50, OTB100, OTB2013


def write_target(tree, folder, frames, boxes, *, truth="groundtruth_rect.txt", digits=4, suffix=".jpg"):
    for number in frames:
        tree.path(f"{folder}/img/{number:0{digits}d}{suffix}").touch()
    tree.text(f"{folder}/{truth}", "".join(f"{box}\n" for box in boxes))


def test_the_benchmarks_have_their_published_numbers_of_targets_and_frames():
    assert (len(OTB100), len(OTB50), len(OTB2013)) == (100, 50, 51)
    assert len({target.folder for target in OTB100.values()}) == 98
    assert sum(target.last - target.first + 1 for target in OTB100.values()) == 59040
    assert set(OTB50) | set(OTB2013) <= set(OTB100)
    assert {name for target in OTB100.values() for name in target.attributes} == set(ATTRIBUTES)


@pytest.mark.parametrize("separator", [",", "\t", " ", ", "])
def test_boxes_count_from_1_and_any_separator_is_read(tree, separator):
    boxes = [separator.join(("336", "165", "26", "61"))] * 71
    write_target(tree, "Deer", range(1, 72), boxes)
    sequence = open_dataset("otb100", tree.root).read_sequence("Deer")
    assert sequence.boxes_xywh[0].tolist() == [335, 164, 26, 61]
    assert sequence.attributes == ("MB", "FM", "IPR", "BC", "LR")
    assert sequence.frames[0] == tree.root / "Deer/img/0001.jpg"


def test_a_sequence_may_begin_and_end_inside_its_folder(tree):
    write_target(tree, "David", range(1, 775), ["129,80,64,78"] * 471)
    sequence = open_dataset("otb2013", tree.root).read_sequence("David")
    assert (len(sequence), sequence.frame_numbers[0], sequence.frame_numbers[-1]) == (471, 300, 770)
    assert sequence.frames[0].name == "0300.jpg"


def test_tiger1_begins_with_its_sixth_frame(tree):
    write_target(tree, "Tiger1", range(1, 355), [f"{number},88,76,84" for number in range(1, 355)])
    sequence = open_dataset("otb100", tree.root).read_sequence("Tiger1")
    assert (len(sequence), sequence.frame_numbers[0]) == (349, 6)
    assert sequence.boxes_xywh[0].tolist() == [5, 87, 76, 84]


def test_names_of_frames_may_have_five_digits_and_other_endings(tree):
    write_target(tree, "Board", range(1, 699), ["57,156,198,173"] * 698, digits=5)
    write_target(tree, "KiteSurf", range(1, 85), ["213,142,23,28"] * 84, suffix=".png")
    dataset = open_dataset("otb100", tree.root)
    assert dataset.read_sequence("Board").frames[-1].name == "00698.jpg"
    assert dataset.read_sequence("KiteSurf").frames[0].name == "0001.png"


def test_two_targets_of_one_folder_have_a_file_of_boxes_each(tree):
    write_target(tree, "Jogging", range(1, 308), ["112,79,25,101"] * 307, truth="groundtruth_rect.1.txt")
    write_target(tree, "Jogging", range(1, 308), ["181,78,37,114"] * 307, truth="groundtruth_rect.2.txt")
    write_target(tree, "Human4", range(1, 668), [], truth="groundtruth_rect.1.txt")
    write_target(tree, "Human4", range(1, 668), ["99,237,27,82"] * 667, truth="groundtruth_rect.2.txt")
    dataset = open_dataset("otb100", tree.root)
    assert dataset.read_sequence("Jogging.1").boxes_xywh[0].tolist() == [111, 78, 25, 101]
    assert dataset.read_sequence("Jogging.2").boxes_xywh[0].tolist() == [180, 77, 37, 114]
    assert dataset.read_sequence("Human4.2").boxes_xywh[0].tolist() == [98, 236, 27, 82]
    assert "Human4" not in dataset.sequence_names()


def test_missing_frames_and_boxes_are_named(tree):
    write_target(tree, "Deer", [*range(1, 30), *range(31, 72)], ["1,2,3,4"] * 71)
    write_target(tree, "Skiing", range(1, 82), ["1,2,3,4"] * 80)
    dataset = open_dataset("otb50", tree.root)
    with pytest.raises(DatasetError, match="Deer/img lacks 1 of the frames 1 to 71, such as number 30"):
        dataset.read_sequence("Deer")
    with pytest.raises(
        DatasetError, match=r"Skiing/groundtruth_rect\.txt has 80 boxes; expected 81, for frames 1 to 81"
    ):
        dataset.read_sequence("Skiing")
    with pytest.raises(DatasetError, match=r"otb50: sequence Woman has no Woman/groundtruth_rect\.txt"):
        dataset.read_sequence("Woman")


def test_a_sequence_of_another_benchmark_is_unknown(tree):
    write_target(tree, "Deer", range(1, 72), ["1,2,3,4"] * 71)
    with pytest.raises(DatasetError, match=r"otb50 in .* has no sequence 'Coke'"):
        open_dataset("otb50", tree.root).read_sequence("Coke")


def test_a_wrong_root_shows_the_tree(tree):
    write_target(tree, "Holiday", range(1, 3), ["1,2,3,4"] * 2)
    with pytest.raises(
        DatasetError, match=r"of one of its sequences in .* \(it holds Holiday\); expected\n  ROOT/<Seq"
    ):
        open_dataset("otb100", tree.root)
