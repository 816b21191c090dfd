"""``benchmarks/gone.py`` and its clips: what is shown when, areas and intervals by brute force, the fit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file

from trackcli.composition.files import read_header
from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
MODULES = ("gone", "spliced_clips", "dev_set", "pasted_scenes")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module("gone"), import_module("spliced_clips")
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def gone(modules: tuple[Any, Any]) -> Any:
    return modules[0]


@pytest.fixture
def spliced(modules: tuple[Any, Any]) -> Any:
    return modules[1]


def plain(value: int, size_wh: tuple[int, int] = (40, 20)) -> Callable[[int], NDArray[np.uint8]]:
    """Frames of one grey, a little lighter with every frame."""
    return lambda index: np.full((*size_wh[::-1], 3), value + index, np.uint8)


def test_a_clip_shows_a_then_b_then_the_rest_of_a(spliced: Any) -> None:
    boxes = np.array([[1.0, 2.0, 3.0, 4.0]] * 4 + [[0.0, 0.0, 0.0, 0.0]])
    clip = spliced.Clip(
        "video", spliced.Shot("a", plain(10), boxes), spliced.Shot("b", plain(100, (80, 80)), boxes), (2, 3, 3)
    )
    frames = list(clip.frames())
    assert [int(frame[0, 0, 0]) for frame in frames] == [10, 11, 100, 101, 102, 12, 13, 14]
    assert {frame.shape for frame in frames} == {(20, 40, 3)}
    assert clip.gone.tolist() == [False] * 2 + [True] * 3 + [False] * 3
    assert np.isfinite(clip.boxes_xywh[:, 0]).tolist() == [True] * 2 + [False] * 3 + [True] * 2 + [False]
    assert clip.name == "a+b"


def test_frames_of_the_other_shot_are_cut_not_stretched(spliced: Any) -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[15:45] = 200  # the middle half, which is what fits into 2:1
    assert (spliced.fitted(image, (40, 20)) == 200).all()


def test_a_vanished_target_leaves_the_rest_of_the_scene_as_it_was(spliced: Any, tmp_path: Path) -> None:
    clips = spliced.pasted_clips(3, photographs(spliced, tmp_path), 1)
    assert [clip.kind for clip in clips] == ["pasted", "vanished"]
    vanished = clips[1]
    at = vanished.lengths[0]
    with_target, without = vanished.shown.paint(at), vanished.away.paint(0)
    changed = (with_target != without).any(axis=2)
    x, y, width, height = vanished.shown.boxes_xywh[at]
    rows, columns = np.nonzero(changed)
    blur = 4
    assert changed.sum() > 0.3 * width * height
    assert x - blur <= columns.min() <= columns.max() <= x + width + blur
    assert y - blur <= rows.min() <= rows.max() <= y + height + blur


def photographs(spliced: Any, folder: Path) -> list[Any]:
    """Four noisy pictures; from each a square of a colour and category of its own can be cut."""
    outline = np.array([[8.0, 8.0], [40.0, 8.0], [40.0, 40.0], [8.0, 40.0]])
    made = []
    for number, color in enumerate(((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0))):
        rng = np.random.default_rng(number)
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), rng.integers(100, 140, (120, 160, 3)).astype(np.uint8))
        cutout = import_module("pasted_scenes").Cutout(
            np.full((48, 48, 3), color, np.uint8), (outline,), f"category {number}"
        )
        made.append(spliced.Photograph(path, frozenset({cutout.category}), (cutout,)))
    return made


def test_what_is_cut_to_shows_nothing_of_the_targets_category(spliced: Any, tmp_path: Path) -> None:
    material = photographs(spliced, tmp_path)
    colors = {one.cutouts[0].category: one.cutouts[0].image[0, 0].astype(int) for one in material}
    for clip in spliced.pasted_clips(5, material, 6)[::2]:
        x, y, width, height = clip.boxes_xywh[0]
        middle = clip.shown.paint(0)[int(y + height / 2), int(x + width / 2)].astype(int)
        target = min(colors, key=lambda name: np.abs(colors[name] - middle).sum())
        away = clip.away.paint(0).astype(int)
        assert clip.away.name != target
        assert np.abs(away - colors[target]).sum(axis=2).min() > 150


def test_a_target_never_has_its_twin_beside_it(spliced: Any, tmp_path: Path) -> None:
    material = photographs(spliced, tmp_path)
    target = material[0].cutouts[0]
    for seed in range(20):
        assert spliced._alike(np.random.default_rng(seed), target, material) == []


def test_the_area_counts_pairs_in_the_right_order_and_half_of_the_ties(gone: Any) -> None:
    assert gone.roc_area(np.array([0.9, 0.8, 0.3]), np.array([0.1, 0.3])) == pytest.approx(5.5 / 6)
    assert gone.roc_area(np.array([0.2]), np.array([0.2])) == 0.5


def test_the_interval_is_that_of_areas_of_clips_drawn_again(gone: Any) -> None:
    rng = np.random.default_rng(1)
    positives = [rng.normal(0.6, 0.2, size) for size in (5, 3, 8, 4)]
    negatives = [rng.normal(0.4, 0.2, size) for size in (4, 6, 2, 0)]
    drawn = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), size=gone.RESAMPLES)
    areas = []
    for counts in drawn:
        chosen = np.repeat(np.arange(4), counts)
        ours, theirs = (np.concatenate([side[index] for index in chosen]) for side in (positives, negatives))
        if len(theirs):
            areas.append((np.sign(ours[:, None] - theirs).mean() + 1) / 2)
    assert gone.roc_interval(positives, negatives) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])))


def track(gone: Any, scores: list[float], overlaps: list[float], away: list[bool], kind: str = "video") -> Any:
    evidence = np.column_stack([scores, scores, scores])
    return gone.Track("a+b", kind, np.array(scores), np.array(overlaps), np.array(away), evidence)


def test_frames_without_box_in_the_first_shot_are_neither_gone_nor_in_view(gone: Any) -> None:
    one = track(gone, [0.9, 0.1, 0.5, 0.8], [0.7, np.nan, np.nan, 0.2], [False, True, False, False])
    assert one.in_view.tolist() == [True, False, False, True]
    assert one.tracked.tolist() == [True, False, False, False]


def test_found_again_asks_for_all_of_the_last_frames(gone: Any) -> None:
    last = gone.FOUND_FRAMES
    assert track(gone, [1.0] * last, [0.6] * last, [False] * last).found_again
    assert not track(gone, [1.0] * last, [0.4] + [0.6] * (last - 1), [False] * last).found_again


def test_figures_are_of_all_clips_at_one_threshold(gone: Any) -> None:
    sure = track(gone, [0.9, 0.8], [0.7, np.nan], [False, True])
    unsure = track(gone, [0.5, 0.1], [0.7, np.nan], [False, True], kind="vanished")
    outcomes = gone.by_kind([sure, unsure])
    assert outcomes["spliced"].area == outcomes["video"].area == 1.0
    assert (outcomes["all"].area, outcomes["all"].clips) == (0.75, 2)
    assert gone.threshold_table([sure, unsure])[-1] == "| 0.7 | 50.0% | 50.0% |"


def test_the_fit_leaves_out_frames_in_which_something_else_is_followed(gone: Any) -> None:
    one = track(gone, [0.9, 0.4, 0.1], [0.7, 0.1, np.nan], [False, False, True])
    evidence, positive = gone.gather_evidence([one])
    assert evidence[:, 0].tolist() == [0.9, 0.1]
    assert positive.tolist() == [True, False]


def test_the_fit_is_where_its_penalised_likelihood_is_highest(gone: Any) -> None:
    rng = np.random.default_rng(2)
    evidence = rng.normal(size=(200, 3))
    positive = evidence @ [2.0, -1.0, 0.0] + rng.logistic(size=200) > 0.5

    def loss(weights: NDArray[np.float64]) -> float:
        margin = (weights[0] + evidence @ weights[1:]) * np.where(positive, 1, -1)
        likely = np.log1p(np.exp(-margin))
        both = 0.5 * likely[positive].mean() + 0.5 * likely[~positive].mean()
        return float(both + gone.RIDGE / 2 * (weights[1:] ** 2).sum())

    found = gone.fit_logistic(evidence, positive)
    assert found[1] > 1.0
    assert found[2] < 0.0
    for step in 0.01 * np.concatenate([np.eye(4), -np.eye(4)]):
        assert loss(found + step) > loss(found)


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for seed in (1, 2):
        settings = SceneSettings(frames=20, size_wh=(160, 120), seed=seed, occluders=0, look_alikes=0)
        write_sequence(make_sequence(settings), folder / f"scene-{seed}", video=False)
    return folder


def test_measured_on_sequences_of_ones_own(two_videos: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "gone.py"), "--videos", str(two_videos), "--threads", "1"]
    done = subprocess.run([*command, "-o", str(tmp_path / "gone.json")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| video | 2 | " in done.stdout
    written = json.loads((tmp_path / "gone.json").read_text())
    assert written["score"]["spliced"]["area"] > 0.9
    assert written["score"]["all"]["clips"] == 2


def test_fitting_writes_the_tracker_with_the_link_and_the_same_weights(
    gone: Any, spliced: Any, two_videos: Path, tmp_path: Path
) -> None:
    clips = spliced.video_clips(two_videos, ["scene-1", "scene-2"])
    gone.fit_tracker("default", clips, tmp_path / "fitted.safetensors")
    fitted = read_header(tmp_path / "fitted.safetensors").recipe.postprocessor[-1]
    assert fitted.name == "presence"
    assert fitted.settings["score_weight"] > 0
    shipped = load_file(BENCHMARKS.parent / "trackcli" / "weights" / "default.safetensors")
    written = load_file(tmp_path / "fitted.safetensors")
    assert shipped.keys() == written.keys()
    assert all((shipped[name] == written[name]).all() for name in shipped)
