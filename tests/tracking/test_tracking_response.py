"""Responses over the search region: maps of any head's candidates, recorded for the right target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from trackcli.geometry.grids import Grid
from trackcli.testing import synthetic_clip
from trackcli.tracking.response import ResponseRecorder, response_map
from trackcli.tracking.run import TrackedFrame
from trackcli.tracking.tracker import Tracker, compose
from trackcli.video.responses import ResponseWriter, draw_response, folder_name, upsampled

TINY: dict[str, Any] = {
    "backbone": {"name": "resnet18", "depth": 2},
    "matcher": {"name": "dw-xcorr", "channels": 8, "template_cells": 4},
    "crop": {"template_size": 64, "search_size": 128},
}


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return compose(device="cpu", head={"name": "rpn", "hidden": 8}, **TINY)


def test_candidates_on_a_grid_give_that_grid_with_the_best_of_each_cell() -> None:
    points = Grid(3, 4, 8, 20.5).points_xy(torch.zeros(1)).repeat(2, 1).numpy()  # two anchors per cell
    points += np.random.default_rng(0).normal(0, 1e-4, points.shape).astype(np.float32)
    first, second = np.arange(12) / 20, np.full(12, 0.25)
    scores, x, y = response_map(points, np.concatenate((first, second)).astype(np.float32), 64)
    assert x.tolist() == [20.5, 28.5, 36.5, 44.5]
    assert y.tolist() == [20.5, 28.5, 36.5]
    np.testing.assert_allclose(scores, np.maximum(first, second).reshape(3, 4), rtol=1e-6)


def test_a_few_candidates_are_spread_around_their_points() -> None:
    points = np.array([[12.0, 20.0], [44.0, 52.0], [47.0, 20.0]], np.float32)
    scores, x, y = response_map(points, np.array([0.5, 0.9, 0.2], np.float32), 64)
    assert x.tolist() == y.tolist() == [4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 60.0]
    assert scores[2, 1] == pytest.approx(0.5)  # on the point
    assert scores[6, 5] == pytest.approx(0.9)
    assert scores[2, 2] == pytest.approx(0.5 * np.exp(-0.5))  # one cell away


def test_every_target_gets_its_own_response_and_crop(tracker: Tracker) -> None:
    clip = synthetic_clip()
    boxes = np.stack((clip.boxes_xywh[0], clip.boxes_xywh[0] + [9, 5, 4, 0]))
    tracker.start(clip.frames[0], boxes)
    with ResponseRecorder(tracker.session) as recorder:
        tracker.update(clip.frames[1])
        together = recorder.take()
        assert recorder.take() == []
    assert [response.target for response in together] == [0, 1]
    for target, response in enumerate(together):
        tracker.start(clip.frames[0], boxes[target])
        with ResponseRecorder(tracker.session) as recorder:
            tracker.update(clip.frames[1])
            (alone,) = recorder.take()
        np.testing.assert_allclose(response.scores, alone.scores, atol=1e-5)
        np.testing.assert_array_equal(response.window_xyxy, alone.window_xyxy)
        assert response.crop.shape == (128, 128, 3)
        assert np.abs(response.crop.astype(int) - alone.crop).max() <= 1


def test_targets_with_search_regions_of_different_size_keep_their_numbers() -> None:
    crop = {**TINY["crop"], "larger_search_sizes": [192]}
    tracker = compose(device="cpu", head={"name": "rpn", "hidden": 8}, **{**TINY, "crop": crop})
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[:1].repeat(3, axis=0))
    tracker.session._shapes[:] = [1, 0, 1]  # as a link asks for it after a loss
    with ResponseRecorder(tracker.session) as recorder:
        tracker.update(clip.frames[1])
        responses = recorder.take()
    assert [(response.target, len(response.crop)) for response in responses] == [(0, 192), (1, 128), (2, 192)]


def test_the_recorded_crop_is_what_the_window_shows(tracker: Tracker) -> None:
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    with ResponseRecorder(tracker.session) as recorder:
        tracker.update(clip.frames[1])
        (response,) = recorder.take()
    x0, y0, x1, y1 = response.window_xyxy
    size = len(response.crop)
    inside = [
        (row, column)
        for row in range(4, size, 16)
        for column in range(4, size, 16)
        if 2 < x0 + column * (x1 - x0) / size < 157 and 2 < y0 + row * (y1 - y0) / size < 117
    ]
    assert len(inside) > 10
    for row, column in inside:
        x, y = x0 + (column + 0.5) * (x1 - x0) / size - 0.5, y0 + (row + 0.5) * (y1 - y0) / size - 0.5
        there = cv2.getRectSubPix(clip.frames[1], (1, 1), (float(x), float(y)))[0, 0]
        assert np.abs(there.astype(int) - response.crop[row, column]).max() <= 2


def test_nothing_is_recorded_outside_the_block(tracker: Tracker) -> None:
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    recorder = ResponseRecorder(tracker.session)
    with recorder:
        pass
    tracker.update(clip.frames[1])
    assert recorder.take() == []


@pytest.mark.parametrize(
    ("matcher", "head"),
    [
        ({"name": "up-xcorr", "channels": 4, "template_cells": 4}, {"name": "rpn", "hidden": 0}),
        ({"name": "template-attention", "channels": 8}, {"name": "point", "channels": 8, "depth": 1}),
    ],
)
def test_any_head_shows_a_response(matcher: dict[str, Any], head: dict[str, Any]) -> None:
    tracker = compose(device="cpu", preset="siamrpn-pp", **{**TINY, "matcher": matcher, "head": head})
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    with ResponseRecorder(tracker.session) as recorder:
        result = tracker.update(clip.frames[1])
        (response,) = recorder.take()
    assert response.scores.shape == (len(response.y), len(response.x))
    assert response.score == pytest.approx(float(result.scores[0]), abs=1e-6)
    assert draw_response(response).shape == (128, 256, 3)


def test_the_picture_is_hot_where_the_response_is_and_grey_where_it_does_not_reach(tracker: Tracker) -> None:
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    with ResponseRecorder(tracker.session) as recorder:
        tracker.update(clip.frames[1])
        (response,) = recorder.take()
    response.scores[:] = 0
    row, column = 4, 7
    response.scores[row, column] = 1
    scores, covered = upsampled(response)
    peak = np.unravel_index(scores.argmax(), scores.shape)
    assert (abs(peak[1] + 0.5 - response.x[column]), abs(peak[0] + 0.5 - response.y[row])) <= (0.5, 0.5)
    first, last = response.x[0] - 4, response.x[-1] + 4  # half a stride around the cells
    assert covered[64].sum() == pytest.approx(last - first, abs=1)
    picture = draw_response(response)[:, 128:].astype(int)
    red, _, blue = picture[peak]
    assert red > blue + 50  # TURBO's upper end is red
    outside = picture[~covered]
    assert (outside[:, 0] == outside[:, 1]).all() and (outside[:, 1] == outside[:, 2]).all()


def test_files_are_named_by_frame_and_target(tracker: Tracker, tmp_path: Path) -> None:
    clip = synthetic_clip()
    boxes = clip.boxes_xywh[:1].repeat(2, axis=0)
    tracker.start(clip.frames[0], boxes)
    with ResponseWriter(tmp_path / "out", tracker.session, ("a/b", ".."), with_data=True) as writer:
        tracker.update(clip.frames[1])
        writer.write(TrackedFrame(17, 0.0, clip.frames[1], np.zeros((2, 4)), np.zeros(2)))
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("*.*") if path.is_file())
    assert written == [f"{name}/000017.{kind}" for name in ("%2E.", "a%2Fb") for kind in ("npz", "png")]
    content = np.load(tmp_path / "out" / "a%2Fb" / "000017.npz")
    assert set(content) == {"scores", "x", "y", "box_xyxy", "window_xyxy", "score"}
    assert content["scores"].shape == (len(content["y"]), len(content["x"]))


def test_different_targets_have_different_folders_inside_the_given_one() -> None:
    names = ["..", ".", "a/b", "a%2Fb", "a", "%2E", "left hand", "…"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all("/" not in folder and not folder.startswith(".") for folder in folders)
    assert folder_name("left hand") == "left hand"
