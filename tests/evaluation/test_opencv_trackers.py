"""OpenCV's trackers behind the interface of all trackers; of those that the installed build lacks, the message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from trackcli.errors import InputDataError, PluginError, TrackcliError, UsageError
from trackcli.foreign.loading import load_foreign_tracker, load_video_tracker
from trackcli.foreign.opencv import OpenCvTracker, csrt, kcf, mil, vit, whole_pixels

Image = NDArray[np.uint8]
HAS_CONTRIB = hasattr(cv2, "TrackerCSRT")


def scene(frames: int, step: int = 2) -> list[Image]:
    """A checkered square that moves to the right over noise, from 30,40 on, 24 pixels wide."""
    rng = np.random.default_rng(0)
    ground = rng.integers(80, 120, (120, 160, 3), dtype=np.uint8)
    square = np.kron(rng.integers(0, 2, (6, 6), dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))
    images = []
    for frame in range(frames):
        image = ground.copy()
        image[40:64, 30 + step * frame : 54 + step * frame] = square[..., None]
        images.append(image)
    return images


class Scripted:
    """Plays an OpenCV tracker that gives prepared answers."""

    def __init__(self, answers: Sequence[object]) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[int, ...]] = []
        self.images: list[Image] = []

    def init(self, image: Image, box: tuple[int, ...]) -> None:
        self.images.append(image)
        self.seen.append(box)

    def update(self, image: Image) -> tuple[bool, tuple[int, ...]]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]


def scripted(*answers: object) -> tuple[OpenCvTracker, Scripted]:
    inner = Scripted(answers)
    tracker = OpenCvTracker("scripted", lambda: inner)
    tracker.start(np.zeros((50, 60, 3), np.uint8), np.array([[10.0, 10.0, 8.0, 6.0]]))
    return tracker, inner


def test_mil_follows_a_moving_square() -> None:
    first, *others = scene(8)
    tracker = mil()
    tracker.start(first, np.array([[30.0, 40.0, 24.0, 24.0]]))
    for image in others:
        result = tracker.update(image)
    assert result.boxes_xyxy.shape == (1, 4)
    assert result.boxes_xyxy[0] == pytest.approx([44, 40, 68, 64], abs=8)
    assert result.scores.tolist() == [1.0]


@pytest.mark.skipif(os.name != "posix", reason="MIL draws from the C library, which is only seeded there")
def test_starting_again_gives_the_same_boxes() -> None:
    images = scene(5)
    tracker = mil()
    runs = []
    for _ in range(2):
        tracker.start(images[0], np.array([[30.0, 40.0, 24.0, 24.0]]))
        runs.append([tracker.update(image).boxes_xyxy.tolist() for image in images[1:]])
    assert runs[0] == runs[1]


def test_each_target_has_a_tracker_of_its_own() -> None:
    images = scene(3)
    tracker = mil()
    tracker.start(images[0], np.array([[30.0, 40.0, 24.0, 24.0], [100.0, 80.0, 20.0, 20.0]]))
    result = tracker.update(images[1])
    assert result.boxes_xyxy.shape == (2, 4)
    assert result.scores.shape == (2,)


def test_a_lost_target_keeps_its_last_box_with_score_0_and_is_found_again() -> None:
    tracker, _ = scripted((True, (12, 11, 8, 6)), (False, (0, 0, 0, 0)), cv2.error("outside"), (True, (20, 20, 8, 6)))
    image = np.zeros((50, 60, 3), np.uint8)
    results = [tracker.update(image) for _ in range(4)]
    assert [result.boxes_xyxy[0].tolist() for result in results] == [
        [12, 11, 20, 17],
        [12, 11, 20, 17],
        [12, 11, 20, 17],
        [20, 20, 28, 26],
    ]
    assert [result.scores[0] for result in results] == [1, 0, 0, 1]


def test_an_answer_without_area_counts_as_lost() -> None:
    tracker, _ = scripted((True, (12, 11, 0, 6)))
    result = tracker.update(np.zeros((50, 60, 3), np.uint8))
    assert (result.boxes_xyxy[0].tolist(), result.scores[0]) == ([10, 10, 18, 16], 0)


def test_images_become_bgr() -> None:
    inner = Scripted([])
    image = np.zeros((20, 20, 3), np.uint8)
    image[..., 0] = 200
    OpenCvTracker("scripted", lambda: inner).start(image, np.array([[2.0, 2.0, 9.0, 9.0]]))
    assert inner.images[0][0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize(
    ("box", "smallest", "whole"),
    [
        ((10.4, 20.6, 5.0, 5.0), 1, (10, 21, 5, 5)),  # edges 15.4 and 25.6
        ((-5.0, -5.0, 12.0, 12.0), 1, (0, 0, 7, 7)),
        ((58.0, 45.0, 20.0, 20.0), 1, (58, 45, 2, 5)),
        ((10.0, 10.0, 0.2, 0.2), 1, (10, 10, 1, 1)),
        ((10.0, 10.0, 1.0, 9.0), 5, (8, 10, 5, 9)),
        ((59.5, 49.5, 0.5, 0.5), 5, (55, 45, 5, 5)),
    ],
)
def test_boxes_become_whole_pixels_inside_the_image(
    box: tuple[float, ...], smallest: int, whole: tuple[int, ...]
) -> None:
    assert whole_pixels(np.array(box), (60, 50), smallest) == whole


def test_mil_starts_on_a_box_in_which_it_would_search_for_ever() -> None:
    images = scene(2)
    tracker = mil()
    tracker.start(images[0], np.array([[40.0, 50.0, 1.0, 1.0]]))
    assert np.isfinite(tracker.update(images[1]).boxes_xyxy).all()


def test_a_box_that_opencv_refuses_is_named() -> None:
    with pytest.raises(InputDataError, match=r"OpenCV's mil cannot start on box 0,0,160,120 in an image of 160x120"):
        mil().start(scene(1)[0], np.array([[0.0, 0.0, 160.0, 120.0]]))


@pytest.mark.parametrize(("make", "name"), [(csrt, "TrackerCSRT"), (kcf, "TrackerKCF")])
def test_trackers_of_the_larger_build_work_or_say_what_to_install(make: object, name: str) -> None:
    assert callable(make)
    if not HAS_CONTRIB:
        with pytest.raises(PluginError, match=rf"has no {name}; .*pip install opencv-contrib-python"):
            make()
        return
    images = scene(6)
    tracker = make()
    tracker.start(images[0], np.array([[30.0, 40.0, 24.0, 24.0]]))
    for image in images[1:]:
        result = tracker.update(image)
    assert result.boxes_xyxy[0] == pytest.approx([40, 40, 64, 64], abs=5)


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fake.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(InputDataError, match=r"cannot load .*fake\.onnx for vit .*expected ONNX files of this tracker"):
        vit(model=str(path))
    with pytest.raises(InputDataError, match=r"/nowhere\.onnx is not a file"):
        vit(model="/nowhere.onnx")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nano", "'nano' needs backbone and head; write --tracker nano@backbone=FILE,head=FILE"),
        ("nano@backbone=a.onnx", "'nano' needs head; write"),
        ("nano@backbon=a", "option 'backbon' is unknown; did you mean 'backbone'?"),
        ("nano@a.onnx", "option 'a.onnx' is unknown"),
        ("mil@size=3", "option 'size' is unknown; 'mil' takes no options"),
        ("default@size=3", "tracker 'default' takes no options; write --tracker default"),
    ],
)
def test_options_that_do_not_fit_are_explained(source: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_foreign_tracker(source)
    assert said in str(caught.value)


def test_names_of_composed_trackers_and_files_are_none_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mil").mkdir()
    assert load_foreign_tracker("default") is None
    assert load_foreign_tracker("no-such-tracker") is None
    assert load_foreign_tracker("mil") is None  # a folder of that name is meant, as for any tracker


def test_a_foreign_tracker_has_what_track_needs() -> None:
    tracker = load_video_tracker("mil", device="auto")
    assert (tracker.name, tracker.device) == ("mil", "cpu")
    found = load_foreign_tracker("mil")
    assert found is not None
    assert found[1].startswith("trackcli ")


@pytest.mark.parametrize(
    ("frame", "box_xywh", "said"),
    [
        (np.zeros((120, 160), np.uint8), (30, 40, 24, 24), "frame has shape (120, 160) and type uint8"),
        (scene(1)[0], (30, 40, np.nan, 24), "box [30.0, 40.0, nan, 64.0] is not finite"),
        (scene(1)[0], (300, 40, 24, 24), "box [300.0, 40.0, 324.0, 64.0] lies outside the 160x120 frame"),
        (scene(1)[0], "30,40,24,24", "boxes_xywh cannot be read as numbers"),
        (scene(1)[0], np.empty((0, 4)), "no boxes were given"),
    ],
)
def test_frames_and_boxes_are_checked_as_composed_trackers_check_them(frame: Image, box_xywh: Any, said: str) -> None:
    tracker = load_video_tracker("mil", device="cpu")
    with pytest.raises(InputDataError) as caught:
        tracker.start(frame, box_xywh)
    assert said in str(caught.value)


def test_it_is_started_first_and_then_updated_with_frames() -> None:
    tracker = load_video_tracker("mil", device="cpu")
    first, second = scene(2)
    with pytest.raises(InputDataError, match="before start"):
        tracker.update(first)
    tracker.start(first, (30, 40, 24, 24))
    with pytest.raises(InputDataError, match="frame has shape"):
        tracker.update(second[..., 0])
    assert tracker.update(second).boxes_xyxy.shape == (1, 4)


def test_there_is_no_weights_file_of_a_foreign_tracker() -> None:
    import trackcli

    with pytest.raises(TrackcliError, match="'mil' is a foreign tracker without a weights file"):
        trackcli.load("mil")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "img").mkdir()
    for index, image in enumerate(scene(4)):
        cv2.imwrite(str(folder / "img" / f"{index}.png"), image)
    boxes = "".join(f"{30 + 2 * index},40,24,24\n" for index in range(4))
    (folder / "groundtruth.txt").write_text(boxes)
    return folder


def test_eval_takes_a_foreign_tracker_and_keeps_its_results(clip: Path, tmp_path: Path) -> None:
    command = ("eval", "--tracker", "mil", "--root", clip, "-o", tmp_path / "out", "--json")
    (tracker,) = json.loads(run(*command).stdout)["trackers"]
    assert tracker["tracker"] == "mil"
    assert tracker["mean_overlap"] > 0.5
    assert {"decode", "colors", "start", "update"} == set(tracker["milliseconds"])
    (again,) = json.loads(run(*command).stdout)["trackers"]
    assert all(sequence["reused"] for sequence in again["sequences"])


def test_track_takes_a_foreign_tracker_with_several_targets(clip: Path) -> None:
    done = run("track", clip / "img", "--tracker", "mil", "--init", "30,40,24,24", "--init", "90,70,20,20", "--json")
    assert done.returncode == 0, done.stderr or done.stdout
    summary = json.loads(done.stdout)
    assert (summary["tracker"], summary["device"], len(summary["targets"])) == ("mil", "cpu", 2)


def test_foreign_trackers_are_listed_and_shown() -> None:
    listed = {row["name"]: row for row in json.loads(run("trackers", "list", "--json").stdout)["trackers"]}
    assert {"csrt", "kcf", "mil", "nano", "vit"} <= set(listed)
    assert listed["csrt"]["foreign"]
    shown = run("trackers", "show", "nano")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--tracker nano@backbone=FILE,head=FILE" in shown.stdout
