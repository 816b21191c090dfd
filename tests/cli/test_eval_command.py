from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import TrainCommand


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


def test_all_repetitions_that_were_kept_count_unless_fewer_are_asked_for(
    root: Path, tmp_path: Path, trackcli_here: TrainCommand
) -> None:
    arguments = ("--tracker", "hold", "--root", root, "-o", tmp_path / "out", "--json")
    trackcli_here("eval", *arguments, "--repeat", 2, "--sequences", "still")
    second = tmp_path / "out" / "folder" / "hold" / "repeat_002" / "still.txt"
    second.write_text("20,20,16,12\n" + "60,20,16,12\n" * 2)

    def overlaps(evaluation: dict) -> dict[str, tuple[int, float]]:
        (tracker,) = evaluation["trackers"]
        return {one["name"]: (one["repetitions"], one["mean_overlap"]) for one in tracker["sequences"]}

    evaluated = overlaps(json.loads(trackcli_here("eval", *arguments).stdout))
    assert evaluated == {"still": (2, 0.5), "moves": (1, pytest.approx(1 / 3))}
    (reported,) = json.loads(trackcli_here("report", tmp_path / "out", "--json").stdout)["evaluations"]
    assert overlaps(reported) == evaluated
    once = overlaps(json.loads(trackcli_here("eval", *arguments, "--repeat", 1).stdout))
    assert once["still"] == (1, 1)


def test_bad_ground_truth_is_named_with_file_and_line_and_exits_3(root: Path) -> None:
    truth = root / "still" / "groundtruth.txt"
    truth.write_text("20,20,16,12\n20|20|16|12\n20,20,16,12\n")
    done = run_eval("--tracker", "hold", "--root", root)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {truth}, line 2: '20|20|16|12' is not a box; expected x,y,w,h")
    assert len(done.stderr.splitlines()) == 1


BOX = "20,20,16,12"
BAD_RESULTS = [
    pytest.param([BOX], " has 1 line; expected 3, one per frame of the sequence", id="short"),
    pytest.param([BOX] * 4, " has 4 lines; expected 3, one per frame of the sequence", id="long"),
    pytest.param([BOX, "nan,nan,nan,nan", BOX], ", line 2: 'nan,nan,nan,nan' is not finite", id="nan"),
    pytest.param([BOX, BOX, "20;20;16;12"], ", line 3: '20;20;16;12' is not x,y,w,h", id="separator"),
    pytest.param([BOX, "20,20,16", BOX], ", line 2: '20,20,16' is not x,y,w,h; expected 4 numbers", id="a number lost"),
]


@pytest.mark.parametrize(("lines", "complaint"), BAD_RESULTS)
@pytest.mark.parametrize("foreign", [False, True], ids=["our own", "foreign"])
def test_a_bad_result_file_is_named_with_its_line_and_exits_3(
    root: Path, trackcli_here: TrainCommand, lines: list[str], complaint: str, foreign: bool
) -> None:
    beside = root.parent
    folder = beside / "SiamX" if foreign else beside / "out" / "folder" / "hold"
    folder.mkdir(parents=True)
    (folder / "still.txt").write_text("\n".join(lines) + "\n")
    (folder / "moves.txt").write_text(f"{BOX}\n" * 3)
    source = ("--tracker", folder) if foreign else ("--tracker", "hold", "-o", beside / "out")
    done = trackcli_here("eval", *source, "--root", root, "-q", code=3)
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {folder / 'still.txt'}{complaint}")
    assert len(done.stderr.splitlines()) == 1


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


def test_a_second_run_in_processes_has_nothing_to_do(root: Path, tmp_path: Path) -> None:
    arguments = ("--root", root, "--tracker", "hold", "-o", tmp_path / "out", "--jobs", 2, "--json")
    first, second = run_eval(*arguments), run_eval(*arguments)
    assert second.returncode == 0, second.stdout
    assert all(one["reused"] for one in json.loads(second.stdout)["trackers"][0]["sequences"])
    assert not any(one["reused"] for one in json.loads(first.stdout)["trackers"][0]["sequences"])


def test_results_of_another_tracker_are_refused_before_anything_is_tracked(
    root: Path, tmp_path: Path, untrained_tracker: Path
) -> None:
    output = tmp_path / "out"
    assert run_eval("--root", root, "--tracker", "a=hold", "-o", output).returncode == 0
    done = run_eval("--root", root, "--tracker", "b=hold", "--tracker", f"a={untrained_tracker}", "-o", output)
    assert done.returncode == 2
    assert f"{output / 'folder' / 'a'} holds results of another tracker of this name" in done.stderr
    assert not (output / "folder" / "b").exists()


def test_results_on_other_data_are_refused_before_anything_is_tracked(
    root: Path, tmp_path: Path, trackcli_here: TrainCommand
) -> None:
    other = shutil.copytree(root, tmp_path / "noisy")
    arguments = ("eval", "--tracker", "hold", "-o", tmp_path / "out")
    trackcli_here(*arguments, "--root", root)
    done = trackcli_here(*arguments, "--root", other, code=2)
    assert f"{tmp_path / 'out' / 'folder' / 'hold'} holds results on {root}; expected results on {other}" in done.stderr
    shutil.rmtree(root)
    assert "reused 2 of 2" in trackcli_here(*arguments, "--root", other).stderr


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


def test_bf16_is_what_all_processes_compute_in(root: Path, tmp_path: Path, untrained_tracker: Path) -> None:
    boxes = {}
    for name, options in {
        "fp32": (),
        "bf16": ("--precision", "bf16"),
        "jobs": ("--precision", "bf16", "--jobs", 2),
    }.items():
        output = tmp_path / name
        done = run_eval(
            "--root", root, "--tracker", untrained_tracker, "--device", "cpu", "-o", output, "--json", *options
        )
        assert done.returncode == 0, done.stderr or done.stdout
        assert json.loads(done.stdout)["precision"] == ("fp32" if name == "fp32" else "bf16")
        boxes[name] = np.loadtxt(output / "folder" / "untrained" / "moves.txt", delimiter=",")
    assert (boxes["fp32"] != boxes["bf16"]).any()
    np.testing.assert_allclose(boxes["jobs"], boxes["bf16"], atol=0.05)
    assert np.abs(boxes["jobs"] - boxes["fp32"]).max() > 0.05


def table_row(done: subprocess.CompletedProcess[str], name: str) -> list[str]:
    """Cells of a row after its name."""
    return next(line.split()[1:] for line in done.stdout.splitlines() if line.split()[:1] == [name])


def test_a_name_that_is_tracked_now_is_no_longer_that_of_results_elsewhere(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run_eval("--tracker", "hold", "--root", root, "-o", tmp_path / "theirs")
    for source, elsewhere in ((tmp_path / "theirs" / "folder" / "hold", {"x"}), ("hold", set())):
        done = run_eval("--tracker", f"x={source}", "--root", root, "-o", output)
        assert done.returncode == 0, done.stderr
        assert json.loads((output / "folder" / "evaluation.json").read_text())["elsewhere"].keys() == elsewhere


def test_variants_count_the_same_results_differently(root: Path) -> None:
    arguments = ("--tracker", "hold", "--root", root, "--sequences", "moves")
    ours, pysot, otb = (run_eval(*arguments, "--variant", name) for name in ("trackcli", "pysot", "otb"))
    # overlap 1/3 in frame 2, none in frame 1, and frame 0 which two of them count
    assert table_row(ours, "moves")[:3] == ["3", "0.333", "1.000"]
    assert table_row(pysot, "moves")[:3] == ["3", f"{(20 + 7) / 21 / 3:.3f}", "1.000"]
    assert table_row(otb, "moves")[:3] == ["3", f"{(20 + 7) / 21 / 2:.3f}", "1.000"]


def test_the_got10k_protocol_shows_its_measures_and_keeps_its_layout(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = run_eval("--tracker", "hold", "--root", root, "--protocol", "got10k", "-o", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["sequence", "frames", "AO", "SR0.50", "SR0.75", "fps"]
    files = sorted(path.name for path in (output / "folder" / "hold" / "still").iterdir())
    assert files == ["still_001.txt", "still_confidence.txt", "still_time.txt"]


def test_a_folder_of_foreign_results_is_read_and_said_to_be(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "SiamX"
    folder.mkdir()
    (folder / "still.txt").write_text("20\t20\t16\t12\n" * 3)
    (folder / "moves.txt").write_text("20\t20\t16\t12\n" * 3)
    done = run_eval("--tracker", folder, "--tracker", "hold", "--root", root)
    assert done.returncode == 0, done.stderr
    assert table_row(done, "SiamX")[:4] == table_row(done, "hold")[:4] == ["0.643", "1.000", "0.500", "0.667"]
    assert done.stderr == f"SiamX: reading results in the flat layout from {folder}\n"


def test_a_foreign_folder_without_a_sequence_exits_3(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "SiamX"
    folder.mkdir()
    (folder / "still.txt").write_text("20,20,16,12\n" * 3)
    done = run_eval("--tracker", folder, "--root", root)
    assert done.returncode == 3
    assert f"lacks results of 1 of 2 sequences, first {folder / 'moves.txt'}" in done.stderr


def test_several_jobs_print_the_same_table(root: Path, tmp_path: Path) -> None:
    one, two = (
        run_eval("--tracker", "hold", "--root", root, "--jobs", jobs, "-o", tmp_path / str(jobs)) for jobs in (1, 2)
    )
    assert two.returncode == 0, two.stderr
    for name in ("moves", "still", "mean"):
        assert table_row(two, name)[:5] == table_row(one, name)[:5]
    files = [(tmp_path / jobs / "folder" / "hold" / "still.txt").read_bytes() for jobs in ("1", "2")]
    assert files[0] == files[1]


def test_a_tracker_without_a_batched_step_says_so_and_is_tracked_alone(root: Path) -> None:
    done = run_eval("--tracker", "hold", "--root", root, "--batch", "4")
    assert done.returncode == 0
    assert done.stderr == "hold: has no batched step; tracking one sequence at a time\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--variant", "pysto"), "--variant pysto is unknown; did you mean 'pysot'?"),
        (("--protocol", "vto"), "--protocol vto is unknown"),
        (("--jobs", "2", "--batch", "2"), "--jobs and --batch are two ways to do the same; expected one of them"),
        (("--split", "test"), "split 'test' is unknown for dataset 'folder'"),
        (("--submit", "got10k"), "--submit got10k needs the archive to write; add -o OUT.zip"),
        (("--submit", "otb", "-o", "x.zip"), "--submit otb is unknown"),
    ],
)
def test_options_that_make_no_sense_exit_2_and_say_why(root: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = run_eval("--tracker", "hold", "--root", root, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {complaint}")


@pytest.fixture
def got10k_test(tmp_path: Path) -> Path:
    """A test set in GOT-10k's layout: 180 sequences of which only the first box is known."""
    root = tmp_path / "GOT-10k"
    names = [f"GOT-10k_Test_{number:06d}" for number in range(1, 181)]
    _, picture = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))
    for name in names:
        folder = root / "test" / name
        folder.mkdir(parents=True)
        for index in (1, 2, 3):
            (folder / f"{index:08d}.jpg").write_bytes(picture.tobytes())
        (folder / "groundtruth.txt").write_text("4.5,5,8,6\n")
    (root / "test" / "list.txt").write_text("\n".join(names) + "\n")
    return root


def test_a_submission_is_tracked_packed_and_said_to_be_ready(got10k_test: Path, tmp_path: Path) -> None:
    archive = tmp_path / "mine.zip"
    done = run_eval("--tracker", "hold", "--root", got10k_test, "--submit", "got10k", "-o", archive)
    assert done.returncode == 0, done.stderr
    assert f"{archive} is ready for the server of got10k" in done.stderr
    with zipfile.ZipFile(archive) as opened:
        assert len(opened.namelist()) == 360
        text = opened.read("GOT-10k_Test_000180/GOT-10k_Test_000180_001.txt").decode()
    assert text == "4.5000,5.0000,8.0000,6.0000\n" * 3
    assert (tmp_path / "mine" / "got10k" / "hold" / "GOT-10k_Test_000001" / "GOT-10k_Test_000001_001.txt").is_file()
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[3][:5] == ["GOT-10k_Test_000001", "3", "-", "-", "-"]
    assert rows[-1][:3] == ["all", "180", "540"]


def test_half_a_test_set_is_refused_before_any_tracking(got10k_test: Path, tmp_path: Path) -> None:
    arguments = ("--root", got10k_test, "--submit", "got10k", "-o", tmp_path / "mine.zip", "--sequences", "*_00000*")
    done = run_eval("--tracker", "hold", *arguments)
    assert done.returncode == 2
    assert "was given 9 sequences; expected all 180 of the test set" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("wrong", "given"),
    [(("--split", "val"), "dataset got10k, split val"), (("--dataset", "folder"), "dataset folder, split none")],
)
def test_only_the_servers_own_test_set_is_submitted(
    trackcli_here: TrainCommand, got10k_test: Path, tmp_path: Path, wrong: tuple[str, str], given: str
) -> None:
    (got10k_test / "test").rename(got10k_test / "val")
    arguments = ("--root", got10k_test, "--submit", "got10k", "-o", tmp_path / "mine.zip", *wrong)
    done = trackcli_here("eval", "--tracker", "hold", *arguments, code=2)
    assert done.stderr == (
        f"error: --submit got10k was given {given}; expected got10k, split test; leave out --dataset and --split\n"
    )


def alive(group: int) -> list[str]:
    """Names of the processes of a group that have not ended."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.is_file()]
    fields = [(text.partition("(")[2].rpartition(")")[0], text.rpartition(")")[2].split()) for text in stats]
    return [name for name, rest in fields if rest[0] not in "ZX" and int(rest[2]) == group]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for left processes in /proc")
def test_an_interrupt_stops_all_processes_and_keeps_what_was_finished(
    root: Path, tmp_path: Path, untrained_tracker: Path
) -> None:
    write_sequence(root / "a short one", ["20,20,16,12"] * 2)
    write_sequence(root / "long", ["20,20,16,12"] * 2000)
    command = [
        sys.executable,
        "-m",
        "trackcli.cli.main",
        "eval",
        "--tracker",
        str(untrained_tracker),
        "--device",
        "cpu",
    ]
    options = ["--root", str(root), "--jobs", "2", "-o", str(tmp_path / "out")]
    process = subprocess.Popen([*command, *options], start_new_session=True, stderr=subprocess.PIPE, text=True)
    finished = tmp_path / "out" / "folder" / "untrained" / "a short one.txt"
    deadline = time.monotonic() + 100
    while not finished.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert (process.returncode, words) == (130, "interrupted\n")
    assert finished.is_file()
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(process.pid) == []
