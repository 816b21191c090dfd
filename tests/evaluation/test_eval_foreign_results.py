"""Folders of results that other toolkits wrote: recognised, read, or refused with file and line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackcli.errors import InputDataError
from trackcli.evaluation.contenders import find_results, load_contenders
from trackcli.evaluation.datasets import EvaluationSequence, load_folder_sequences
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.runner import evaluate, read_results

LINES = ["1,2,8,6", "2,2,8,6", "3,2,8,6"]
BOXES = ["1,2,8,6", "2.5,2,8,6", "3,2,8,6"]


@pytest.fixture
def sequence(make_sequence) -> EvaluationSequence:
    return load_folder_sequences(make_sequence("clip", LINES))[0]


def write(path: Path, lines: list[str], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.replace(",", separator) for line in lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        (Layout.FLAT, ("clip.txt", "clip_time.txt")),
        (Layout.FLAT, ("clip.txt", "times/clip_time.txt")),
        (Layout.GOT10K, ("clip/clip_001.txt", "clip/clip_time.txt")),
        (Layout.VOT, ("baseline/clip/clip_001.txt", "baseline/clip/clip_time.txt")),
        (Layout.VOT, ("longterm/clip/clip_001.txt", "longterm/clip/clip_time.txt")),
    ],
)
@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_every_layout_and_separator_is_recognised(
    sequence, tmp_path: Path, layout: Layout, files: tuple[str, str], separator: str
) -> None:
    folder = tmp_path / "SiamX"
    write(folder / files[0], BOXES, separator)
    write(folder / files[1], ["0.5", "0.25", "0.25"])
    store = find_results(folder, ["clip"])
    assert store.layout is layout
    (result,) = read_results(store, [sequence]).sequences
    assert result.score is not None
    assert result.score.mean_overlap == pytest.approx((7.5 / 8.5 + 1) / 2)
    assert (result.fps, result.reused) == (3, True)


@pytest.mark.parametrize(
    ("dataset", "ours", "theirs"),
    [
        ("otb100", "Jogging.1", "Jogging-1"),
        ("trackcli:otb2013", "Jogging.1", "Jogging_1"),
        ("uav123", "bike1", "uav_bike1"),
        ("nfs", "Gymnastics", "nfs_Gymnastics"),
    ],
)
def test_results_are_found_under_the_names_of_other_toolkits(
    sequence, tmp_path: Path, dataset: str, ours: str, theirs: str
) -> None:
    write(tmp_path / "SiamX" / f"{theirs}.txt", LINES)
    write(tmp_path / "SiamX" / f"{theirs}_time.txt", ["0.5", "0.25", "0.25"])
    store = find_results(tmp_path / "SiamX", [ours], dataset)
    (result,) = read_results(store, [replace(sequence, name=ours)]).sequences
    assert result.score is not None
    assert (result.score.mean_overlap, result.fps) == (1, 3)
    with pytest.raises(InputDataError, match="holds no results of the 1 sequences"):
        find_results(tmp_path / "SiamX", [ours], "lasot")


def test_a_sequences_own_name_comes_before_other_toolkits(tmp_path: Path) -> None:
    for name in ("Jogging.1", "Jogging-1"):
        write(tmp_path / "SiamX" / f"{name}.txt", LINES)
    store = find_results(tmp_path / "SiamX", ["Jogging.1"], "otb100")
    assert store.boxes_path("Jogging.1") == tmp_path / "SiamX" / "Jogging.1.txt"


def test_of_two_layouts_the_one_with_more_of_the_sequences_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "SiamX"
    write(folder / "a.txt", BOXES)
    write(folder / "a" / "a_001.txt", BOXES)
    assert find_results(folder, ["a"]).layout is Layout.FLAT
    assert find_results(folder, ["a"], preferred=Layout.GOT10K).layout is Layout.GOT10K
    write(folder / "b" / "b_001.txt", BOXES)
    assert find_results(folder, ["a", "b"]).layout is Layout.GOT10K


def test_a_vot_file_may_begin_with_the_code_of_a_start(sequence, tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "baseline" / "clip" / "clip_001.txt", ["1", *BOXES[1:]])
    (result,) = read_results(find_results(tmp_path / "SiamX", ["clip"]), [sequence]).sequences
    assert result.score is not None
    assert result.score.evaluated_frames == 2


def test_a_run_with_resets_is_refused_with_its_line(sequence, tmp_path: Path) -> None:
    path = write(tmp_path / "SiamX" / "baseline" / "clip" / "clip_001.txt", ["1", BOXES[1], "2"])
    with pytest.raises(InputDataError, match=re.escape(f"{path}, line 3: code 2 of a run with resets")):
        read_results(find_results(tmp_path / "SiamX", ["clip"]), [sequence])


def test_a_folder_of_results_is_a_contender_named_like_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "clip.txt", BOXES)
    write(tmp_path / "SiamY" / "clip" / "clip_001.txt", BOXES)
    by_folder, labelled = load_contenders([str(tmp_path / "SiamX"), f"mine={tmp_path / 'SiamY'}"])
    assert (by_folder.label, by_folder.results, by_folder.tracker) == ("SiamX", tmp_path / "SiamX", None)
    assert labelled.label == "mine"


def test_results_that_count_pixels_from_1_are_shifted_and_say_so(sequence, tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "clip.txt", ["2,3,8,6", "3,3,8,6", "4,3,8,6"])
    (result,) = read_results(find_results(tmp_path / "SiamX", ["clip"]), [sequence]).sequences
    assert result.score is not None
    assert (result.score.mean_overlap, result.shifted) == (1, True)


def test_results_in_whole_pixels_are_taken_as_they_are(make_sequence, tmp_path: Path) -> None:
    sequences = load_folder_sequences(make_sequence("clip", ["1.6,2.4,8.4,6", "2,2,8,6"]))
    write(tmp_path / "SiamX" / "clip.txt", ["2,2,8,6", "2,2,8,6"])
    (result,) = read_results(find_results(tmp_path / "SiamX", ["clip"]), sequences).sequences
    assert not result.shifted


def test_repetitions_are_all_read_and_averaged(sequence, tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "clip" / "clip_001.txt", LINES)
    write(tmp_path / "SiamX" / "clip" / "clip_002.txt", [LINES[0], "90,2,8,6", "90,2,8,6"])
    write(tmp_path / "SiamX" / "clip" / "clip_time.txt", ["1,2", "1,2", "1,2"])
    (result,) = read_results(find_results(tmp_path / "SiamX", ["clip"]), [sequence]).sequences
    assert result.score is not None
    assert (result.score.mean_overlap, result.repetitions, result.seconds) == (0.5, 2, 4.5)


def test_missing_sequences_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "clip.txt", BOXES)
    with pytest.raises(InputDataError) as caught:
        find_results(tmp_path / "SiamX", ["clip", "other", "third"])
    assert str(caught.value) == (
        f"{tmp_path / 'SiamX'} lacks results of 2 of 3 sequences, first {tmp_path / 'SiamX' / 'other.txt'}; "
        "add them, or choose sequences with --sequences"
    )


def test_results_of_another_dataset_say_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "SiamX" / "clip.txt", BOXES)
    with pytest.raises(InputDataError, match=r"holds no results of the 1 sequences \(Bolt, …\); expected Bolt\.txt"):
        find_results(tmp_path / "SiamX", ["Bolt"])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (BOXES[:2], "has 2 lines; expected 3"),
        ([BOXES[0], "1;2;3;4", BOXES[2]], "line 2: '1;2;3;4' is not x,y,w,h"),
        ([BOXES[0], "1_0,2,3,4", BOXES[2]], "line 2: '1_0,2,3,4' is not x,y,w,h"),
        ([BOXES[0], "1,2,3,4,5,6,7,8", BOXES[2]], "line 2: '1,2,3,4,5,6,7,8' is not x,y,w,h"),
        ([BOXES[0], "", BOXES[2]], "line 2: an empty line is not x,y,w,h"),
        (
            [BOXES[0], "nan,nan,nan,nan", BOXES[2]],
            "line 2: 'nan,nan,nan,nan' is not finite; expected x,y,w,h in numbers",
        ),
        (["5,2,8,6", *BOXES[1:]], "begins at 5,2,8,6, but sequence clip at 1,2,8,6"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(sequence, tmp_path: Path, lines: list[str], complaint: str) -> None:
    path = write(tmp_path / "SiamX" / "clip.txt", lines)
    with pytest.raises(InputDataError, match=f"^{re.escape(str(path))}.*{re.escape(complaint)}"):
        read_results(find_results(tmp_path / "SiamX", ["clip"]), [sequence])


@pytest.mark.parametrize("layout", [Layout.FLAT, Layout.GOT10K])
def test_repetitions_are_written_and_read_back_to_the_last_bit(tmp_path: Path, layout: Layout) -> None:
    rng = np.random.default_rng(0)
    runs = [Trajectory(rng.random((5, 4)), rng.random(5), rng.random(5)) for _ in range(3)]
    store = ResultStore(tmp_path / "x", layout)
    store.write("clip", *runs)
    assert (store.repetitions("clip"), store.has("clip", 3), store.has("clip", 4)) == (3, True, False)
    for index, run in enumerate(runs):
        read = store.read("clip", 5, index)
        np.testing.assert_array_equal(read.boxes_xywh, run.boxes_xywh)
        np.testing.assert_array_equal(read.scores, run.scores)
        np.testing.assert_array_equal(read.seconds, run.seconds)


def test_got10k_s_toolkit_finds_boxes_and_nothing_else_by_its_pattern(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "x", Layout.GOT10K)
    store.write("clip", Trajectory(np.ones((2, 4)), np.ones(2), np.ones(2)))
    assert [path.name for path in (tmp_path / "x" / "clip").glob("clip_[0-9]*.txt")] == ["clip_001.txt"]


class ChanceTracker:
    """Says what chance says: another box in each run."""

    name = "chance"
    deterministic = False

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def start(self, image: np.ndarray, boxes_xywh: np.ndarray) -> None:
        self.boxes_xyxy = np.array([[1.0, 2, 9, 8]])
        self.scores = np.ones(1)

    def update(self, image: np.ndarray) -> ChanceTracker:
        self.boxes_xyxy = self.rng.uniform(0, 4, (1, 4)) + np.array([0, 0, 8, 6])
        return self


def test_an_evaluation_with_repetitions_is_resumed_when_all_are_there(sequence, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out", Layout.GOT10K)
    first = evaluate(ChanceTracker(), [sequence], store=store, repetitions=3)
    again = evaluate(ChanceTracker(), [sequence], store=store, repetitions=3)
    assert again.sequences[0].reused
    assert again.score.mean_overlap == first.score.mean_overlap
    assert len({store.read("clip", 3, index).boxes_xywh[1, 0] for index in range(3)}) == 3
    assert evaluate(ChanceTracker(), [sequence], store=store).score.mean_overlap != first.score.mean_overlap
    more = evaluate(ChanceTracker(), [sequence], store=store, read_more=True)
    assert (more.sequences[0].repetitions, more.score.mean_overlap) == (3, first.score.mean_overlap)
    (store.folder / "clip" / "clip_003.txt").unlink()
    assert not evaluate(ChanceTracker(), [sequence], store=store, repetitions=3).sequences[0].reused
