"""``trackcli synth`` as a user runs it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.cli.synth import synth
from trackcli.errors import UsageError
from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings, derive_seed

SMALL = ("--frames", "4", "--size", "64x48", "-q")


def run(*arguments):
    command = [sys.executable, "-m", "trackcli.cli.main", "synth", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def in_process(output: Path, **changes):
    defaults = {
        "sequences": 1,
        "frames": 4,
        "size": "64x48",
        "seed": 0,
        "look_alikes": 1,
        "occluders": 1,
        "leave": False,
        "video": False,
        "force": False,
        "as_json": False,
        "quiet": True,
        "debug": False,
    }
    synth(output=output, **(defaults | changes))


def tree_digest(folder: Path):
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def test_a_sequence_is_pictures_boxes_absences_and_the_scene(tmp_path):
    done = run("-o", tmp_path / "out", *SMALL, "--seed", 3)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 sequence of 4 frames in {tmp_path / 'out'}\n"
    folder = tmp_path / "out" / "synth_00000"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    pictures = [f"img/{index:05d}.jpg" for index in range(4)]
    assert names == ["absent.txt", "groundtruth.txt", *pictures, "scene.json"]
    sequence = make_sequence(SceneSettings(frames=4, size_wh=(64, 48), seed=derive_seed(3, 0)))
    boxes = np.loadtxt(folder / "groundtruth.txt", delimiter=",")
    assert boxes == pytest.approx(sequence.boxes_xywh, abs=5e-4)
    assert (folder / "absent.txt").read_text() == "0\n" * 4
    picture = cv2.imread(str(folder / "img" / "00002.jpg"))[:, :, ::-1]
    assert np.abs(picture.astype(int) - sequence.frames[2]).mean() < 6


def test_json_prints_one_object_and_nothing_else(tmp_path):
    done = run("-o", tmp_path / "out", "--frames", 3, "--size", "64x48", "--sequences", 2, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"sequences": 2, "frames": 3, "output": str(tmp_path / "out")}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["synth_00000", "synth_00001"]


def test_the_scene_file_holds_version_and_settings_that_make_the_sequence_again(tmp_path):
    in_process(tmp_path / "out", seed=5)
    scene = json.loads((tmp_path / "out" / "synth_00000" / "scene.json").read_text())
    assert set(scene) == {"format", "trackcli", "settings"}
    settings = SceneSettings(**(scene["settings"] | {"size_wh": tuple(scene["settings"]["size_wh"])}))
    write_sequence(make_sequence(settings), tmp_path / "again", video=False)
    assert tree_digest(tmp_path / "again") == tree_digest(tmp_path / "out" / "synth_00000")


def test_a_sequence_does_not_depend_on_how_many_are_made(tmp_path):
    in_process(tmp_path / "two", sequences=2)
    in_process(tmp_path / "three", sequences=3)
    digests = [tree_digest(tmp_path / "three" / f"synth_{index:05d}") for index in range(3)]
    assert [tree_digest(tmp_path / "two" / f"synth_{index:05d}") for index in range(2)] == digests[:2]
    assert len(set(digests)) == 3


def test_frames_without_the_target_have_nan_boxes(tmp_path):
    in_process(tmp_path / "out", frames=24, leave=True)
    folder = tmp_path / "out" / "synth_00000"
    absent = [line == "1" for line in (folder / "absent.txt").read_text().split()]
    boxes = (folder / "groundtruth.txt").read_text().split()
    assert any(absent) and not absent[0]
    assert [line == "nan,nan,nan,nan" for line in boxes] == absent


def test_a_video_has_every_frame(tmp_path):
    in_process(tmp_path / "out", frames=5, video=True)
    folder = tmp_path / "out" / "synth_00000"
    assert not (folder / "img").exists()
    video = cv2.VideoCapture(str(folder / "video.mp4"))
    images = []
    while (read := video.read())[0]:
        images.append(read[1])
    assert [image.shape for image in images] == [(48, 64, 3)] * 5


def test_a_folder_that_is_not_empty_needs_force(tmp_path):
    in_process(tmp_path, sequences=2)
    (tmp_path / "notes.txt").write_text("mine")
    done = run("-o", tmp_path, *SMALL)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: --output {tmp_path} is not empty; expected a new or empty folder; choose another or add --force\n"
    )
    in_process(tmp_path, sequences=1, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "synth_00000"]


def test_force_leaves_folders_alone_that_synth_has_not_written(tmp_path):
    foreign = tmp_path / "synth_00000"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="synth_00000 exists; expected a new one"):
        in_process(tmp_path, force=True)
    assert (foreign / "holiday.jpg").read_bytes() == b"mine"


def test_an_interrupted_sequence_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trackcli.synth.files._write_images", interrupt)
    with pytest.raises(KeyboardInterrupt):
        in_process(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "64"}, "--size 64 is not a size; expected width x height in pixels, such as 320x240"),
        (
            {"size": "8x8"},
            "scene setting size is 8x8; expected width and height from 32 to 4096 pixels, such as 320x240",
        ),
        (
            {"size": "65x48", "video": True},
            "--size 65x48 cannot become a video that every player shows; expected even numbers; use --size 66x48 or "
            "--images",
        ),
        (
            {"leave": True},
            "scene setting frames is 4; expected at least 20 when the target leaves and returns",
        ),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(tmp_path, changes, message):
    with pytest.raises(UsageError) as caught:
        in_process(tmp_path / "out", **changes)
    assert str(caught.value) == message
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match=r"is a file; expected a folder; choose another --output$"):
        in_process(tmp_path / "taken")
