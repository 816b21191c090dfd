import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackcli.errors import UsageError
from trackcli.tracking.run import TrackedFrame
from trackcli.video.results import format_number, open_results, results_to


def frame(index, *boxes_xyxy, scores=None):
    boxes = np.array(boxes_xyxy, dtype=float)
    return TrackedFrame(index, index / 25, None, boxes, np.array(scores or [0.5] * len(boxes)))


def write(path, names, frames):
    with open_results(path, names) as results:
        for each in frames:
            results.write(each)
    return path.read_text(encoding="utf-8")


def test_text_has_one_box_per_frame(tmp_path):
    frames = [frame(3, [10, 20, 30.5, 40.25]), frame(4, [1 / 3, 0, 10 + 1 / 3, 5.00004])]
    assert write(tmp_path / "out.txt", ["1"], frames) == "10,20,20.5,20.25\n0.333,0,10,5\n"


def test_csv_has_a_header_and_a_line_per_frame_and_target(tmp_path):
    text = write(tmp_path / "out.csv", ["a", "b"], [frame(7, [0, 0, 2, 3], [1, 1, 4, 5.5], scores=[1.0, 0.98765])])
    assert text == "frame,time,target,x,y,w,h,score\n7,0.28,a,0,0,2,3,1\n7,0.28,b,1,1,3,4.5,0.9877\n"


def test_json_lines_have_an_object_per_frame_and_target(tmp_path):
    text = write(tmp_path / "out.jsonl", ["кот"], [frame(7, [0, 0, 2, 3.12345], scores=[0.25])])
    assert text.endswith("\n")
    assert json.loads(text) == {"frame": 7, "time": 0.28, "target": "кот", "box": [0, 0, 2, 3.123], "score": 0.25}


def test_a_score_that_is_not_known_is_null_in_json(tmp_path):
    text = write(tmp_path / "out.jsonl", ["1"], [frame(0, [0, 0, 2, 3], scores=[float("nan")])])
    assert json.loads(text, parse_constant=pytest.fail)["score"] is None


@pytest.mark.parametrize("name", ["a,b", 'say "cat"', "=1+1", "[red]"])
def test_names_survive_csv(tmp_path, name):
    text = write(tmp_path / "out.csv", [name], [frame(0, [0, 0, 1, 1])])
    assert next(csv.DictReader(text.splitlines()))["target"] == name


def test_text_for_several_targets_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds one target, but 2 were given; use .csv or .jsonl"):
        open_results(tmp_path / "out.txt", ["a", "b"])


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"unknown suffix; expected one of .txt, .csv, .jsonl"):
        open_results(tmp_path / "out.xml", ["a"])


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be written: No such file or directory; choose a folder"):
        open_results(tmp_path / "none" / "out.csv", ["a"])


def test_what_was_there_before_is_gone(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old\n" * 100)
    assert write(path, ["1"], [frame(0, [0, 0, 1, 1])]) == "0,0,1,1\n"


def test_lines_are_on_disk_before_the_file_is_closed(tmp_path):
    path = tmp_path / "out.txt"
    with open_results(path, ["1"]) as results:
        results.write(frame(0, [0, 0, 1, 1]))
        assert path.read_text() == "0,0,1,1\n"


def test_a_reader_that_left_is_told_as_a_broken_pipe():
    reading, writing = os.pipe()
    results = results_to(writing, ["1"])
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        results.write(frame(0, [0, 0, 1, 1]))
    results.close()
    os.close(writing)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_program_leaves_whole_lines(tmp_path):
    path = tmp_path / "out.csv"
    program = f"""
import numpy as np
from pathlib import Path
from trackcli.tracking.run import TrackedFrame
from trackcli.video.results import open_results
boxes, scores = np.random.default_rng(0).random((50, 4)), np.ones(50)
with open_results(Path({str(path)!r}), [str(number) for number in range(50)]) as results:
    for index in range(10**9):
        results.write(TrackedFrame(index, index / 25, None, boxes, scores))
        if index == 20:
            print("going", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"going\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait(timeout=20)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) > 1000
    assert len(lines) % 50 == 1, "a header and whole frames"
    assert all(line.count(",") == 7 and line.endswith("\n") for line in lines)


@pytest.mark.parametrize(
    ("value", "text"), [(12.0, "12"), (12.5, "12.5"), (1 / 3, "0.333"), (-0.0001, "0"), (100, "100"), (1e6, "1000000")]
)
def test_numbers_have_no_more_digits_than_they_need(value, text):
    assert format_number(value) == text


@given(st.floats(-1e6, 1e6))
def test_numbers_are_within_half_of_the_last_decimal(value):
    assert abs(float(format_number(value)) - value) <= 0.0005 + 1e-9


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on file sizes")
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_a_full_disk_leaves_whole_lines_only(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    program = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from trackcli.errors import TrackcliError\n"
        "from trackcli.tracking.run import TrackedFrame\n"
        "from trackcli.video.results import open_results\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (301, 301))\n"
        "with open_results(Path(sys.argv[1]), ['1']) as results:\n"
        "    try:\n"
        "        for index in range(100):\n"
        "            box = np.array([[10.5, 20.5, 30.5, 40.5]])\n"
        "            results.write(TrackedFrame(index, index / 25, None, box, np.array([0.5])))\n"
        "    except TrackcliError as error:\n"
        "        print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"writing to '{path}' failed: File too large" in result.stdout
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert 200 < len(text) <= 301
