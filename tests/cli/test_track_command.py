"""``trackcli track`` as people run it: real processes, real files."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.cli.boxes import parse_inits
from trackcli.cli.track import Outputs
from trackcli.errors import UsageError
from trackcli.video.sinks import VideoSink
from trackcli.video.sources import open_source

SIZE_WH = (160, 120)
BOX = "50,40,40,30"


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(*arguments):
    return [sys.executable, "-m", "trackcli.cli.main", "track", *map(str, arguments)]


def run(*arguments, **options):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        timeout=120,
        check=False,
        **options,
    )


def picture(number, size_wh=SIZE_WH):
    """A textured square that moves over a grey ground."""
    image = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    texture = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    x = 50 + number % 40
    image[40:70, x : x + 40] = texture
    return image


def write_clip(path, count):
    with VideoSink(path, 25, SIZE_WH) as sink:
        for number in range(count):
            sink.write(picture(number))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips") / "clip [" / "take]"
    folder.mkdir(parents=True)
    return write_clip(folder / "moving.mp4", 8)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("long") / "long.mp4", 1000)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"img{number + 8}.png"), picture(number))
    return folder


def rows(text):
    return list(csv.DictReader(text.splitlines()))


def test_one_command_writes_boxes_and_a_video_and_says_where(clip, tmp_path, untrained_tracker):
    boxes, video = tmp_path / "boxes.csv", tmp_path / "tracked.mp4"
    done = run(clip, "--init", BOX, "--tracker", untrained_tracker, "-o", boxes, "--save-video", video)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    last_line = done.stderr.splitlines()[-1]
    assert last_line.startswith("tracked 8 frames at ")
    assert last_line.endswith(f" fps: {boxes}, {video}")
    found = rows(boxes.read_text())
    assert [row["frame"] for row in found] == [str(number) for number in range(8)]
    assert list(found[0]) == ["frame", "time", "target", "x", "y", "w", "h", "score"]
    assert list(found[0].values()) == ["0", "0", "1", "50", "40", "40", "30", "1"]
    assert [float(row["time"]) for row in found] == pytest.approx([number / 25 for number in range(8)], abs=1e-3)
    with open_source(str(video), warn=pytest.fail) as source:
        frames = list(source)
    assert len(frames) == 8
    assert frames[0].image.shape == (120, 160, 3)
    outline = frames[0].image[40, 60:80].astype(int)
    assert (outline[:, 0] - outline[:, 2] > 60).all(), "the yellow box is drawn where it was given"


def test_without_an_output_csv_goes_to_stdout(clip, untrained_tracker):
    done = run(clip, "--init", f"[red]={BOX}", "--init", "dog=10,10,20,20", "--tracker", untrained_tracker, "--end", 3)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert [(row["frame"], row["target"]) for row in found] == [
        (str(number), name) for number in range(3) for name in ("[red]", "dog")
    ]
    assert done.stderr.splitlines()[-1].endswith("fps: boxes on stdout")


def test_frames_count_from_the_sources_first(clip, tmp_path, untrained_tracker):
    arguments = ("--init", BOX, "--tracker", untrained_tracker, "--start", 2, "--end", 5)
    text, lines = tmp_path / "boxes.txt", tmp_path / "boxes.jsonl"
    assert run(clip, *arguments, "-o", text).returncode == 0
    assert len(text.read_text().splitlines()) == 3
    assert text.read_text().splitlines()[0] == "50,40,40,30"
    assert run(clip, *arguments, "-o", lines).returncode == 0
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [each["frame"] for each in objects] == [2, 3, 4]
    assert objects[0] == {"frame": 2, "time": 0.08, "target": "1", "box": [50, 40, 40, 30], "score": 1}


def test_json_is_one_object_and_nothing_else(clip, tmp_path, untrained_tracker):
    video = tmp_path / "tracked.mp4"
    done = run(clip, "--init", f"cat={BOX}", "--tracker", untrained_tracker, "--json", "--save-video", video)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert (summary["frames"], summary["unreadable_frames"]) == (8, 0)
    assert (summary["output"], summary["video"]) == (None, str(video))
    assert summary["fps"] > 0
    assert summary["precision"] == "fp32"
    assert {"decode", "draw", "encode"} < set(summary["milliseconds"])
    assert all(duration >= 0 for duration in summary["milliseconds"].values())
    [target] = summary["targets"]
    assert target["target"] == "cat"
    assert len(target["box"]) == 4


def test_bf16_gives_nearly_the_same_boxes(clip, tmp_path, untrained_tracker):
    boxes = []
    for precision in ("fp32", "bf16"):
        output = tmp_path / f"{precision}.csv"
        arguments = ("--init", BOX, "--tracker", untrained_tracker, "--precision", precision, "-o", output, "--end", 3)
        done = run(clip, *arguments)
        assert done.returncode == 0, done.stderr
        found = rows(output.read_text())
        boxes.append(np.array([[float(row[side]) for side in ("x", "y", "w", "h")] for row in found]))
    assert np.abs(boxes[0] - boxes[1]).max() < 2
    assert (boxes[0] != boxes[1]).any()


def test_a_folder_with_a_groundtruth_file_and_a_broken_image(images, tmp_path, untrained_tracker):
    (images / "img9.png").write_bytes(b"broken")
    truth = images / "groundtruth.txt"
    truth.write_text(f"{BOX}\n")
    done = run(images, "--init", truth, "--tracker", untrained_tracker)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert [row["frame"] for row in found] == ["0", "1", "2", "3"]
    assert found[1]["score"] == "0"
    assert [found[1][key] for key in "xywh"] == [found[0][key] for key in "xywh"]
    assert done.stderr.count("warning: frame 1 is unreadable") == 1

    strict = run(images, "--init", truth, "--tracker", untrained_tracker, "--strict")
    assert strict.returncode == 3
    assert strict.stderr.splitlines()[-1] == (
        "error: frame 1 is unreadable and --strict stops there; without --strict the last box is held"
    )
    assert len(rows(strict.stdout)) == 1, "what was tracked is there"


def test_an_output_that_exists_is_kept_unless_forced(clip, tmp_path, untrained_tracker):
    path = tmp_path / "boxes.csv"
    path.write_text("precious\n")
    arguments = (clip, "--init", BOX, "--tracker", untrained_tracker, "--end", 2, "-q", "-o", path)
    refused = run(*arguments)
    assert refused.returncode == 2
    assert refused.stderr == (f"error: output '{path}' exists; choose another name, or add --force to overwrite it\n")
    assert path.read_text() == "precious\n"
    forced = run(*arguments, "--force")
    assert (forced.returncode, forced.stdout, forced.stderr) == (0, "", "")
    assert len(rows(path.read_text())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no target is given; add its box in the first frame as --init x,y,w,h in pixels, for example --init"),
        (["--init", "10,20,0,40"], 3, "--init 10,20,0,40 has zero width; expected x,y,w,h with w and h above 0"),
        (["--init", "500,20,10,40"], 3, "--init 500,20,10,40 lies outside the image, which is 160x120 pixels; "),
        (["--init", BOX, "--start", "9"], 3, "--start 9 is beyond 'moving.mp4', which has 8 frames; choose 0 to 7"),
        (["--init", BOX, "--start", "3", "--end", "3"], 2, "--end 3 leaves no frame after --start 3; "),
        (["--init", BOX, "-o", "boxes.xml"], 2, "output 'boxes.xml' has an unknown suffix; expected one of .txt, "),
        (["--init", BOX, "--save-video", "a.gif"], 2, "video 'a.gif' has an unknown suffix; expected one of .mp4, "),
        (["--init", BOX, "-o", "none/boxes.csv"], 2, "output 'none/boxes.csv' has no folder to be in; create 'none'"),
        (["--init", BOX, "--init", "1,2,3,4", "-o", "a.txt"], 2, "output 'a.txt' holds one target, but 2 were given"),
        (["--init", BOX, "--tracker", "nobody"], 2, "unknown tracker 'nobody'"),
        (["--init", BOX, "--precision", "int8"], 2, "--precision int8 is unknown; expected fp32 or bf16"),
        (
            ["--init", BOX, "--tracker", "mil", "--precision", "bf16"],
            2,
            "--precision bf16 is for composed trackers; 'mil'",
        ),
    ],
)
def test_bad_input_is_one_clear_line(clip, tmp_path, arguments, code, message):
    done = run(clip, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["nowhere.mp4", "*.jpg", "empty.mp4", "text.mp4", "."])
def test_a_source_that_is_none_is_one_clear_line(tmp_path, source):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    done = run(source, "--init", BOX, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "expected a video" in done.stderr


def test_errors_are_json_with_json(clip):
    done = run(clip, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_the_source_is_never_overwritten(clip, tmp_path):
    copy = tmp_path / "moving.mp4"
    copy.write_bytes(clip.read_bytes())
    for source in (copy, tmp_path / "mov*.mp4"):
        done = run(source, "--init", BOX, "--save-video", copy, "--force")
        assert done.returncode == 2
        assert "is the source itself" in done.stderr
    assert copy.read_bytes() == clip.read_bytes()


def test_pictures_of_the_source_are_never_overwritten_by_responses(tmp_path):
    (tmp_path / "img").mkdir()
    frame = tmp_path / "img" / "000001.png"
    cv2.imwrite(str(frame), np.zeros((120, 160, 3), np.uint8))
    before = frame.read_bytes()
    for source in (tmp_path / "img", frame, tmp_path / "img" / "*.png"):
        done = run(source, "--init", BOX, "--save-response", tmp_path / "img", "--force")
        assert done.returncode == 2
        assert f"folder '{frame.parent}' is where frames are read from" in done.stderr
    assert frame.read_bytes() == before


def test_the_file_behind_init_is_never_overwritten(clip, tmp_path):
    truth = tmp_path / "groundtruth.txt"
    truth.write_text(f"{BOX}\n{BOX}\n")
    done = run(clip, "--init", truth, "-o", truth, "--force")
    assert done.returncode == 2
    assert f"output '{truth}' is what --init reads" in done.stderr
    assert truth.read_text() == f"{BOX}\n{BOX}\n"


def test_a_file_that_another_run_began_meanwhile_is_not_overwritten(tmp_path):
    outputs = Outputs(tmp_path / "boxes.csv", None, None, csv_on_stdout=False)
    targets = parse_inits([BOX], print)
    outputs.check("clip.mp4", targets, overwrite=False)
    (tmp_path / "boxes.csv").touch()
    with pytest.raises(UsageError, match="exists; choose another name"):
        outputs.refuse_existing(overwrite=False)
    outputs.refuse_existing(overwrite=True)


def test_two_outputs_cannot_have_one_name(clip, tmp_path):
    video = tmp_path / "out.mp4"
    done = run(clip, "--init", BOX, "-o", video, "--save-video", tmp_path / "." / "out.mp4")
    assert done.returncode == 2
    assert f"output '{video}' is given to both -o and --save-video; choose another name for one" in done.stderr


def test_probable_corners_get_a_hint(clip, untrained_tracker):
    done = run(clip, "--init", "50,40,140,110", "--tracker", untrained_tracker, "--end", 1)
    assert done.returncode == 0
    assert "if these are two corners (x1,y1,x2,y2), give --init 50,40,90,70" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send these signals to one process")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_run_leaves_whole_lines_and_a_video_that_plays(
    long_clip, tmp_path, untrained_tracker, number, code
):
    boxes, video = tmp_path / "boxes.csv", tmp_path / "tracked.mp4"
    arguments = command(long_clip, "--init", BOX, "--tracker", untrained_tracker, "-o", boxes, "--save-video", video)
    with subprocess.Popen(arguments, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as running:
        wait_for_lines(running, boxes, 12)
        running.send_signal(getattr(signal, number))
        _, errors = running.communicate(timeout=30)
    assert running.returncode == code, errors
    assert f"stopped early; what was tracked so far: {boxes}, {video}" in errors
    text = boxes.read_text()
    assert text.endswith("\n")
    tracked = len(rows(text))
    assert 10 < tracked < 1000
    with open_source(str(video), warn=pytest.fail) as source:
        shown = [frame.image is not None for frame in source]
    assert all(shown)
    assert tracked - 1 <= len(shown) <= tracked


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_a_terminal_that_is_closed_does_not_hide_what_ended_the_run(long_clip, tmp_path, untrained_tracker):
    boxes = tmp_path / "boxes.csv"
    ours, theirs = os.openpty()
    arguments = command(long_clip, "--init", BOX, "--tracker", untrained_tracker, "-o", boxes)
    with subprocess.Popen(arguments, env=ENVIRONMENT, stderr=theirs) as running:
        os.close(theirs)
        while not (boxes.exists() and boxes.read_text().count("\n") > 3):
            assert running.poll() is None
            time.sleep(0.02)
        os.close(ours)  # from now on every write to it fails
        running.send_signal(signal.SIGHUP)
        running.wait(timeout=30)
    assert running.returncode == 129
    assert boxes.read_text().endswith("\n")


def wait_for_lines(running, path: Path, count):
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text().count("\n") > count):
        assert running.poll() is None, running.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_reader_that_has_seen_enough_ends_the_run_quietly(long_clip, untrained_tracker):
    arguments = command(long_clip, "--init", BOX, "--tracker", untrained_tracker, "-q")
    with subprocess.Popen(
        arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == "frame,time,target,x,y,w,h,score\n"
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(timeout=30) == 0


def test_a_real_sequence_is_tracked(shared_data, untrained_tracker):
    sequence = next(iter(sorted((shared_data / "val").iterdir())))
    done = run(
        sequence / "img", "--init", sequence / "groundtruth.txt", "--tracker", untrained_tracker, "--end", 3, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 3


def test_help_says_that_the_end_is_exclusive_and_imports_nothing_heavy():
    program = (
        "import sys; import trackcli.cli.track; "
        "print([name for name in ('torch', 'cv2', 'numpy', 'h5py', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert "exclusive" in run("--help").stdout
