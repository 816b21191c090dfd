"""What ``benchmarks/ablation.py`` concludes, and what ``benchmarks/dev_set.py`` holds back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import trackcli
from trackcli import load

WEIGHTS = Path(trackcli.__file__).parent / "weights"
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any, Any]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module("ablation"), import_module("dev_set"), import_module("pasted_scenes")
    for name in ("ablation", "dev_set", "pasted_scenes"):
        sys.modules.pop(name, None)


def success(differences: list[float], seeds: int = 2) -> dict[str, dict[str, float]]:
    """A and B under each seed: B at 0.5 everywhere, A above it by a sequence's difference, give or take a seed's."""
    return {
        f"{side}-{seed}": {
            f"clip{n}": 0.5 + (difference + 0.1 * (-1) ** seed if side == "a" else 0.0)
            for n, difference in enumerate(differences)
        }
        for side in "ab"
        for seed in range(seeds)
    }


def test_a_clear_difference_is_reproduced(modules: Any) -> None:
    outcome = modules[0].compare(success([0.1, 0.2, 0.15, 0.1]), 2)
    assert outcome.verdict == "reproduced"
    assert outcome.difference == pytest.approx(0.1375)
    assert outcome.interval[0] > 0.09
    assert outcome.by_seed == {"a": [pytest.approx(0.7375), pytest.approx(0.5375)], "b": [0.5, 0.5]}


def test_a_difference_that_may_be_chance_is_said_to_be_one(modules: Any) -> None:
    assert modules[0].compare(success([0.3, -0.2, 0.1, -0.1]), 2).verdict == "not reproduced"


def test_the_other_way_round_is_said_too(modules: Any) -> None:
    ablation = modules[0]
    outcome = ablation.compare(success([-0.1, -0.2, -0.1, -0.2]), 2)
    assert outcome.verdict == "reversed"
    budget = ablation.Budget(100, 2, Path("c"), Path("d"), "cpu", None, 1, ())
    text = ablation.as_markdown(ablation.Comparison("x", "preset=p", "preset=q", "p wins", "a paper"), budget, outcome)
    assert "Claim: p wins (a paper)." in text
    assert "**not reproduced**: B is above A, and the interval excludes 0." in text
    assert "| A | `preset=p` | 0.350 | 0.450 | 0.250 |" in text


@pytest.mark.parametrize(("sequences", "seeds", "too_few"), [(2, 3, True), (20, 1, True), (20, 3, False)])
def test_too_few_sequences_or_seeds_are_said_to_be(modules: Any, sequences: int, seeds: int, too_few: bool) -> None:
    ablation = modules[0]
    outcome = ablation.compare(success([0.1] * sequences, seeds), seeds)
    budget = ablation.Budget(2000, seeds, Path("cache"), Path("dev"), "cpu", None, 1, ())
    text = ablation.as_markdown(ablation.Comparison("x", "preset=p", "preset=q"), budget, outcome)
    assert ("**Too little for a verdict**: expected 20 sequences and 3 seeds, or more." in text) == too_few


def test_it_is_said_how_many_seeds_agree(modules: Any) -> None:
    ablation = modules[0]
    outcome = ablation.compare(success([0.05, 0.06]), 2)  # A is 0.1 higher under seed 0, and 0.1 lower under seed 1
    budget = ablation.Budget(2000, 2, Path("cache"), Path("dev"), "cpu", None, 1, ())
    text = ablation.as_markdown(ablation.Comparison("x", "preset=p", "preset=q"), budget, outcome)
    assert "A is above B under 1 of 2 seeds." in text


def test_words_become_options_and_settings(modules: Any) -> None:
    ablation = modules[0]
    budget = ablation.Budget(2000, 1, Path("cache"), Path("dev"), "cpu", None, 1, ())
    command = ablation.train_command(["matcher=xcorr", "loss=rpn", "head.hidden=64"], 2, Path("out"), budget)
    assert command[-6:] == ["--matcher", "xcorr", "--loss", "rpn", "--set", "head.hidden=64"]
    assert "train.pairs_per_epoch=2000" in command
    assert command[command.index("--seed") + 1] == "2"
    with pytest.raises(SystemExit, match="'xcorr' is no KEY=VALUE"):
        ablation.train_command(["xcorr"], 0, Path("out"), budget)


def test_a_folder_keeps_to_one_comparison(modules: Any, tmp_path: Path) -> None:
    ablation = modules[0]
    budget = ablation.Budget(2000, 3, Path("cache"), Path("dev"), "cpu", None, 1, ())
    (tmp_path / "runs").mkdir()
    ablation.refuse_another_comparison(tmp_path, ablation.Comparison("x", "preset=p", "preset=q"), budget)
    ablation.refuse_another_comparison(tmp_path, ablation.Comparison("y", "preset=p", "preset=q"), budget)
    with pytest.raises(SystemExit, match="holds another comparison"):
        ablation.refuse_another_comparison(tmp_path, ablation.Comparison("x", "preset=p", "preset=r"), budget)
    with pytest.raises(SystemExit, match="holds another comparison"):
        other = replace(budget, dev=Path("other"))
        ablation.refuse_another_comparison(tmp_path, ablation.Comparison("x", "preset=p", "preset=q"), other)


def test_a_folder_without_a_training_is_free_for_another_comparison(modules: Any, tmp_path: Path) -> None:
    """A mistyped preset fails in the first training; the corrected command must not need another folder."""
    ablation = modules[0]
    budget = ablation.Budget(2000, 3, Path("cache"), Path("dev"), "cpu", None, 1, ())
    ablation.refuse_another_comparison(tmp_path, ablation.Comparison("x", "preset=typo", "preset=q"), budget)
    ablation.refuse_another_comparison(tmp_path, ablation.Comparison("x", "preset=p", "preset=q"), budget)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--a", "matcher", "--b", "preset=p"], "'matcher' is no KEY=VALUE"),
        (["--a", "preset=p"], "nothing to compare"),
        (["--comparison", "nosuch"], "--comparison nosuch is unknown; expected one of: "),
        (["--a", "preset=p", "--b", "preset=q", "--seeds", "0"], "argument --seeds: 0 is not above 0"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_written(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    output = tmp_path / "out"
    command = [sys.executable, str(BENCHMARKS / "ablation.py"), "--data", "x", "--dev", "y", "-o", str(output)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert not output.exists()


def test_named_comparisons_come_from_the_project_and_its_plugins(modules: Any, tmp_path: Path) -> None:
    ablation = modules[0]
    assert "dw-xcorr-vs-xcorr" in ablation.load_comparisons()
    for place in ("benchmarks", "plugins/mine"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "plugins/mine/comparisons.toml").write_text('[mine]\na = "x=1"\nb = "x=2"\n')
    assert ablation.load_comparisons(tmp_path)["mine"].words("b") == ["x=2"]
    (tmp_path / "plugins/mine/comparisons.toml").write_text('both = "y=0"\n[mine]\na = "x=1"\nb = "x=2"\n')
    assert ablation.load_comparisons(tmp_path)["mine"].words("b") == ["y=0", "x=2"]
    (tmp_path / "benchmarks/comparisons.toml").write_text('[mine]\na = "x=1"\nb = "x=2"\n')
    with pytest.raises(SystemExit, match="'mine' is there twice"):
        ablation.load_comparisons(tmp_path)


def test_a_side_that_learns_nothing_of_its_own_has_the_other_sides_weights(modules: Any, tmp_path: Path) -> None:
    ablation = modules[0]
    comparison = ablation.Comparison("x", a="matcher=m", b="postprocessor=select", both="preset=p", same_weights=True)
    assert comparison.words("b") == ["preset=p", "matcher=m", "postprocessor=select"]
    run = tmp_path / "a-0"
    run.mkdir()
    shutil.copyfile(WEIGHTS / "fast.safetensors", run / "tracker.safetensors")
    ablation.write_variant(["postprocessor=select", "crop.context=0.4"], 0, tmp_path)
    variant = load(tmp_path / "b-0.safetensors", device="cpu")
    assert [part.name for part in variant.plan.recipe.postprocessor] == ["select"]
    assert variant.plan.recipe.crop.context == 0.4
    original, same = load(run, device="cpu").model.state_dict(), variant.model.state_dict()
    assert all(torch.equal(same[name], original[name]) for name in same if not name.startswith("candidate_links"))


def make_data(train: Path) -> None:
    """Forty photographs with a square object each, one of them stored twice, and two videos."""
    folder = train / "images" / "things"
    (folder / "img").mkdir(parents=True)
    boxes, polygons = {}, {}
    for number in range(40):
        picture = np.random.default_rng(number).integers(0, 255, (160, 200, 3), dtype=np.uint8)
        name = f"{number}.png"
        cv2.imwrite(str(folder / "img" / name), picture)
        boxes[name] = [[60, 50, 60, 60, "thing"]]
        polygons[name] = [[[60, 50, 120, 50, 120, 110, 60, 110]]]
    (folder / "boxes.json").write_text(json.dumps(boxes))
    (folder / "polys.json").write_text(json.dumps(polygons))
    for name in ("otb_Man", "other"):
        video = train / "video" / name
        (video / "img").mkdir(parents=True)
        for frame in range(2):
            cv2.imwrite(str(video / "img" / f"{frame}.png"), np.full((40, 40, 3), frame, np.uint8))
        (video / "groundtruth.txt").write_text("5,5,20,20\n" * 2)


def test_what_is_held_back_is_tracked_and_never_trained_on(modules: Any, tmp_path: Path) -> None:
    _, dev_set, _ = modules
    train, output = tmp_path / "data" / "train", tmp_path / "out"
    make_data(train)
    split = dev_set.choose_split(train)
    held = sorted(name.removeprefix("things/") for name in split.images)
    assert 0 < len(held) < 15
    copy = train / "images" / "things" / "img" / "copy.png"  # the same bytes under a name that is not held back
    copy.write_bytes((copy.parent / held[0]).read_bytes())
    split = dev_set.build(train, output, sequences=2, frames=3)
    assert "things/copy.png" in split.images
    trained = {path.name for path in (output / "train" / "things" / "img").iterdir()}
    assert trained == {f"{number}.png" for number in range(40)} - set(held)
    assert set(json.loads((output / "train" / "things" / "boxes.json").read_text())) == trained
    assert (output / "train" / "other").is_dir()
    assert {path.name for path in (output / "dev").iterdir()} == {"otb_Man", "pasted_00", "pasted_01"}


def test_the_same_data_gives_the_same_sequences(modules: Any, tmp_path: Path) -> None:
    _, dev_set, _ = modules
    make_data(tmp_path / "train")
    for name in ("a", "b"):
        dev_set.build(tmp_path / "train", tmp_path / name, sequences=1, frames=3)
    first, second = (tmp_path / name / "dev" / "pasted_00" for name in ("a", "b"))
    assert (first / "groundtruth.txt").read_bytes() == (second / "groundtruth.txt").read_bytes()
    assert (first / "img" / "0002.jpg").read_bytes() == (second / "img" / "0002.jpg").read_bytes()


def test_the_box_of_a_pasted_object_is_where_its_pixels_are(modules: Any) -> None:
    pasted = modules[2]
    white = pasted.Cutout(np.full((40, 60, 3), 255, np.uint8), (np.array([[0.0, 0], [60, 0], [60, 40], [0, 40]]),), "")
    scene = pasted.plan_scene(np.random.default_rng(3), np.zeros((300, 400, 3), np.uint8), white, frames=20)
    boxes = scene.boxes_xywh()
    assert np.isfinite(boxes).all()
    for frame in (0, 10, 19):
        rows, columns = np.nonzero(scene.paint(frame)[..., 0] > 128)
        found = [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]
        np.testing.assert_allclose(boxes[frame], found, atol=2.0)


def test_what_passes_in_front_meets_the_target(modules: Any) -> None:
    pasted = modules[2]
    square = pasted.Cutout(np.full((40, 40, 3), 255, np.uint8), (np.array([[0.0, 0], [40, 0], [40, 40], [0, 40]]),), "")
    ground = np.zeros((300, 400, 3), np.uint8)
    scene = pasted.plan_scene(np.random.default_rng(1), ground, square, in_front=[square], frames=30)
    centers = [(layer.boxes_xyxy()[:, :2] + layer.boxes_xyxy()[:, 2:]) / 2 for layer in scene.layers]
    apart = np.hypot(*(centers[0] - centers[1]).T)
    assert scene.target == 0
    assert 10 <= int(apart.argmin()) < 20
    assert apart.min() < 1.0
