"""The commands proposal-recall, stage-scores and stage-variants: their arithmetic, and runs on small real files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from trackcli_cache.build import build_cache
from trackcli_cache.folder import FolderDataset
from trackcli_spm.look_alikes import PairScores, summarise
from trackcli_spm.probing import best_for
from trackcli_spm.recall import proposal_recall, recall
from trackcli_spm.stage_scores import stage_scores
from trackcli_spm.variants import numbers, stage_variants, with_head_settings

import trackcli
from trackcli.contracts.predictions import Candidates
from trackcli.errors import UsageError
from trackcli.testing.scenes import synthetic_clip
from trackcli.tracking.tracker import Tracker

RECIPE = {
    "preset": "spm-tracker",
    "backbone": {"name": "resnet18", "depth": 2},
    "matcher": {"name": "up-xcorr", "channels": 4, "template_cells": 4},
    "head": {
        "name": "series-parallel",
        "coarse": {"name": "rpn", "hidden": 0},
        "hidden": 8,
        "roi_size": 3,
    },
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trackcli", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tracker, Path]:
    made = trackcli.compose(device="cpu", **RECIPE)
    path = tmp_path_factory.mktemp("tracker") / "spm.safetensors"
    made.save(path, provenance={"seed": 3, "figures": {"auc": 0.5}})
    return made, path


def test_recall_is_the_share_of_frames_above_each_threshold() -> None:
    overlaps = np.array([[0.2, 0.9], [0.6, 0.6], [0.5, 0.8], [0.0, 0.5]])
    assert recall(overlaps, (0.5, 0.7)).tolist() == [[0.25, 0.75], [0.0, 0.5]]


def test_of_each_object_the_surest_box_that_fits_it_counts_or_else_the_nearest() -> None:
    boxes = torch.tensor([[[0.0, 0, 20, 20], [2, 0, 22, 20], [60, 60, 80, 80], [30, 30, 50, 50]]])
    scores = torch.tensor([[0.3, 0.7, 0.9, 0.8]])
    points = (boxes[..., :2] + boxes[..., 2:]) / 2
    candidates = Candidates(boxes, scores, scores, torch.ones_like(scores), points, torch.ones(1, 4, dtype=torch.bool))
    objects = torch.tensor([[[0.0, 0, 20, 20], [45, 45, 65, 65]]])
    found, values = best_for(candidates, objects)
    assert found[0, 0].tolist() == [2.0, 0.0, 22.0, 20.0] and float(values[0, 0]) == pytest.approx(0.7)
    # Two boxes reach the second object by 25 of 775 square pixels each; the first of equals is taken.
    assert found[0, 1].tolist() == [60.0, 60.0, 80.0, 80.0] and float(values[0, 1]) == pytest.approx(0.9)


def test_a_summary_counts_the_pairs_that_the_target_wins() -> None:
    values = np.zeros((4, 3, 2))
    values[:, 0] = [[0.9, 0.1], [0.9, 0.9], [0.2, 0.4], [0.8, 0.6]]
    values[:, 1] = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]
    summary = summarise(PairScores(values, ()))
    coarse, gain = summary["coarse"], summary["fine - coarse"]
    assert coarse["target"] == pytest.approx(0.7) and coarse["look_alike"] == pytest.approx(0.5)
    assert coarse["wins"] == pytest.approx((1 + 0.5 + 0 + 1) / 4) and coarse["low"] < 0.625 < coarse["high"]
    assert summary["fine"]["wins"] == 1 and gain["wins"] == pytest.approx((0 + 0.5 + 1 + 0) / 4)
    assert 0 <= gain["low"] < 0.375 < gain["high"]


def test_variants_have_the_same_weights_and_other_settings(tracker: tuple[Tracker, Path], tmp_path: Path) -> None:
    path = tracker[1]
    done = run("stage-variants", str(path), "-o", str(tmp_path / "variants"), "--proposals", "1,5", "--structures")
    assert done.returncode == 0, done.stderr
    files = [Path(line).name for line in done.stdout.split()]
    assert files == [f"{name}.safetensors" for name in ("k-01", "k-05", "coarse", "series", "series-parallel")]
    five, coarse = (trackcli.load(tmp_path / "variants" / f"{name}.safetensors", device="cpu") for name in
                    ("k-05", "coarse"))  # fmt: skip
    assert five.plan.head.config.proposals == 5  # type: ignore[attr-defined]
    assert five.described is not None and five.described.provenance == {"seed": 3, "variant": "k-05"}
    saved = trackcli.load(path, device="cpu").model.state_dict()
    for name, tensor in five.model.state_dict().items():
        torch.testing.assert_close(tensor, saved[name])
    assert not any(name.startswith("head.fine") for name in coarse.model.state_dict())
    clip = synthetic_clip()
    for each in (five, coarse):
        each.start(clip.frames[0], clip.boxes_xywh[:1])
        assert np.isfinite(each.update(clip.frames[1]).boxes_xyxy).all()
    with pytest.raises(UsageError, match=r"exists; add --force"):
        stage_variants(str(path), tmp_path / "variants", "1")
    with pytest.raises(UsageError, match=r"no variant is asked for; expected --proposals"):
        stage_variants(str(path), tmp_path / "variants")
    with pytest.raises(UsageError, match=r"has no weights for .*series-parallel.* train it with them"):
        with_head_settings(coarse, {"structure": "series-parallel"})
    with pytest.raises(UsageError, match=r"has another head; expected a tracker with head series-parallel"):
        with_head_settings(trackcli.load("default", device="cpu"), {})


@pytest.mark.parametrize("text", ["0", "1,x", "1.5"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--proposals .* does not fit; expected numbers from 1 with commas"):
        numbers(text)


def test_recall_is_measured_on_sequences(
    tracker: tuple[Tracker, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = synthetic_clip()
    (tmp_path / "clip" / "img").mkdir(parents=True)
    for number, frame in enumerate(clip.frames):
        cv2.imwrite(str(tmp_path / "clip" / "img" / f"{number:03d}.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    lines = "".join(",".join(f"{value:.2f}" for value in box) + "\n" for box in clip.boxes_xywh)
    (tmp_path / "clip" / "groundtruth.txt").write_text(lines)
    mine, others = [f"mine={tracker[1]}"], ["default"]
    proposal_recall(root=tmp_path, tracker=mine, proposals="1,9", device="cpu", as_json=True)
    measured = json.loads(capsys.readouterr().out)["mine"]
    assert measured["frames"] == len(clip.frames) - 1
    with_last, alone = measured["proposals"]["9"], measured["proposals"]["1"]
    assert 0 <= alone["mean_recall"] <= with_last["mean_recall"] <= 1
    # Anchors lie everywhere, so what fits the last box is near to the target whatever the scores are.
    assert with_last["recall"][0] > 0.5
    proposal_recall(root=tmp_path, tracker=mine, proposals="1,9", device="cpu", last_box=False, as_json=True)
    without = json.loads(capsys.readouterr().out)["mine"]["proposals"]
    assert without["1"] == alone and without["9"]["mean_recall"] < with_last["mean_recall"]
    proposal_recall(root=tmp_path, tracker=mine, proposals="1,9", device="cpu")
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[-2:] == ["K=1", "K=9"] and table[1].split()[0] == "mine"
    with pytest.raises(UsageError, match="has another head"):
        proposal_recall(root=tmp_path, tracker=others, device="cpu")
    with pytest.raises(UsageError, match="two trackers have one label"):
        proposal_recall(root=tmp_path, tracker=[*mine, *mine], device="cpu")


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


def test_stage_scores_measures_both_stages_and_draws_pairs(
    tracker: tuple[Tracker, Path], twins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, mine = tmp_path / "pairs.png", [str(tracker[1])]
    stage_scores(data=twins, tracker=mine, pairs=6, output=picture, shown=2, device="cpu", as_json=True)
    (measured,) = json.loads(capsys.readouterr().out).values()
    assert measured["pairs"] == 6
    for stage in ("coarse", "fine", "fused"):
        assert 0 <= measured[stage]["look_alike"] <= 1 and 0 <= measured[stage]["wins"] <= 1
    half = (measured["coarse"]["target"] + measured["fine"]["target"]) / 2
    assert measured["fused"]["target"] == pytest.approx(half, abs=1e-6)
    assert cv2.imread(str(picture)).shape == (2 * 271, 127 + 271, 3)
    with pytest.raises(UsageError, match=r"exists; add --force"):
        stage_scores(data=twins, tracker=mine, output=picture)
    with pytest.raises(UsageError, match=r"is no picture; expected a name that ends in \.png or \.jpg"):
        stage_scores(data=twins, tracker=mine, output=tmp_path / "pairs.txt")
