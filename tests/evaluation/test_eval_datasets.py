from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.datasets import (
    EXPECTED_TREE,
    EvaluationSequence,
    load_folder_sequences,
    load_sequences,
    read_truth,
    select_names,
)

LINES = ["1,2,8,6", "2,2,8,6", "3,2,8,6"]


def test_a_folder_of_sequences_is_read_in_natural_order(make_sequence, tmp_path: Path) -> None:
    for name in ("clip10", "clip2"):
        make_sequence(name, LINES)
    sequences = load_folder_sequences(tmp_path / "data")
    assert [sequence.name for sequence in sequences] == ["clip2", "clip10"]
    np.testing.assert_array_equal(sequences[0].boxes_xywh, [[1, 2, 8, 6], [2, 2, 8, 6], [3, 2, 8, 6]])


def test_frames_are_in_natural_order(make_sequence) -> None:
    folder = make_sequence("clip", LINES * 4)
    (sequence,) = load_folder_sequences(folder.parent)
    assert [path.name for path in sequence.image_paths] == [f"img{index}.png" for index in range(1, 13)]


def test_a_root_that_is_a_sequence_itself_is_read(make_sequence) -> None:
    (sequence,) = load_folder_sequences(make_sequence("clip", LINES))
    assert (sequence.name, len(sequence)) == ("clip", 3)


@pytest.mark.parametrize("line", ["1.5,2,8,6", "1.5\t2\t8\t6", "1.5 2  8 6", " 1.5, 2,\t8 , 6 "])
def test_commas_tabs_and_spaces_separate(make_sequence, line: str) -> None:
    truth = read_truth(make_sequence("clip", [line]) / "groundtruth.txt")
    np.testing.assert_array_equal(truth, [[1.5, 2, 8, 6]])


@pytest.mark.parametrize("line", ["nan,nan,nan,nan", "NaN nan 3 4", "0,0,0,0", "4,5,0,6", "4,5,6,-1"])
def test_nan_and_boxes_without_area_mean_that_the_target_is_absent(make_sequence, line: str) -> None:
    truth = read_truth(make_sequence("clip", [LINES[0], line, LINES[2]]) / "groundtruth.txt")
    assert np.isnan(truth).all(axis=1).tolist() == [False, True, False]


def test_numbers_stay_exactly_those_of_the_file(make_sequence) -> None:
    truth = read_truth(make_sequence("clip", ["0.1,0.2,335.74,258.55"]) / "groundtruth.txt")
    assert truth.tolist() == [[0.1, 0.2, 335.74, 258.55]]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(make_sequence) -> None:
    path = make_sequence("clip", LINES) / "groundtruth.txt"
    path.write_bytes(b"\xef\xbb\xbf1,2,8,6\r\n2,2,8,6\r\n\r\n")
    assert len(read_truth(path)) == 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1,2,8", "'1,2,8' is not x,y,w,h; expected 4 numbers separated by commas, tabs or spaces"),
        ("1;2;8;6", "'1;2;8;6' is not x,y,w,h; expected 4 numbers separated by commas, tabs or spaces"),
        ("1,2,8,6,9", "'1,2,8,6,9' is not x,y,w,h; expected 4 numbers separated by commas, tabs or spaces"),
        ("", "an empty line is not x,y,w,h; expected 4 numbers separated by commas, tabs or spaces"),
    ],
)
def test_a_malformed_line_is_named_with_file_and_line(make_sequence, line: str, complaint: str) -> None:
    path = make_sequence("clip", [LINES[0], line, LINES[2]]) / "groundtruth.txt"
    with pytest.raises(InputDataError) as caught:
        read_truth(path)
    assert str(caught.value) == f"{path}, line 2: {complaint}"


def test_an_infinite_box_is_refused(make_sequence) -> None:
    path = make_sequence("clip", [LINES[0], "1,2,inf,6"]) / "groundtruth.txt"
    with pytest.raises(InputDataError, match=re.escape(f"{path}, line 2 holds an infinite number")):
        read_truth(path)


def test_as_many_boxes_as_images_are_expected(make_sequence) -> None:
    folder = make_sequence("clip", LINES, images=2)
    with pytest.raises(InputDataError) as caught:
        load_folder_sequences(folder)
    assert str(caught.value) == (
        f"{folder / 'groundtruth.txt'} has 3 boxes for the 2 images in {folder / 'img'}; expected one line per image "
        "(nan,nan,nan,nan where the target is absent)"
    )


def test_a_missing_root_shows_the_expected_tree(tmp_path: Path) -> None:
    with pytest.raises(InputDataError) as caught:
        load_folder_sequences(tmp_path / "nowhere")
    assert str(caught.value) == f"{tmp_path / 'nowhere'} is not a folder; expected one that holds\n{EXPECTED_TREE}"


def test_a_root_without_sequences_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputDataError) as caught:
        load_folder_sequences(tmp_path)
    assert str(caught.value) == (
        f"looked for groundtruth.txt beside img/ in {tmp_path} and its 1 sub-folders and found none; "
        f"expected\n{EXPECTED_TREE}"
    )


def test_images_without_ground_truth_are_an_error(make_sequence) -> None:
    folder = make_sequence("clip", LINES)
    (folder / "groundtruth.txt").unlink()
    with pytest.raises(InputDataError, match=re.escape(f"{folder} has img/ but no groundtruth.txt")):
        load_folder_sequences(folder.parent)


def test_ground_truth_without_images_is_an_error(make_sequence) -> None:
    folder = make_sequence("clip", LINES)
    (folder / "img").rename(folder / "frames")
    with pytest.raises(InputDataError, match=re.escape(f"{folder} has groundtruth.txt but no img/")):
        load_folder_sequences(folder.parent)


def test_collections_of_stills_and_hidden_folders_are_left_out(make_sequence) -> None:
    stills = make_sequence("stills", LINES)
    (stills / "groundtruth.txt").rename(stills / "boxes.json")
    make_sequence(".clip.partial", LINES, images=1)
    root = make_sequence("clip", LINES).parent
    assert [sequence.name for sequence in load_folder_sequences(root)] == ["clip"]


def test_a_sequence_that_begins_without_a_target_is_refused(make_sequence) -> None:
    with pytest.raises(InputDataError, match="sequence clip begins without a target"):
        load_folder_sequences(make_sequence("clip", ["nan,nan,nan,nan", *LINES]))


@pytest.mark.parametrize("lines", [LINES[:1], [LINES[0], "nan,nan,nan,nan"]])
def test_a_sequence_with_nothing_to_compare_is_refused(make_sequence, lines: list[str]) -> None:
    with pytest.raises(InputDataError, match="has no target after its first frame"):
        load_folder_sequences(make_sequence("clip", lines))


def test_an_empty_ground_truth_is_refused(make_sequence) -> None:
    with pytest.raises(InputDataError, match="sequence clip begins without a target"):
        load_folder_sequences(make_sequence("clip", []))


def test_boxes_and_images_must_be_as_many() -> None:
    with pytest.raises(ShapeError, match=r"boxes of shape \(2, 4\); expected \(1, 4\)"):
        EvaluationSequence("clip", (Path("1.jpg"),), np.ones((2, 4)))


def test_an_unknown_dataset_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_sequences("foldr", Path())
    assert str(caught.value) == "--dataset foldr is unknown; did you mean 'folder'?"


NAMES = ["otb_Bolt", "otb_David", "dtb_Gull"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], NAMES),
        (["dtb_Gull"], ["dtb_Gull"]),
        (["otb_*"], ["otb_Bolt", "otb_David"]),
        (["dtb_*", "*Bolt"], ["otb_Bolt", "dtb_Gull"]),
    ],
)
def test_patterns_select_names_in_the_dataset_s_order(patterns: list[str], names: list[str]) -> None:
    assert select_names(NAMES, patterns) == names


def test_a_pattern_that_matches_nothing_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        select_names(NAMES, ["otb_bolt"])
    assert str(caught.value) == (
        "--sequences otb_bolt matches none of the 3 sequences (names or patterns as in 'otb*'); "
        "did you mean 'otb_Bolt'?"
    )


def test_a_broken_sequence_can_be_left_out_by_a_pattern(make_sequence) -> None:
    make_sequence("broken", ["no box"])
    (make_sequence("half", LINES) / "groundtruth.txt").unlink()
    root = make_sequence("clip", LINES).parent
    assert [sequence.name for sequence in load_sequences("folder", root, ["cl*"])] == ["clip"]


def test_holding_the_first_box_overlaps_a_third_of_real_sequences() -> None:
    from trackcli.evaluation.metrics import mean_score, score_boxes

    root = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "val"
    if not root.is_dir():
        pytest.skip("no real sequences beside the checkout")
    truths = [sequence.boxes_xywh for sequence in load_folder_sequences(root)]
    held = mean_score([score_boxes(np.repeat(truth[:1], len(truth), axis=0), truth) for truth in truths])
    assert len(truths) == 12
    assert held.mean_overlap == pytest.approx(0.33, abs=0.005)
