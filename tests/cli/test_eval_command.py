from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


def run_eval(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackcli.cli.main", "eval", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def write_sequence(folder: Path, boxes: list[str]) -> None:
    (folder / "img").mkdir(parents=True)
    for index in range(len(boxes)):
        picture = np.random.default_rng(index).integers(0, 255, (64, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "img" / f"{index:04d}.jpg"), picture)
    (folder / "groundtruth.txt").write_text("\n".join(boxes) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "clips [/red]"
    write_sequence(root / "still", ["20,20,16,12"] * 3)
    write_sequence(root / "moves", ["20,20,16,12", "nan,nan,nan,nan", "28,20,16,12"])
    return root


def test_one_tracker_prints_a_row_per_sequence_and_the_mean(root: Path) -> None:
    done = run_eval("--tracker", "hold", "--root", root)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["tracker", "hold"]
    assert rows[3][:6] == ["moves", "3", "0.333", "1.000", "0.000", "0.333"]  # 7 of 21 thresholds; off by w/2 = 8 px
    assert rows[4][:6] == ["still", "3", "0.952", "1.000", "1.000", "1.000"]
    assert rows[6][:8] == ["mean", "of", "2", "6", "0.643", "1.000", "0.500", "0.667"]
    assert done.stderr == ""


def test_several_trackers_print_one_row_each(root: Path) -> None:
    done = run_eval("--tracker", "hold", "--tracker", "again=hold", "--root", root)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows[2:]] == ["hold", "again"]
    assert rows[2][1:5] == ["0.643", "1.000", "0.500", "0.667"]


def test_json_is_one_object_and_nothing_else(root: Path) -> None:
    done = run_eval("--tracker", "hold", "--root", root, "--sequences", "st*", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["dataset"], data["root"], data["output"]) == ("folder", str(root), None)
    (tracker,) = data["trackers"]
    assert (tracker["tracker"], tracker["mean_overlap"], tracker["frames"]) == ("hold", 1, 3)
    assert [sequence["name"] for sequence in tracker["sequences"]] == ["still"]
    assert done.stderr == ""


def test_a_second_run_reuses_what_the_first_kept_and_says_so(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ("--tracker", "hold", "--root", root, "-o", output)
    first, second = run_eval(*arguments), run_eval(*arguments)
    assert second.stdout == first.stdout
    assert second.stderr == (
        f"hold: reused 2 of 2 results found in {output / 'folder' / 'hold'}; --force tracks them again\n"
        f"results are in {output / 'folder'}\n"
    )
    assert (output / "folder" / "hold" / "still.txt").read_text() == "20.0,20.0,16.0,12.0\n" * 3
    forced = run_eval(*arguments, "--force", "-q")
    assert (forced.returncode, forced.stderr) == (0, "")


def test_bad_ground_truth_is_named_with_file_and_line_and_exits_3(root: Path) -> None:
    truth = root / "still" / "groundtruth.txt"
    truth.write_text("20,20,16,12\n20;20;16;12\n20,20,16,12\n")
    done = run_eval("--tracker", "hold", "--root", root)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {truth}, line 2: '20;20;16;12' is not x,y,w,h; expected 4 numbers separated by commas, tabs or "
        "spaces\n"
    )


def test_a_short_result_file_exits_3(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "folder" / "hold"
    folder.mkdir(parents=True)
    (folder / "still.txt").write_text("20,20,16,12\n")
    done = run_eval("--tracker", "hold", "--root", root, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert f"error: {folder / 'still.txt'} has 1 line; expected 3" in done.stderr


def test_errors_are_json_too_when_asked_for(tmp_path: Path) -> None:
    done = run_eval("--tracker", "hold", "--root", tmp_path / "nowhere", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["exit_code"] == 3
    assert done.stderr == ""


@pytest.mark.parametrize(
    "wrong", [("--tracker", "no-such-tracker"), ("--sequences", "zebra"), ("--dataset", "fodler"), ("--traker", "hold")]
)
def test_unknown_names_exit_2(root: Path, wrong: tuple[str, str]) -> None:
    done = (
        run_eval("--root", root, *wrong) if "--tracker" in wrong else run_eval("--tracker=hold", "--root", root, *wrong)
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_root_is_asked_for() -> None:
    done = run_eval("--tracker", "hold")
    assert done.returncode == 2
    assert "--root" in done.stderr


def test_a_composed_tracker_is_evaluated(root: Path, tmp_path: Path, untrained_tracker: Path) -> None:
    output = tmp_path / "out"
    arguments = ("--root", root, "--tracker", untrained_tracker, "--tracker", "hold", "--device", "cpu", "-o", output)
    done = run_eval(*arguments, "--json")
    assert done.returncode == 0, done.stderr or done.stdout
    untrained, hold = json.loads(done.stdout)["trackers"]
    assert (untrained["tracker"], hold["tracker"]) == ("untrained", "hold")
    assert untrained["fps"] > 0
    assert {"decode", "network"} <= set(untrained["milliseconds"])
    boxes = np.loadtxt(output / "folder" / "untrained" / "moves.txt", delimiter=",")
    assert boxes.shape == (3, 4)
    assert np.isfinite(boxes).all()
