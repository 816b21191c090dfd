from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from trackcli_cache.datasets import AnnotatedSequence, Mark
from trackcli_cache.errors import DatasetError

from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.datasets import (
    EvaluationSequence,
    SequenceSet,
    evaluation_split,
    load_folder_sequences,
    load_sequences,
    select_names,
)
from trackcli.evaluation.variants import Marks

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


@pytest.mark.parametrize("line", ["1.5,2,8,6", "1.5\t2\t8\t6", "1.5 2  8 6"])
def test_commas_tabs_and_spaces_separate(make_sequence, line: str) -> None:
    (sequence,) = load_folder_sequences(make_sequence("clip", [line, *LINES]))
    assert sequence.boxes_xywh[0].tolist() == [1.5, 2, 8, 6]


@pytest.mark.parametrize("line", ["nan,nan,nan,nan", "NaN nan 3 4", "0,0,0,0", "4,5,0,6"])
def test_nan_and_boxes_without_area_mean_that_the_target_is_absent(make_sequence, line: str) -> None:
    (sequence,) = load_folder_sequences(make_sequence("clip", [LINES[0], line, LINES[2]]))
    assert sequence.absent.tolist() == [False, True, False]


def test_numbers_stay_exactly_those_of_the_file(make_sequence) -> None:
    (sequence,) = load_folder_sequences(make_sequence("clip", ["0.1,0.2,335.74,258.55", *LINES]))
    assert sequence.boxes_xywh[0].tolist() == [0.1, 0.2, 335.74, 258.55]


def test_a_malformed_line_is_named_with_file_and_line(make_sequence) -> None:
    path = make_sequence("clip", [LINES[0], "1,2,8", LINES[2]]) / "groundtruth.txt"
    with pytest.raises(DatasetError, match=re.escape(f"{path}, line 2")):
        load_folder_sequences(path.parent)


def test_as_many_boxes_as_images_are_expected(make_sequence) -> None:
    folder = make_sequence("clip", LINES, images=2)
    with pytest.raises(DatasetError, match="has 3 boxes for the 2 images"):
        load_folder_sequences(folder)


def test_a_root_without_sequences_shows_the_expected_tree(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="ROOT/<sequence>/img"):
        load_folder_sequences(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="ROOT/<sequence>/img"):
        load_folder_sequences(tmp_path)


def test_half_a_sequence_is_an_error_as_leaving_it_out_would_change_the_mean(make_sequence) -> None:
    folder = make_sequence("clip", LINES)
    (folder / "img").rename(folder / "frames")
    with pytest.raises(DatasetError, match=re.escape(f"{folder} has groundtruth.txt but no img/")):
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
    assert "foldr" in str(caught.value)
    assert "folder" in str(caught.value).partition("foldr")[2]


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


def test_a_name_with_brackets_is_a_name_too() -> None:
    assert select_names(["clip [take 1]", "clip t"], ["clip [take 1]"]) == ["clip [take 1]", "clip t"]
    assert select_names(["clip [1]", "clip 1"], ["clip [[]1]"]) == ["clip [1]"]


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


class LazyReader:
    """Remembers what was read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def read_sequence(self, name: str) -> AnnotatedSequence:
        self.read.append(name)
        return AnnotatedSequence(
            name=name,
            frames=tuple(Path(f"{index}.jpg") for index in range(4)),
            boxes_xywh=np.array([[1.0, 2, 8, 6], [1, 2, 8, 6], [1, 2, 8, 6], [np.nan] * 4]),
            absent=np.array([False, True, False, True]),
            marks=np.array([0, 0, Mark.FULLY_OCCLUDED, 0], dtype=np.uint8),
            frame_numbers=np.arange(4),
            attributes=("FM", "IV"),
            truth_hidden=True,
        )


def test_sequences_are_read_when_their_turn_comes() -> None:
    reader = LazyReader()
    sequences = SequenceSet(reader, ["a", "b", "c"])  # type: ignore[arg-type]
    assert (len(sequences), sequences.names, reader.read) == (3, ("a", "b", "c"), [])
    assert sequences[1].name == "b"
    assert [one.name for one in sequences[1:]] == ["b", "c"]
    assert reader.read == ["b", "b", "c"]


def test_marks_and_attributes_come_along() -> None:
    (sequence,) = SequenceSet(LazyReader(), ["a"])  # type: ignore[arg-type]
    assert sequence.attributes == ("FM", "IV")
    assert sequence.truth_hidden
    # only frames that have a box can be marked: variants treat those without one on their own
    assert sequence.marked(Marks.NONE).tolist() == [False, False, False, False]
    assert sequence.marked(Marks.ABSENT).tolist() == [False, True, False, False]
    assert sequence.marked(Marks.FULLY_HIDDEN).tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "C:x", ""])
def test_a_name_that_would_lead_out_of_the_results_is_refused(name: str) -> None:
    with pytest.raises(InputDataError, match="cannot be the name of a result file"):
        EvaluationSequence(name, (Path("1.jpg"), Path("2.jpg")), np.ones((2, 4)))


def test_datasets_are_evaluated_on_what_is_for_that() -> None:
    splits = {name: evaluation_split(name) for name in ("got10k", "lasot", "trackingnet", "folder", "trackcli:lasot")}
    assert splits == {
        "got10k": "val", "lasot": "test", "trackingnet": "test", "folder": None, "trackcli:lasot": "test"
    }  # fmt: skip
    assert evaluation_split("got10k", hidden=True) == "test"
    with pytest.raises(UsageError, match="got10k"):
        evaluation_split("got11k")


def test_a_folder_of_stills_cannot_be_tracked_on(tmp_path: Path) -> None:
    folder = tmp_path / "stills"
    (folder / "img").mkdir(parents=True)
    (folder / "boxes.json").write_text("{}")
    with pytest.raises(InputDataError, match="has no sequences"):
        load_sequences("folder", tmp_path)
