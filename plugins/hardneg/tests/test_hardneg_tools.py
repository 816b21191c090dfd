"""The commands look-alikes and score-maps: their arithmetic, and real runs on small real files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from trackcli_cache.build import build_cache
from trackcli_cache.folder import FolderDataset
from trackcli_hardneg.score_maps import score_maps
from trackcli_hardneg.separation import Similarities, auroc, auroc_difference

import trackcli
from trackcli.errors import UsageError
from trackcli.testing.scenes import synthetic_clip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trackcli", *arguments], capture_output=True, text=True, check=False)


def test_auroc_is_the_share_of_won_duels() -> None:
    targets, others = np.array([0.9, 0.5, 0.4]), np.array([0.5, 0.1, 0.95])
    # 0.9 wins two of three; 0.5 wins one and ties one; 0.4 wins one.
    assert auroc(targets, others) == pytest.approx((2 + 1.5 + 1) / 9)


def similarities(seed: int, gap: float) -> Similarities:
    rng = np.random.default_rng(seed)
    others = rng.normal(size=60)
    return Similarities(others + gap + rng.normal(size=60), others)


def test_the_difference_is_that_of_the_mean_areas_and_its_interval_holds_it() -> None:
    a, b = [similarities(0, 2.0), similarities(1, 2.0)], [similarities(2, 0.5), similarities(3, 0.5)]
    difference, interval = auroc_difference(a, b, resamples=500)
    means = [np.mean([auroc(each.targets, each.look_alikes) for each in side]) for side in (a, b)]
    assert difference == pytest.approx(means[0] - means[1])
    assert interval.low < difference < interval.high and interval.excludes_zero


def test_a_resample_is_the_area_on_the_drawn_pairs() -> None:
    a, b = similarities(0, 1.0), similarities(1, 0.0)
    _, interval = auroc_difference([a], [b], resamples=1, seed=5)
    counts = np.random.default_rng(5).multinomial(60, np.full(60, 1 / 60), size=1)[0]
    rows = np.repeat(np.arange(60), counts)
    expected = auroc(a.targets[rows], a.look_alikes[rows]) - auroc(b.targets[rows], b.look_alikes[rows])
    assert interval.low == pytest.approx(expected)


def test_trackers_against_themselves_do_not_differ() -> None:
    difference, interval = auroc_difference([similarities(0, 1.0)], [similarities(0, 1.0)], resamples=50)
    assert (difference, interval.low, interval.high) == (0, 0, 0) and not interval.excludes_zero


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of pictures with two objects of one category each."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "images" / "some" / "img").mkdir(parents=True)
    boxes = {}
    for number in range(4):
        picture: NDArray[np.uint8] = np.random.default_rng(number).integers(0, 60, (160, 240, 3), dtype=np.uint8)
        picture[60:100, 50:90] = (40, 40, 230)  # the one is plain and red, the other blue and striped
        picture[60:100:8, 140:180] = picture[62:100:8, 140:180] = (230, 120, 20)
        cv2.imwrite(str(folder / "images" / "some" / "img" / f"{number}.jpg"), picture)
        boxes[f"{number}.jpg"] = [[50, 60, 40, 40, "tile"], [140, 60, 40, 40, "tile"]]
    (folder / "images" / "some" / "boxes.json").write_text(json.dumps(boxes))
    build_cache(FolderDataset(folder / "images"), folder / "cache")
    return folder / "cache"


def test_look_alikes_measures_a_tracker_against_itself(twins: Path) -> None:
    done = run("look-alikes", "--data", str(twins), "--a", "default", "--b", "default", "--pairs", "8", "--json",
               "--device", "cpu")  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["pairs"] == 8 and result["difference"] == 0
    assert result["auroc"]["a"] == result["auroc"]["b"] and 0.5 < result["auroc"]["a"][0] <= 1


def test_look_alikes_measures_by_the_vectors_of_a_run(twins: Path, tmp_path: Path) -> None:
    small = ("matcher.channels=8", "head.channels=8", "head.depth=1", "loss.hard-negative-emphasis.hidden=8")
    for name, probe in (("with", "false"), ("without", "true")):
        words = (*small, f"loss.hard-negative-emphasis.probe={probe}")
        settings = [part for word in words for part in ("--set", word)]
        done = run("train", "--preset", "hard-negative", "--backbone", "resnet18", *settings, "--data", str(twins),
                   "--steps", "2", "--batch", "2", "--device", "cpu", "-q", "-o", str(tmp_path / name))  # fmt: skip
        assert done.returncode == 0, done.stderr
    sides = ("--a", str(tmp_path / "with"), "--b", str(tmp_path / "without"))
    done = run("look-alikes", "--data", str(twins), *sides, "--by", "emphasis", "--pairs", "4", "--json")
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads(done.stdout)["auroc"]["a"][0] <= 1
    refused = run("look-alikes", "--data", str(twins), "--a", "default", "--by", "emphasis")
    assert refused.returncode == 3
    assert refused.stderr.startswith(
        "error: default holds no checkpoint; expected a run folder with loss hard-negative"
    )


def test_score_maps_draws_a_row_per_frame_and_a_panel_per_tracker_and_kind(tmp_path: Path) -> None:
    clip = synthetic_clip()
    (tmp_path / "clip" / "img").mkdir(parents=True)
    for number, frame in enumerate(clip.frames):
        cv2.imwrite(str(tmp_path / "clip" / "img" / f"{number:03d}.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    lines = "".join(",".join(f"{value:.2f}" for value in box) + "\n" for box in clip.boxes_xywh)
    (tmp_path / "clip" / "groundtruth.txt").write_text(lines)
    picture = tmp_path / "maps.png"
    clip_and_tracker = (str(tmp_path / "clip"), "--tracker", "default")
    done = run("score-maps", *clip_and_tracker, "--frames", "2,4", "-o", str(picture))
    assert done.returncode == 0, done.stderr
    side = trackcli.load("default", device="cpu").model.crop.search_size
    assert cv2.imread(str(picture)).shape == (2 * side, 3 * side, 3)
    with pytest.raises(UsageError, match=r"exists; add --force"):
        score_maps(tmp_path / "clip", ["default"], picture, "2")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(UsageError, match=r"taken\.png cannot be written"):
        score_maps(tmp_path / "clip", ["default"], tmp_path / "taken.png", "2", force=True)
    with pytest.raises(UsageError, match=r"--frames 99: clip has 6 frames"):
        score_maps(tmp_path / "clip", ["default"], picture, "99", force=True)
    with pytest.raises(UsageError, match=r"--frames 0 does not fit"):
        score_maps(tmp_path / "clip", ["default"], picture, "0", force=True)
