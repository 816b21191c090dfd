"""Archives for servers: what is written passes, and each rule is broken once to see it noticed."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackcli.errors import InputDataError, UsageError
from trackcli.evaluation.datasets import SequenceSet, load_folder_sequences
from trackcli.evaluation.layouts import Layout
from trackcli.evaluation.results import ResultStore, Trajectory
from trackcli.evaluation.submissions import SERVERS, check_submission, write_submission

GOT10K = replace(SERVERS["got10k"], sequences=2)
TRACKINGNET = replace(SERVERS["trackingnet"], sequences=2)
LENGTHS = {"one": 3, "two": 2}
LINES = ["1,2,8,6", "2,2,8,6", "3,2,8,6"]


def pack(*files: dict[str, str], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, text in (item for each in files for item in each.items()):
            archive.writestr(name, text)
    return content


def boxes(frames: int) -> str:
    return "".join(f"{line}\n" for line in LINES[:frames])


def flat() -> dict[str, str]:
    return {f"{name}.txt": boxes(frames) for name, frames in LENGTHS.items()}


def folders() -> dict[str, str]:
    files = {f"{name}/{name}_001.txt": boxes(frames) for name, frames in LENGTHS.items()}
    return {**files, **{f"{name}/{name}_time.txt": "0.1\n" * frames for name, frames in LENGTHS.items()}}


def test_good_archives_pass() -> None:
    assert check_submission(TRACKINGNET, pack(flat()), LENGTHS) == []
    assert check_submission(GOT10K, pack(folders()), LENGTHS) == []
    repeated = {f"{name}/{name}_{run:03d}.txt": boxes(frames) for name, frames in LENGTHS.items() for run in (2, 3)}
    times = {f"{name}/{name}_time.txt": "0.1,0.2,0.3\n" * frames for name, frames in LENGTHS.items()}
    assert check_submission(GOT10K, pack({**folders(), **repeated, **times}), LENGTHS) == []
    windows = {name: text.replace("\n", "\r\n") for name, text in flat().items()}
    assert check_submission(TRACKINGNET, pack(windows), LENGTHS) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({f"mine/{name}": text for name, text in flat().items()}, "mine/one.txt lies in a folder; expected all files"),
        ({"one.txt": boxes(3)}, "two.txt is missing"),
        ({**flat(), "readme.md": "hello"}, "readme.md is no result of a sequence"),
        ({**flat(), "one.txt": boxes(2)}, "one.txt has 2 lines for 3 frames"),
        (
            {**flat(), "one.txt": boxes(3).replace(",", " ")},
            "one.txt, line 1: '1 2 8 6'; expected x,y,w,h separated by",
        ),
        ({**flat(), "one.txt": boxes(3).replace(",", "\t")}, "one.txt, line 1: '1\\t2\\t8\\t6'; expected x,y,w,h"),
        ({**flat(), "one.txt": boxes(3).replace(",", ", ")}, "one.txt, line 1: '1, 2, 8, 6'; expected x,y,w,h"),
        (
            {**flat(), "one.txt": boxes(3).replace("2,2,8,6", "nan,nan,nan,nan")},
            "one.txt, line 2: 'nan,nan,nan,nan' is not",
        ),
        ({**flat(), "one.txt": boxes(3).replace("2,2,8,6", "2,2,0,6")}, "one.txt, line 2: '2,2,0,6' has no width or"),
        ({**flat(), "one.txt": boxes(3).replace("2,2,8,6", "2,2,8")}, "one.txt, line 2: '2,2,8'; expected x,y,w,h"),
        ({**flat(), "one.txt": boxes(3).replace("8", "1_0")}, "one.txt, line 1: '1,2,1_0,6'; expected x,y,w,h"),
        ({**flat(), "one.txt": boxes(3).replace("\n", "\f")}, "one.txt has 1 lines for 3 frames"),
        ({**flat(), "./one.txt": boxes(3)}, "./one.txt lies in a folder"),
        ({**flat(), "one.txt": "x,y,w,h\n" + boxes(3)}, "one.txt has 4 lines for 3 frames"),
        ({**flat(), "one.txt": "\ufeff" + boxes(3)}, "one.txt is no plain text"),
    ],
)
def test_what_trackingnet_would_reject_is_named(files: dict[str, str], complaint: str) -> None:
    assert check_submission(TRACKINGNET, pack(files), LENGTHS)[0].startswith(complaint)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (flat(), "one.txt lies in the wrong place; expected <sequence>/<sequence>_001.txt"),
        ({f"mine/{name}": text for name, text in folders().items()}, "mine/one/one_001.txt lies in the wrong place"),
        ({k: v for k, v in folders().items() if k != "two/two_001.txt"}, "two has the repetitions none; expected _001"),
        ({k: v for k, v in folders().items() if k != "two/two_time.txt"}, "two/two_time.txt is missing"),
        ({**folders(), "one/one_003.txt": boxes(3)}, "one has the repetitions _001, _003; expected _001, and perhaps"),
        ({**folders(), "one/one_confidence.txt": "1\n"}, "one/one_confidence.txt is not expected there"),
        ({**folders(), "one/_001.txt": boxes(3)}, "one/_001.txt is not expected there"),
        ({**folders(), "./one/one_001.txt": boxes(3)}, "./one/one_001.txt lies in the wrong place"),
        ({**folders(), "one//one_001.txt": boxes(3)}, "one//one_001.txt lies in the wrong place"),
        (
            {**folders(), "one/one_time.txt": "0.1\n0.1,0.2\n0.1\n"},
            "one/one_time.txt, line 2: '0.1,0.2'; expected seconds separated by commas, one per repetition (1)",
        ),
        ({**folders(), "__MACOSX/one": ""}, "__MACOSX/one lies in the wrong place"),
        ({**folders(), "one/one_001.txt": boxes(3).replace(",", " ")}, "one/one_001.txt, line 1: '1 2 8 6'; expected"),
        ({**folders(), "one/one_001.txt": boxes(2)}, "one/one_001.txt has 2 lines for 3 frames"),
        ({**folders(), "one/one_time.txt": "0.1\n"}, "one/one_time.txt has 1 lines for 3 frames"),
        ({**folders(), "one/one_time.txt": "0.1\nnan\n0.1\n"}, "one/one_time.txt, line 2: 'nan'; expected seconds"),
    ],
)
def test_what_got10k_would_reject_is_named(files: dict[str, str], complaint: str) -> None:
    assert check_submission(GOT10K, pack(files), LENGTHS)[0].startswith(complaint)


def test_what_is_no_archive_says_so() -> None:
    (problem,) = check_submission(GOT10K, io.BytesIO(b"no archive"), LENGTHS)
    assert problem.startswith("it cannot be opened as a zip archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_named() -> None:
    archive = pack(flat(), {"one.txt": boxes(3)})
    assert check_submission(TRACKINGNET, archive, LENGTHS) == ["one.txt is in it 2 times"]


def test_an_archive_that_would_fill_the_memory_is_not_unpacked() -> None:
    archive = pack({f"{index}.txt": "0" * 2**24 for index in range(5)}, compression=zipfile.ZIP_DEFLATED)
    (problem,) = check_submission(TRACKINGNET, archive, LENGTHS)
    assert problem == "it is too large; expected at most 10000 files, unpacked 64 MiB in all"


def test_a_damaged_archive_says_so() -> None:
    content = pack({"one.txt": boxes(3) * 99}, compression=zipfile.ZIP_DEFLATED).getvalue()
    damaged = content[:40] + b"\xff" * 10 + content[50:]
    (problem,) = check_submission(TRACKINGNET, io.BytesIO(damaged), LENGTHS)
    assert problem.startswith("it cannot be opened as a zip archive")


@pytest.fixture
def sequences(make_sequence, tmp_path: Path) -> SequenceSet:
    for name, frames in LENGTHS.items():
        make_sequence(name, LINES[:frames])
    return load_folder_sequences(tmp_path / "data")


def trajectory(frames: int, *, bad: float = 0) -> Trajectory:
    rows = np.array([[1 + index, 2, 8 + 1e-7 * index, 6] for index in range(frames)])
    rows[1, 0] += bad
    return Trajectory(rows, np.ones(frames), np.full(frames, 0.01))


@pytest.mark.parametrize(
    ("server", "layout", "members"),
    [
        (TRACKINGNET, Layout.FLAT, ["one.txt", "two.txt"]),
        (
            GOT10K,
            Layout.GOT10K,
            [
                "one/one_001.txt",
                "one/one_002.txt",
                "one/one_time.txt",
                "two/two_001.txt",
                "two/two_002.txt",
                "two/two_time.txt",
            ],
        ),
    ],
)
def test_what_is_written_passes_and_keeps_decimals(sequences, tmp_path: Path, server, layout, members) -> None:
    store = ResultStore(tmp_path / "results", layout)
    for name, frames in LENGTHS.items():
        store.write(name, trajectory(frames, bad=0.1234), trajectory(frames))
    path = tmp_path / "out.zip"
    write_submission(server, store, sequences, path)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == members
        assert archive.read(members[0]).decode().splitlines()[1] == "2.1234,2.0000,8.0000,6.0000"
    assert check_submission(server, path, LENGTHS) == []
    first = path.read_bytes()
    write_submission(server, store, sequences, path)
    assert path.read_bytes() == first


def test_nothing_is_written_if_the_server_would_reject_it(sequences, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    for name, frames in LENGTHS.items():
        boxes = trajectory(frames).boxes_xywh
        boxes[1, 2] = 0
        store.write(name, Trajectory(boxes, np.ones(frames), np.ones(frames)))
    with pytest.raises(InputDataError) as caught:
        write_submission(TRACKINGNET, store, sequences, tmp_path / "out.zip")
    assert str(caught.value) == (
        f"the results in {store.folder} would be rejected: one.txt, line 2: '2.0000,2.0000,0.0000,6.0000' has no "
        "width or height (and 1 more); nothing was written"
    )
    assert not (tmp_path / "out.zip").exists()


def test_a_missing_result_is_named(sequences, tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    with pytest.raises(InputDataError, match=re.escape(f"{tmp_path / 'results' / 'one.txt'} is missing")):
        write_submission(TRACKINGNET, store, sequences, tmp_path / "out.zip")


def test_half_a_test_set_is_refused(sequences, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was given 1 sequences; expected all 2 of the test set"):
        write_submission(GOT10K, ResultStore(tmp_path), sequences[:1], tmp_path / "out.zip")
    with pytest.raises(UsageError, match=r"is no archive; expected a name that ends in \.zip"):
        write_submission(GOT10K, ResultStore(tmp_path), sequences, tmp_path / "out")
