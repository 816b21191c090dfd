"""``trackcli demo`` as a user runs it, and its one number."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from trackcli.cli import demo as demo_module
from trackcli.foreign import loading


def run(*arguments, cwd):
    command = [sys.executable, "-m", "trackcli.cli.main", "demo", "--device", "cpu", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    count = 0
    while video.read()[0]:
        count += 1
    return count


def test_the_demo_leaves_a_video_and_a_sheet_and_ends_with_the_mean_overlap(untrained_tracker, tmp_path):
    done = run("--frames", 5, "--tracker", untrained_tracker, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"mean overlap [01]\.\d\d", lines[-1])
    assert "video demo-output/track.mp4" in lines
    assert "contact sheet demo-output/contact_sheet.png" in lines
    assert frames_of(tmp_path / "demo-output" / "track.mp4") == 5
    assert cv2.imread(str(tmp_path / "demo-output" / "contact_sheet.png")) is not None


def test_json_prints_one_object_and_nothing_else(untrained_tracker, tmp_path):
    done = run("--frames", 3, "--tracker", untrained_tracker, "-o", "there", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert set(result) == {"mean_overlap", "frames", "fps", "video", "contact_sheet"}
    assert result["frames"] == 3
    assert 0 <= result["mean_overlap"] <= 1
    assert (tmp_path / result["video"]).is_file()
    assert (tmp_path / result["contact_sheet"]).is_file()


def test_a_tracker_without_weights_here_takes_part_too(tmp_path):
    done = run("--frames", 3, "--tracker", "mil", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert frames_of(tmp_path / "demo-output" / "track.mp4") == 3


def test_an_output_that_is_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "taken").write_text("")
    done = run("-o", "taken", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: --output taken is a file; expected a folder; choose another --output\n"


@dataclass
class Result:
    boxes_xyxy: np.ndarray
    scores: np.ndarray


class Oracle:
    """A tracker that knows the truth and answers with it, moved right by a share of the width."""

    def __init__(self, boxes_xywh, shift):
        self.boxes_xywh, self.shift, self.frame = boxes_xywh, shift, 0

    def start(self, image, boxes_xywh):
        assert image.dtype == np.uint8
        assert np.array_equal(boxes_xywh, self.boxes_xywh[:1])

    def update(self, image):
        self.frame += 1
        x, y, w, h = self.boxes_xywh[self.frame]
        left = x + self.shift * w
        return Result(np.array([[left, y, left + w, y + h]]), np.array([0.5]))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "1.00"), (0.5, "0.33"), (2.0, "0.00")])
def test_the_mean_overlap_leaves_out_the_first_frame(tmp_path, monkeypatch, capsys, shift, expected):
    truth = demo_module._sequence(demo_module.DEMO_SEED, 3).boxes_xywh
    monkeypatch.setattr(loading, "load_video_tracker", lambda name, *, device: Oracle(truth, shift))
    demo_module.demo(
        output=tmp_path,
        seed=demo_module.DEMO_SEED,
        frames=3,
        tracker="oracle",
        device="cpu",
        as_json=False,
        quiet=True,
        debug=False,
    )
    assert capsys.readouterr().out.splitlines()[-1] == f"mean overlap {expected}"


def test_the_demo_scene_has_its_target_in_every_frame_and_hides_it_for_a_moment():
    sequence = demo_module._sequence(demo_module.DEMO_SEED, 120)
    assert not sequence.absent.any()
    assert sequence.visible[0] > 0.98
    assert 0 < (sequence.visible < 0.6).sum() < 12
