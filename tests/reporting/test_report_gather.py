from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from trackcli.errors import InputDataError
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.results import ResultStore
from trackcli.reporting.gather import find_evaluations, gather
from trackcli.reporting.manifest import MANIFEST_FILE, Manifest, note_evaluation, noted_evaluation, read_manifest
from trackcli.reporting.worst import worst_frames


def manifest(*sequences: str, root: str = "/data", split: str | None = None) -> Manifest:
    return Manifest("otb100", Path(root), split, "ope", "trackcli", sequences, {"other": Path("/elsewhere")})


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    note_evaluation(tmp_path / "new", manifest("a", "b", split="test"))
    assert read_manifest(tmp_path / "new") == manifest("a", "b", split="test")


def test_later_evaluations_add_their_sequences(tmp_path: Path) -> None:
    note_evaluation(tmp_path, manifest("a", "b"))
    note_evaluation(tmp_path, manifest("b", "c", root="/moved"))
    assert read_manifest(tmp_path).sequences == ("a", "b", "c")
    assert read_manifest(tmp_path).root == Path("/moved")


def test_another_dataset_of_the_same_layout_starts_a_new_list(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        note_evaluation(tmp_path, manifest(place, root=str(tmp_path / place)))
    assert read_manifest(tmp_path).sequences == ("there",)


def test_what_is_tracked_now_is_no_longer_read_from_elsewhere(tmp_path: Path) -> None:
    note_evaluation(tmp_path, manifest("a"))
    now = Manifest("otb100", Path("/data"), None, "ope", "trackcli", ("a",), {"third": Path("/third")})
    note_evaluation(tmp_path, now, tracked=["other"])
    assert dict(read_manifest(tmp_path).elsewhere) == {"third": Path("/third")}


def test_where_data_does_not_fit_the_earlier_note_stands(tmp_path: Path) -> None:
    note_evaluation(tmp_path, manifest("a"))
    with pytest.raises(InputDataError), noted_evaluation(tmp_path, manifest("z", split="test")):
        raise InputDataError("begins elsewhere")
    assert read_manifest(tmp_path) == manifest("a")
    with pytest.raises(InputDataError), noted_evaluation(tmp_path, manifest("y", split="val")):
        (tmp_path / "tracker").mkdir()
        (tmp_path / "tracker" / "y.txt").write_text("1,2,3,4\n")
        raise InputDataError("a broken image, later")
    assert read_manifest(tmp_path).sequences == ("y",)
    with pytest.raises(KeyboardInterrupt), noted_evaluation(tmp_path, manifest("z", split="test")):
        raise KeyboardInterrupt
    assert read_manifest(tmp_path).sequences == ("z",)


def test_another_split_starts_a_new_list(tmp_path: Path) -> None:
    note_evaluation(tmp_path, manifest("a"))
    note_evaluation(tmp_path, manifest("z", split="test"))
    assert read_manifest(tmp_path).sequences == ("z",)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 1, "dataset": 3}', "null", '"x"'])
def test_what_is_no_note_is_named_and_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST_FILE).write_text(content)
    with pytest.raises(InputDataError, match="is not a note of trackcli eval"):
        read_manifest(tmp_path)
    note_evaluation(tmp_path, manifest("a"))
    assert read_manifest(tmp_path).sequences == ("a",)


def test_trackers_are_ranked_by_success(results: Path) -> None:
    evaluation = gather(results)
    assert [entrant.label for entrant in evaluation.entrants] == ["good", "poor"]
    good, poor = (entrant.result.score for entrant in evaluation.entrants)
    # calm: overlap 1 (20 of 21 thresholds). wild: 1, 12/20 = 0.6, 1, so 20, 12 and 20 of 21.
    assert good.success_auc == pytest.approx((20 / 21 + (20 + 12 + 20) / 63) / 2)
    # calm: overlap 8/24, 7 of 21 thresholds. wild: 1, 0, 0.
    assert poor.success_auc == pytest.approx((7 / 21 + 20 / 63) / 2)


def test_means_are_over_sequences_that_all_have_and_say_so(bench: Any, results: Path) -> None:
    (bench.results / "poor" / "calm.txt").unlink()
    evaluation = gather(results)
    assert list(evaluation.sequences.names) == ["wild"]
    assert evaluation.notes == (
        "poor lacks 1 of 2 sequences: calm",
        "all trackers are compared on the 1 sequences that each of them has",
    )


def test_of_a_tracker_evaluated_by_two_protocols_the_more_complete_results_are_shown(bench: Any, results: Path) -> None:
    for name in bench.sequences:
        trajectory = ResultStore(bench.results / "poor").read(name, 4)
        ResultStore(bench.results / "poor", Layout.GOT10K).write(name, trajectory)
    (bench.results / "poor" / "calm.txt").unlink()
    assert {one.label: one.store.layout for one in gather(results).entrants} == {
        "good": Layout.FLAT,
        "poor": Layout.GOT10K,
    }
    assert gather(results).notes == ()


def test_without_a_common_sequence_it_is_said_who_lacks_what(bench: Any, results: Path) -> None:
    (bench.results / "poor" / "calm.txt").unlink()
    (bench.results / "good" / "wild.txt").unlink()
    with pytest.raises(InputDataError, match=r"good lacks 1 of 2 sequences: wild; poor lacks 1 of 2 sequences: calm"):
        gather(results)


def test_a_moved_dataset_is_found_with_root(bench: Any, results: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.move(bench.root, moved)
    with pytest.raises(InputDataError, match=r"no longer at .*; say where it is with --root DIR"):
        gather(results)
    assert len(gather(results, root=moved).entrants) == 2


def test_results_without_a_note_need_the_root(bench: Any, results: Path) -> None:
    (results / MANIFEST_FILE).unlink()
    with pytest.raises(InputDataError, match="say where the dataset is with --root DIR"):
        gather(results)
    assert [entrant.label for entrant in gather(results, root=bench.root).entrants] == ["good", "poor"]


def test_with_a_root_a_damaged_note_does_not_matter(results: Path, bench: Any) -> None:
    (results / MANIFEST_FILE).write_text("{")
    with pytest.raises(InputDataError, match="or give --root"):
        gather(results)
    assert [entrant.label for entrant in gather(results, root=bench.root).entrants] == ["good", "poor"]


def test_results_from_elsewhere_take_part(bench: Any, results: Path, tmp_path: Path) -> None:
    shutil.move(bench.results / "poor", tmp_path / "foreign")
    noted = read_manifest(results)
    note_evaluation(results, Manifest(**{**vars(noted), "elsewhere": {"theirs": tmp_path / "foreign"}}))
    assert [entrant.label for entrant in gather(results).entrants] == ["good", "theirs"]


def test_a_damaged_note_on_one_tracker_keeps_nobody_from_the_numbers(bench: Any, results: Path) -> None:
    bench.claim("poor", bench.root)
    (results / "poor" / "tracker.json").write_text("{")
    assert [entrant.label for entrant in gather(results).entrants] == ["good", "poor"]


def test_results_on_other_data_of_the_same_names_are_left_out_and_said(bench: Any, results: Path) -> None:
    other = bench.root.with_name("other data")
    other.mkdir()
    bench.claim("good", bench.root)
    bench.claim("poor", other)
    evaluation = gather(results)
    assert [entrant.label for entrant in evaluation.entrants] == ["good"]
    assert evaluation.notes == (
        f"poor is left out: its results are on {other}, not on {bench.root}; run trackcli eval for it on the latter",
    )
    other.rmdir()  # the data was moved
    assert len(gather(results).entrants) == 2


def test_a_note_that_is_used_instead_of_what_was_asked_for_is_said(results: Path) -> None:
    assert gather(results, dataset="folder").notes == ()
    assert gather(results, dataset="otb100", split="val").notes == (
        "--dataset otb100 is not used: evaluation.json beside the results says folder",
        "--split val is not used: evaluation.json beside the results says that there is none",
    )


def test_results_without_a_note_are_of_the_split_that_is_evaluated_on_or_asked_for(tmp_path: Path) -> None:
    for split in ("train", "val"):
        name = f"GOT-10k_{split.title()}_000001"
        folder = tmp_path / "GOT-10k" / split / name
        folder.mkdir(parents=True)
        for index in (1, 2):
            cv2.imwrite(str(folder / f"{index:08d}.jpg"), np.zeros((24, 32, 3), np.uint8))
        (folder / "groundtruth.txt").write_text("4,5,8,6\n4,5,8,6\n")
        for label, value in (("cover", 8), ("absence", 0), ("cut_by_image", 0)):
            (folder / f"{label}.label").write_text(f"{value}\n" * 2)
        (folder.parent / "list.txt").write_text(f"{name}\n")
        (tmp_path / "theirs" / "SiamX").mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / "SiamX" / f"{name}.txt").write_text("4,5,8,6\n" * 2)
    found = [
        gather(tmp_path / "theirs", root=tmp_path / "GOT-10k", dataset="got10k", split=split).sequences.names
        for split in (None, "train")
    ]
    assert found == [("GOT-10k_Val_000001",), ("GOT-10k_Train_000001",)]


def test_results_of_other_toolkits_may_count_pixels_from_1_as_in_an_evaluation(bench: Any, results: Path) -> None:
    theirs = bench.results / "theirs"
    theirs.mkdir()
    for name in bench.sequences:
        (theirs / f"{name}.txt").write_text("21,21,16,12\n" * 4)
    entrant = next(entrant for entrant in gather(results).entrants if entrant.label == "theirs")
    assert entrant.result.score.mean_overlap == 1
    assert all(one.shifted for one in entrant.result.sequences)


def test_results_of_our_own_must_begin_where_the_sequence_does(bench: Any, results: Path) -> None:
    store = ResultStore(bench.results / "poor")
    with store.claimed("its weights"):
        pass
    (bench.results / "poor" / "wild.txt").write_text("21,21,16,12\n" * 4)
    with pytest.raises(InputDataError, match=r"wild\.txt begins at 21,21,16,12, but sequence wild at 20,20,16,12"):
        gather(results)


def test_a_results_folder_may_hold_several_datasets(results: Path) -> None:
    assert find_evaluations(results) == [results]
    assert find_evaluations(results.parent) == [results]
    assert find_evaluations(results.parent.parent) == []


def test_a_short_result_file_is_named(bench: Any, results: Path) -> None:
    (bench.results / "poor" / "wild.txt").write_text("20,20,16,12\n")
    with pytest.raises(InputDataError, match=r"wild\.txt has 1 line; expected 4"):
        gather(results)


def test_the_worst_frame_is_the_first_with_the_lowest_overlap(bench: Any) -> None:
    bench.sequence("clip")
    bench.result("one", "clip", bench.shifted(0, 100, 100))
    bench.result("two", "clip", bench.shifted(0, 100, 8))
    (worst,) = worst_frames(gather(bench.note()), 5)
    assert (worst.sequence, worst.frame, worst.frames, worst.size_wh) == ("clip", 2, 4, (80, 64))
    assert [(answer.label, answer.overlap) for answer in worst.answers] == [("two", 0.0), ("one", 0.0)]
    np.testing.assert_array_equal(worst.truth_xywh, bench.truth[2])
    assert worst.jpeg


def test_absent_frames_are_never_the_worst(bench: Any) -> None:
    nan = float("nan")
    bench.sequence("clip", [bench.truth[0], (nan, nan, nan, nan), bench.truth[0], bench.truth[0]])
    bench.result("one", "clip", bench.shifted(100, 0, 4))
    (worst,) = worst_frames(gather(bench.note()), 1)
    assert worst.frame == 3


def test_the_hardest_sequences_come_first(results: Path) -> None:
    assert [worst.sequence for worst in worst_frames(gather(results), 2)] == ["wild", "calm"]
    assert [worst.sequence for worst in worst_frames(gather(results), 1)] == ["wild"]


def test_a_missing_image_leaves_the_boxes(bench: Any, results: Path) -> None:
    for path in (bench.root / "wild" / "img").iterdir():
        path.write_bytes(b"")
    worst = worst_frames(gather(results), 1)[0]
    assert worst.jpeg == ""
    assert worst.size_wh == (36, 32)


def test_notes_are_json_that_another_program_can_read(results: Path) -> None:
    content = json.loads((results / MANIFEST_FILE).read_text())
    assert content["sequences"] == ["calm", "wild"]
    assert content["dataset"] == "folder"
