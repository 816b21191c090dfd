from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from trackcli_cache.errors import CacheError

from trackcli.errors import InputDataError, ShapeError, UsageError
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.text_tables import read_table, write_table

TRAJECTORY = Trajectory(
    boxes_xywh=np.array([[1, 2, 8, 6], [1.25, 2, 8.1, 6], [0, 0, 0, 0]]),
    scores=np.array([1, 0.5, 0.1]),
    seconds=np.array([0.25, 0.5, 1e-7]),
)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "out" / "folder" / "hold")


def write(store: ResultStore, *sequences: str, fingerprint: str = "a", replace: bool = False) -> None:
    with store.claimed(fingerprint, replace=replace):
        for sequence in sequences:
            store.write(sequence, TRAJECTORY)


def test_files_have_the_names_and_lines_that_people_exchange(store: ResultStore) -> None:
    write(store, "clip")
    assert (store.folder / "clip.txt").read_text() == "1.0,2.0,8.0,6.0\n1.25,2.0,8.1,6.0\n0.0,0.0,0.0,0.0\n"
    assert (store.folder / "clip_confidence.txt").read_text() == "1.0\n0.5\n0.1\n"
    assert (store.folder / "clip_time.txt").read_text() == "0.25\n0.5\n1e-07\n"


def test_what_is_written_is_read_back(store: ResultStore) -> None:
    write(store, "clip")
    read = store.read("clip", 3)
    np.testing.assert_array_equal(read.boxes_xywh, TRAJECTORY.boxes_xywh)
    np.testing.assert_array_equal(read.scores, TRAJECTORY.scores)
    np.testing.assert_array_equal(read.seconds, TRAJECTORY.seconds)
    assert read.total_seconds == TRAJECTORY.total_seconds


@given(arrays(np.float64, (3, 4), elements=st.floats()))
def test_every_float_survives_being_written(tmp_path_factory: pytest.TempPathFactory, rows: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("tables") / "table.txt"
    write_table(path, rows)
    np.testing.assert_array_equal(read_table(path, "xywh"), rows)


def test_a_result_is_there_when_its_boxes_are(store: ResultStore) -> None:
    assert not store.has("clip")
    write(store, "clip")
    assert store.has("clip")
    (store.folder / "clip.txt").unlink()
    assert not store.has("clip")


@pytest.mark.parametrize("separator", [",", "\t", " ", ", "])
def test_results_of_other_toolkits_need_neither_times_nor_scores(store: ResultStore, separator: str) -> None:
    store.folder.mkdir(parents=True)
    lines = [separator.join(("1", "2", "8.5", "6")), separator.join(("3", "4", "8.5", "6"))]
    (store.folder / "clip.txt").write_text("\n".join(lines))
    read = store.read("clip", 2)
    assert read.boxes_xywh.tolist() == [[1, 2, 8.5, 6], [3, 4, 8.5, 6]]
    assert np.isnan(read.scores).all()
    assert np.isnan(read.total_seconds)


@pytest.mark.parametrize("name", ["clip.txt", "clip_time.txt", "clip_confidence.txt"])
def test_a_short_file_is_named_with_what_was_found_and_expected(store: ResultStore, name: str) -> None:
    write(store, "clip")
    path = store.folder / name
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(InputDataError) as caught:
        store.read("clip", 3)
    assert str(caught.value) == (
        f"{path} has 2 lines; expected 3, one per frame of the sequence; track it again with --force"
    )


@pytest.mark.parametrize("line", ["nan,nan,nan,nan", "1,2,NaN,6", "1,2,8,inf", "-inf 2 8 6"])
def test_a_box_that_is_not_finite_is_named_with_file_and_line(store: ResultStore, line: str) -> None:
    write(store, "clip")
    path = store.folder / "clip.txt"
    path.write_text(f"1,2,8,6\n{line}\n3,2,8,6\n")
    with pytest.raises(InputDataError) as caught:
        store.read("clip", 3)
    assert str(caught.value) == (
        f"{path}, line 2: {line!r} is not finite; expected x,y,w,h in numbers; where nothing was found, write 0,0,0,0"
    )


def test_times_and_scores_may_be_unknown(store: ResultStore) -> None:
    write(store, "clip")
    for name in ("clip_time.txt", "clip_confidence.txt"):
        (store.folder / name).write_text("nan\n0.5\nnan\n")
    read = store.read("clip", 3)
    np.testing.assert_array_equal(read.scores, [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(read.seconds, [np.nan, 0.5, np.nan])


def test_a_malformed_result_is_named_with_file_and_line(store: ResultStore) -> None:
    write(store, "clip")
    path = store.folder / "clip_time.txt"
    path.write_text("0.1\nslow\n0.1\n")
    with pytest.raises(InputDataError) as caught:
        store.read("clip", 3)
    assert str(caught.value) == (f"{path}, line 2: 'slow' is not seconds; expected one number")


def test_a_binary_result_is_refused(store: ResultStore) -> None:
    write(store, "clip")
    (store.folder / "clip.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputDataError, match=r"clip\.txt is not text; expected a text file with x,y,w,h on each line"):
        store.read("clip", 3)


def test_results_of_two_trackers_are_not_mixed(store: ResultStore) -> None:
    write(store, "clip", fingerprint="a")
    with pytest.raises(UsageError, match=re.escape(f"{store.folder} holds results of another tracker of this name")):
        write(store, "other", fingerprint="b")
    assert store.has("clip")
    assert not store.has("other")


def test_results_on_two_sets_of_data_are_not_mixed(store: ResultStore, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    with store.claimed("a", here):
        store.write("clip", TRAJECTORY)
    with pytest.raises(UsageError) as caught, store.claimed("a", there):
        pass
    assert str(caught.value) == (
        f"{store.folder} holds results on {here}; expected results on {there}; choose another --output, or replace "
        "them with --force"
    )
    assert (store.root, store.has("clip")) == (here, True)
    with store.claimed("a", there, replace=True):
        assert (store.root, store.has("clip")) == (there, False)


def test_data_that_was_moved_keeps_its_results(store: ResultStore, tmp_path: Path) -> None:
    with store.claimed("a", tmp_path / "gone"):
        store.write("clip", TRAJECTORY)
    with store.claimed("a", tmp_path):
        assert (store.root, store.has("clip")) == (tmp_path, True)


def test_a_note_of_an_earlier_build_does_not_say_on_which_data(store: ResultStore, tmp_path: Path) -> None:
    write(store, "clip")
    assert store.root is None
    with store.claimed("a", tmp_path):
        assert (store.root, store.has("clip")) == (tmp_path, True)


def test_replacing_another_tracker_removes_all_its_results(store: ResultStore) -> None:
    write(store, "clip", "left over", fingerprint="a")
    write(store, "clip", fingerprint="b", replace=True)
    assert sorted(path.name for path in store.folder.glob("*.txt")) == [
        "clip.txt",
        "clip_confidence.txt",
        "clip_time.txt",
    ]


def test_replacing_the_same_tracker_s_results_keeps_the_others(store: ResultStore) -> None:
    write(store, "clip", "other")
    write(store, "clip", replace=True)
    assert store.has("other")


@pytest.mark.parametrize("layout", [Layout.FLAT, Layout.GOT10K])
def test_fewer_repetitions_replace_more(tmp_path: Path, layout: Layout) -> None:
    fewer, more = (ResultStore(tmp_path / name, layout) for name in ("fewer", "more"))
    with more.claimed("a"):
        more.write("clip", TRAJECTORY, TRAJECTORY, TRAJECTORY)
        assert more.repetitions("clip") == 3
        more.write("clip", TRAJECTORY)
    with fewer.claimed("a"):
        fewer.write("clip", TRAJECTORY)

    def files(store: ResultStore) -> dict[str, bytes]:
        return {str(path.relative_to(store.folder)): path.read_bytes() for path in store.folder.rglob("*.txt")}

    assert files(more) == files(fewer)


def test_an_unreadable_note_says_what_to_do(store: ResultStore) -> None:
    write(store, "clip")
    (store.folder / "tracker.json").write_text(json.dumps(["not", "a", "note"]))
    with pytest.raises(InputDataError, match=r"tracker\.json does not say whose results are beside it"):
        write(store, "clip")


def test_two_processes_do_not_write_to_one_folder(store: ResultStore) -> None:
    with store.claimed("a"), pytest.raises(CacheError, match=re.escape(str(store.folder))):
        write(store, "clip")


def test_a_trajectory_s_parts_must_be_equally_long() -> None:
    with pytest.raises(ShapeError, match=r"boxes \(2, 4\), scores \(3,\) and seconds \(2,\)"):
        Trajectory(np.zeros((2, 4)), np.zeros(3), np.zeros(2))
