"""The online branch: equation 11, what a response means, and what it learns while a session runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from trackcli_ibfp.classifiers import respond
from trackcli_ibfp.config_online import CLASSIFIERS, FAST, OnlineUpdateConfig
from trackcli_ibfp.online_update import (
    COUNT,
    DISTRACTOR,
    HARD_NEGATIVE,
    LABELS,
    LOST,
    OFFLINE_PEAK,
    ONLINE_PEAK,
    SAMPLES,
    WEIGHTS,
    OnlineUpdate,
    sample_at,
)
from trackcli_ibfp.peaks import find_peaks, near_point
from trackcli_ibfp.views import View, shown_views, transformed, view_features, views_of

import trackcli
from trackcli.contracts.context import StartContext
from trackcli.contracts.levels import Level
from trackcli.contracts.predictions import Selection
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.state import State
from trackcli.errors import FitError
from trackcli.geometry.boxes import centers_and_sizes
from trackcli.geometry.grids import Grid
from trackcli.testing import Scene, synthetic_clip
from trackcli.testing.links import made_up_candidates
from trackcli.tracking.tracker import Tracker

SMALL: Mapping[str, Any] = {
    "name": "online-update",
    "fast": True,
    "channels": 8,
    "memory": 14,
    "first_rounds": 2,
    "first_iterations": 10,
    "every": 3,
    "remember_every": 1,
}
CONFIG = OnlineUpdateConfig()
GRID = Grid(19, 19, 16, -7.5)
LAST = torch.tensor([[115.0, 115.0, 173.0, 173.0]])  # 58 pixels around the middle of 288


def bumps(*peaks: tuple[float, float, float]) -> Tensor:
    """``(1, 19, 19)``: Gaussians of a height around x, y in crop pixels."""
    points = GRID.points_xy(torch.zeros(1))
    total = torch.zeros(len(points))
    for height, x, y in peaks:
        total = torch.maximum(total, height * (-((points - torch.tensor([x, y])) / 20).square().sum(dim=1)).exp())
    return total.reshape(1, 19, 19)


def read(*peaks: tuple[float, float, float]) -> dict[str, bool]:
    found = find_peaks(bumps(*peaks), GRID, LAST, 288, CONFIG)
    names = ("lost", "distractor", "hard_negative", "prefer_second")
    return {name: True for name in names if bool(getattr(found, name))}


# Cells lie at −7.5 + 16j: 136.5 is near the middle; far is more than 0.8 · 144 = 115 pixels away.
HERE, BESIDE, FAR, FAR_TOO = (136.5, 136.5), (216.5, 136.5), (8.5, 136.5), (264.5, 136.5)


@pytest.mark.parametrize(
    "peaks, expected",
    [
        ([(0.9, *HERE)], set()),
        ([(0.24, *HERE)], {"lost"}),
        ([(0.9, *HERE), (0.4, *BESIDE)], set()),
        ([(0.9, *HERE), (0.6, *BESIDE)], {"hard_negative"}),
        ([(0.4, *HERE), (0.24, *BESIDE)], set()),  # the second alone would not be found
        ([(0.9, *HERE), (0.8, *BESIDE)], {"distractor"}),
        ([(0.9, *HERE), (0.8, *FAR)], {"hard_negative"}),
        ([(0.8, *HERE), (0.9, *FAR)], {"hard_negative", "prefer_second"}),
        ([(0.9, *FAR), (0.8, *FAR_TOO)], {"distractor"}),
        ([(0.2, *HERE), (0.19, *FAR)], {"lost"}),
    ],
)
def test_peaks_mean_what_atom_says(peaks: list[tuple[float, float, float]], expected: set[str]) -> None:
    assert set(read(*peaks)) == expected


def test_a_peak_within_the_targets_neighbourhood_is_no_second_one() -> None:
    """2.2 · 58 / 2 = 64 pixels to either side."""
    found = find_peaks(bumps((0.9, *HERE), (0.85, 184.5, 136.5)), GRID, LAST, 288, CONFIG)
    assert not bool(found.distractor | found.hard_negative)
    points, center, size = (
        torch.tensor([[200.0, 136.0], [201.0, 136.0]]),
        torch.tensor([HERE]),
        torch.tensor([[58.0, 58.0]]),
    )
    assert near_point(points, center, size, 2.2).tolist() == [[True, False]]


def test_sampling_reads_cells_and_between_them() -> None:
    response = torch.rand(1, 19, 19, generator=torch.Generator().manual_seed(0))
    points = GRID.points_xy(response).unsqueeze(0)
    torch.testing.assert_close(sample_at(response, GRID, points)[0], response.flatten(), rtol=1e-4, atol=1e-5)
    between = torch.tensor([[[8.5 + 4, 24.5]]])  # a quarter of the way from cell (1, 2) to (2, 2)
    expected = 0.75 * response[0, 2, 1] + 0.25 * response[0, 2, 2]
    torch.testing.assert_close(sample_at(response, GRID, between)[0, 0], expected, rtol=1e-4, atol=1e-5)
    outside = torch.tensor([[[-50.0, 24.5]]])
    torch.testing.assert_close(sample_at(response, GRID, outside)[0, 0], response[0, 2, 0])


def composed(*, behind: Sequence[Mapping[str, Any]] = (), **settings: Any) -> Tracker:
    return trackcli.compose(
        preset="siamrpn-pp",
        backbone={"name": "resnet18", "depth": 3, "max_stride": 16},
        matcher={"name": "dw-xcorr", "levels": ["layer2"], "channels": 16, "template_cells": 4},
        head={"name": "rpn", "hidden": 16, "scale": 4.0},
        postprocessor=[{**SMALL, **settings}, {"name": "select"}, *behind, {"name": "clip"}],
        crop={"template_size": 64, "search_size": 128},
        device="cpu",
    )


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return composed()


def link_of(tracker: Tracker) -> OnlineUpdate:
    link = tracker.session.model.candidate_links["online-update"]
    assert isinstance(link, OnlineUpdate)
    return link


def start_context(tracker: Tracker, scene: Scene) -> StartContext:
    """What the link is given when the scene's targets start."""
    kept: list[StartContext] = []
    link = link_of(tracker)

    class Keep(OnlineUpdate):
        def start(self, context: StartContext) -> State:
            kept.append(context)
            return link.start(context)

    tracker.model.candidate_links["online-update"] = Keep(link.config)
    try:
        scene.start(tracker.model)
    finally:
        tracker.model.candidate_links["online-update"] = link
    return kept[0]


def state_of(tracker: Tracker) -> State:
    assert tracker.session._state is not None
    return tracker.session._state.links["online-update"]


@torch.no_grad()
def test_equation_11_mixes_at_the_candidates_points(tracker: Tracker) -> None:
    model, link = tracker.model, link_of(tracker)
    scene = Scene(synthetic_clip(), tracker.plan.recipe.crop)
    started = scene.start(model)
    state = started.links["online-update"]
    state[OFFLINE_PEAK].fill_(0.8)
    state[ONLINE_PEAK].fill_(0.5)
    context, candidates = scene.context(model, started), made_up_candidates(scene, 1)
    mixed, _ = link.step(candidates, state, context)
    level = link.level(context.search.features)
    response, grid = link.response(state, level), link.grid(level)
    for row in range(len(candidates.scores)):
        lost, unsure = bool(mixed.flags[LOST][row]), bool((mixed.flags[DISTRACTOR] | mixed.flags[HARD_NEGATIVE])[row])
        online = (sample_at(response[row : row + 1], grid, candidates.points_xy[row : row + 1])[0] / 0.5).clamp(0, 1)
        peaks = find_peaks(response / 0.5, grid, context.previous_boxes_xyxy, 128, link.config)  # type: ignore[arg-type]
        if bool(peaks.prefer_second[row]):
            continue
        torch.testing.assert_close(mixed.ranking[row], 0.3 * candidates.ranking[row] / 0.8 + 0.7 * online)
        expected = 0.3 * (candidates.scores[row] / 0.8).clamp(max=1) + 0.7 * online
        if not lost and not unsure:
            torch.testing.assert_close(mixed.scores[row], expected)
        else:
            assert (mixed.scores[row] <= expected + 1e-6).all()


@torch.no_grad()
def test_lost_and_look_alikes_show_in_the_score(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    link, scene = link_of(tracker), Scene(synthetic_clip(), tracker.plan.recipe.crop, rows=(0,))
    started = scene.start(tracker.model)
    state = started.links["online-update"]
    state[ONLINE_PEAK].fill_(1)
    state[OFFLINE_PEAK].fill_(1)
    context, candidates = scene.context(tracker.model, started), made_up_candidates(scene, 1)
    assert context.previous_boxes_xyxy is not None
    grid = link.grid(link.level(context.search.features))
    x, y = ((context.previous_boxes_xyxy[0, :2] + context.previous_boxes_xyxy[0, 2:]) / 2).tolist()
    points = grid.points_xy(torch.zeros(1))

    def scores(*peaks: tuple[float, float]) -> tuple[Tensor, dict[str, Tensor]]:
        total = torch.zeros(1, grid.height, grid.width)
        for height, shift in peaks:
            away = (points - torch.tensor([x + shift, y])).square().sum(dim=1)
            total = torch.maximum(total, height * (-away / 150).exp().reshape(total.shape))
        monkeypatch.setattr(link, "response", lambda state, level: total / total.max() * max(h for h, _ in peaks))
        mixed, _ = link.step(candidates, state, context)
        return mixed.scores, mixed.flags

    sure, flags = scores((0.9, 0.0))
    assert not any(flag.any() for flag in flags.values())
    beside, flags = scores((0.9, 0.0), (0.6, 60.0))
    assert bool(flags[HARD_NEGATIVE])
    assert beside.max() < sure.max()
    gone, flags = scores((0.2, 0.0))
    assert bool(flags[LOST])
    assert gone.max() <= 0.2 + 1e-6


def test_rows_are_updated_when_found_and_due_or_when_a_hard_negative_was_seen() -> None:
    link = OnlineUpdate(OnlineUpdateConfig(every=10, remember_every=4))
    flags = {LOST: [0, 0, 1, 0, 0], DISTRACTOR: [0, 0, 0, 1, 0], HARD_NEGATIVE: [0, 0, 0, 0, 1]}
    tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in flags.items()}
    at = {frame: link.rows_to_update(torch.full((5,), frame), tensors) for frame in (4, 5, 10)}
    assert at[4] is not None and at[4].tolist() == [True, True, False, False, True]
    assert at[5] is not None and at[5].tolist() == [False, False, False, False, True]
    assert at[10] is not None and at[10].tolist() == [True, True, False, False, True]
    assert link.rows_to_update(torch.tensor([5]), {name: torch.zeros(1) for name in flags}) is None


def test_in_a_session_samples_are_remembered_and_the_filter_learns_every_third_frame(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, clip = link_of(tracker), synthetic_clip()
    monkeypatch.setattr(link, "config", link.config.model_copy(update={"lost_below": 0.0, "distractor": 1.0}))
    tracker.start(clip.frames[0], clip.boxes_xywh[0])
    filters, counts = [state_of(tracker)["filter"].clone()], [int(state_of(tracker)[COUNT])]
    assert counts == [10] and state_of(tracker)[WEIGHTS].sum().item() == pytest.approx(1)
    hard = []
    seen: dict[str, Tensor] = {}
    ask = link.rows_to_update
    monkeypatch.setattr(link, "rows_to_update", lambda index, flags: (seen.update(flags), ask(index, flags))[1])
    for frame in clip.frames[1:5]:
        tracker.update(frame)
        hard.append(bool(seen[HARD_NEGATIVE]))
        filters.append(state_of(tracker)["filter"].clone())
        counts.append(int(state_of(tracker)[COUNT]))
    learned = [not torch.equal(one, two) for one, two in pairwise(filters)]
    assert learned == [frame % 3 == 0 or was_hard for frame, was_hard in enumerate(hard, start=1)]
    assert counts == [10, 11, 12, 13, 14]


@torch.no_grad()
def test_a_row_that_holds_the_last_box_learns_nothing(tracker: Tracker) -> None:
    """Even where a hard negative was seen; a box that was only rounded is the last one still."""
    link, scene = link_of(tracker), Scene(synthetic_clip(), tracker.plan.recipe.crop)
    started = scene.start(tracker.model)
    state, context = started.links["online-update"], scene.context(tracker.model, started)
    before = {name: leaf.clone() for name, leaf in state.items()}
    every = torch.ones(len(scene.rows), dtype=torch.bool)
    moves = torch.tensor([0.001, 2.0, 0.0])[:, None]
    boxes_xyxy = started.boxes_xyxy + moves
    ones, index = torch.ones(len(every)), torch.zeros(len(every), dtype=torch.int64)
    selection = Selection(boxes_xyxy, ones, ones, boxes_xyxy, index, {HARD_NEGATIVE: every})
    after = link.update(state, selection, context, every)
    assert (after[COUNT] - before[COUNT]).tolist() == [0, 1, 0]
    for name, leaf in before.items():
        assert torch.equal(after[name][[0, 2]], leaf[[0, 2]])
    assert not torch.equal(after["filter"][1], before["filter"][1])


def test_in_a_session_that_holds_every_frame_nothing_is_learnt() -> None:
    held, clip = composed(behind=[{"name": "hold", "threshold": 1.0}], distractor=1.0, lost_below=0.0), synthetic_clip()
    held.start(clip.frames[0], clip.boxes_xywh[0])
    before = {name: leaf.clone() for name, leaf in state_of(held).items()}
    for frame in clip.frames[1:5]:
        np.testing.assert_allclose(held.update(frame).boxes_xywh[0], clip.boxes_xywh[0], atol=1e-3)
    assert all(torch.equal(state_of(held)[name], leaf) for name, leaf in before.items())


def test_targets_and_batches_do_not_influence_one_another() -> None:
    """Two targets that are tracked together have the boxes and memories that each has alone.

    Few iterations: more of them on the features of an untrained backbone make a tenth of the filter out of rounding.
    """
    tracker, clip = composed(first_rounds=1, first_iterations=3), synthetic_clip()
    boxes = np.stack((clip.boxes_xywh[0], clip.boxes_xywh[0] + [12, -9, 6, 4]))
    tracker.start(clip.frames[0], boxes)
    together = [tracker.update(frame).boxes_xyxy for frame in clip.frames[1:5]]
    memory = {name: leaf.clone() for name, leaf in state_of(tracker).items()}
    for row in range(2):
        tracker.start(clip.frames[0], boxes[row])
        for frame, seen in zip(clip.frames[1:5], together, strict=True):
            np.testing.assert_allclose(tracker.update(frame).boxes_xyxy[0], seen[row], atol=0.05)
        for name in (WEIGHTS, COUNT, "filter"):
            torch.testing.assert_close(state_of(tracker)[name][0], memory[name][row], rtol=1e-3, atol=1e-3)


def test_the_same_seed_tracks_the_same_way_and_another_does_not(tracker: Tracker) -> None:
    clip = synthetic_clip()
    fitted = []
    for each in (tracker, tracker, composed(seed=5)):
        each.start(clip.frames[0], clip.boxes_xywh[0])
        fitted.append(state_of(each)["filter"].clone())
    assert torch.equal(fitted[0], fitted[1])
    assert not torch.equal(fitted[0], fitted[2])


@pytest.mark.parametrize(
    "settings",
    [
        {"classifier": "four-layer", "channels": 4, "filter_cells": 3},
        {"solver": "steepest-descent", "loss": "mlu"},
        {"calibrate": False, "level": "layer2", "stride": 8},
    ],
    ids=["four layers", "steepest descent", "stride 8"],
)
def test_every_form_learns_the_first_frame_and_tracks(settings: dict[str, Any]) -> None:
    each, clip = composed(**settings), synthetic_clip()
    each.start(clip.frames[0], clip.boxes_xywh[0])
    state = state_of(each)
    first = state[LABELS][:, 0].flatten(1).argmax(dim=1)
    flat = respond(state["filter"], state[SAMPLES][:, :, :1])[:, 0].flatten(1)
    assert flat[0, first] > 2 * flat.mean()
    for frame in clip.frames[1:5]:
        result = each.update(frame)
        assert np.isfinite(result.boxes_xyxy).all() and 0 <= result.scores[0] <= 1


def test_levels_of_a_smaller_stride_are_averaged_and_cells_stay_where_they_are() -> None:
    link = OnlineUpdate(OnlineUpdateConfig(level="layer3"))
    map8 = torch.arange(36.0).reshape(1, 1, 6, 6)
    level = link.level({"layer3": Level(map8, 8, 0.5)})
    assert (level.stride, level.offset) == (16, 4.5)
    assert level.map[0, 0, 0].tolist() == [3.5, 5.5, 7.5]
    grid = link.grid(level)  # an even filter: one cell more, half a cell before
    assert (grid.height, grid.width, grid.offset) == (4, 4, -3.5)


def test_it_learns_on_the_deepest_level_of_stride_16_unless_told_otherwise() -> None:
    strides = {"layer2": 8.0, "layer3": 16.0, "layer4": 32.0}
    assert CONFIG.chosen(strides) == "layer3"
    assert OnlineUpdateConfig(level="layer4").chosen(strides) == "layer4"
    assert CONFIG.chosen({"layer4": 32.0}) == "layer4"
    with pytest.raises(FitError, match=r"level names 'conv9', which the backbone does not give; it gives: layer2"):
        OnlineUpdateConfig(level="conv9").chosen(strides)


def test_what_cannot_work_is_refused_with_what_to_do() -> None:
    levels = {"layer3": LevelShape(256, 16, 0.5)}
    CONFIG.check(levels, (288,))
    with pytest.raises(FitError, match=r"several search sizes \(288, 831\)"):
        CONFIG.check(levels, (288, 831))
    with pytest.raises(FitError, match=r"stride 12 to stride 16, which is no multiple; use --set .*stride=24"):
        CONFIG.check({"odd": LevelShape(8, 12, 0.5)}, (288,))
    with pytest.raises(ValueError, match="a memory of 20 samples has no room beside the 30 of the first frame"):
        OnlineUpdateConfig(memory=20)


def test_fast_and_the_classifier_set_what_is_not_given() -> None:
    fast = OnlineUpdateConfig(fast=True, iterations=4)
    assert {name: getattr(fast, name) for name in FAST if name != "iterations"} == {
        name: value for name, value in FAST.items() if name != "iterations"
    }
    assert fast.iterations == 4
    layered = OnlineUpdateConfig(classifier="four-layer")
    assert (layered.channels, layered.filter_cells) == (256, 3) == tuple(CLASSIFIERS["four-layer"].values())
    assert OnlineUpdateConfig(**fast.model_dump()) == fast


def test_views_show_the_target_where_their_boxes_say() -> None:
    """A bright square on grey: its middle, measured, is the box's in every view that only moves it."""
    size, side = 64, 8
    region = torch.full((1, 3, 2 * size, 2 * size), 100.0)
    region[..., size - side // 2 : size + side // 2, size - side // 2 : size + side // 2] = 255
    for view in (View(), View(turn=45), View(mirror=True), View(turn=-30, mirror=True)):
        shift = torch.tensor([[9.0, -5.0]])
        crop = transformed(region, shift, view, size)[0, 0] - 100
        weights = crop.clamp(min=0)
        cells = torch.arange(size) + 0.5
        x = (weights.sum(dim=0) * cells).sum() / weights.sum()
        y = (weights.sum(dim=1) * cells).sum() / weights.sum()
        assert (x.item(), y.item()) == (pytest.approx(size / 2 + 9, abs=0.1), pytest.approx(size / 2 - 5, abs=0.1))


def test_a_turned_view_is_turned_clockwise_by_its_angle() -> None:
    region = torch.zeros(1, 3, 128, 128)
    region[..., 60:68, 84:92] = 255  # 24 to the right of the middle
    crop = transformed(region, torch.zeros(1, 2), View(turn=90), 64)[0, 0]
    rows, columns = (crop > 128).nonzero().unbind(dim=1)
    assert rows.float().mean().item() == pytest.approx(55.5, abs=1)
    assert columns.float().mean().item() == pytest.approx(31.5, abs=1)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["full", "few"])
def test_views_are_shifted_as_far_as_atoms_and_show_the_whole_target(
    tracker: Tracker, kind: Literal["full", "few"]
) -> None:
    """By ±0.6 of half the search region, exactly, or at random by up to ±1/6 of the region; it has 128 pixels."""
    context = start_context(tracker, Scene(synthetic_clip(), tracker.plan.recipe.crop, rows=(0,)))
    moves = []
    for shown in shown_views(context, views_of(kind, 0)):
        assert (shown.boxes_xyxy > 0).all() and (shown.boxes_xyxy < 128).all()
        center_xy, _ = centers_and_sizes(shown.boxes_xyxy)
        moves.append([round(move, 2) for move in (center_xy[0] - 64).tolist()])
    corners = [[38.4, 38.4], [-38.4, 38.4], [38.4, -38.4], [-38.4, -38.4]]
    far = [move for move in moves if max(map(abs, move)) > 128 / 6]
    assert far == (corners if kind == "full" else corners[::3])
    assert moves[0] == [0, 0] and moves.count([0, 0]) == 1


@torch.no_grad()
def test_there_are_30_or_10_views_and_the_first_is_the_search_crop_itself(tracker: Tracker) -> None:
    assert (len(views_of("full", 0)), len(views_of("few", 0))) == (30, 10)
    assert views_of("full", 0) == views_of("full", 0) != views_of("full", 1)
    scene = Scene(synthetic_clip(), tracker.plan.recipe.crop)
    context = start_context(tracker, scene)
    (shown,) = shown_views(context, (View(),))
    expected = scene.crops(scene.windows(scene.truth_xyxy(), 128).windows_xyxy, 128)
    assert (shown.crops - expected).abs().mean() < 2  # resampled at the same scale
    crop_map = scene.windows(scene.truth_xyxy(), 128)
    torch.testing.assert_close(shown.boxes_xyxy, crop_map.to_crop(scene.truth_xyxy()), rtol=1e-3, atol=0.05)
    maps, boxes = view_features(context, views_of("few", 0), lambda crops: crops[:, :, ::16, ::16], seed=0)
    assert maps.shape == (3, 3, 10, 8, 8) and boxes.shape == (3, 10, 4)
    plain, dropped = maps[:, :, 0], maps[:, :, -1]
    for channel in range(3):  # a channel is gone, or larger for those that are
        gone = torch.equal(dropped[:, channel], torch.zeros_like(dropped[:, channel]))
        assert gone or torch.allclose(dropped[:, channel], plain[:, channel] / 0.8)
    assert replace(View(), keep=0.8) in views_of("few", 0)
