"""Weights to start from: ``--init-from``, ``--init-backbone``, and what ``--resume`` remembers."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

import trackcli
from trackcli.composition.files import read_header

if TYPE_CHECKING:
    from conftest import TrainCommand

SETTINGS = ("backbone.depth=2", "matcher.channels=16", "head.hidden=16", "train.workers=0")
SIZES = ("crop.template_size=63", "crop.search_size=127", "head.scale=4.0")
SMALL = ("--matcher", "dw-xcorr", "--head", "rpn", *(word for each in (*SETTINGS, *SIZES) for word in ("--set", each)))


def test_fine_tuning_takes_a_trackers_recipe_and_weights_at_lower_rates(
    train: TrainCommand, untrained_tracker: Path, clip_cache: Path, tmp_path: Path
) -> None:
    sizes = [word for each in SIZES[:2] for word in ("--set", each)]
    rest = ("--data", clip_cache, "--steps", 1, "--batch", 2, "--set", "train.learning_rate=1e-9", *sizes)
    done = train("--init-from", untrained_tracker, *rest, "-o", "run", "--json")
    found = json.loads(done.stdout)["initial"]["tracker"]
    assert {part: (each["missing"], each["unused"], each["misfits"]) for part, each in found.items()} == {
        "backbone": ([], [], []),
        "matcher": ([], [], []),
        "head": ([], [], []),
    }
    assert "preset" not in done.stderr, "the tracker's own recipe is complete"
    before, after = trackcli.load(untrained_tracker, device="cpu"), trackcli.load(tmp_path / "run", device="cpu")
    assert after.plan.recipe.head == before.plan.recipe.head
    assert after.plan.recipe.train.final_rate == pytest.approx(0.1 * before.plan.recipe.train.final_rate)
    assert after.plan.recipe.train.learning_rate == 1e-9, "what is set wins"
    for name, value in before.model.named_parameters():
        assert torch.allclose(after.model.get_parameter(name), value, atol=1e-5), name
    assert read_header(tmp_path / "run" / "tracker.safetensors").provenance["init_from"] == str(untrained_tracker)


def test_of_another_composition_what_fits_is_taken_by_component(
    train: TrainCommand, untrained_tracker: Path, clip_cache: Path, tmp_path: Path
) -> None:
    words = ("--matcher", "up-xcorr", "--set", "matcher.channels=16", "--data", clip_cache, "--steps", 1, "--batch", 2)
    sizes = [word for each in SIZES[:2] for word in ("--set", each)]
    done = train("--init-from", untrained_tracker, *words, *sizes, "-o", "run")
    lines = done.stderr.splitlines()
    start = f"from {untrained_tracker}: "
    assert any(line.startswith(f"{start}backbone resnet18: ") and "tensors loaded" in line for line in lines), lines
    assert f"{start}matcher up-xcorr: not taken, the file has dw-xcorr" in lines
    assert not any("the backbone starts without weights" in line for line in lines)


def test_layers_without_weights_learn_whatever_the_freezing_says(
    train: TrainCommand, untrained_tracker: Path, clip_cache: Path, tmp_path: Path
) -> None:
    """A file with the stem and layer1 only: these stay frozen, layer2 learns."""
    weights = trackcli.load(untrained_tracker, device="cpu").model.backbone.state_dict()
    shallow = {f"module.{name}": value.contiguous() for name, value in weights.items() if "layer2" not in name}
    torch.save({"state_dict": shallow}, tmp_path / "shallow.pth")
    words = (*SMALL, "--data", clip_cache, "--steps", 2, "--batch", 2, "--set", "train.unfreeze={}", "-o", "run")
    done = train(*words, "--init-backbone", "shallow.pth", "--json")
    report = json.loads(done.stdout)["initial"]["backbone"]
    assert set(report["loaded"]) == {name.removeprefix("module.") for name in shallow}
    assert {name.partition(".")[0] for name in report["missing"]} == {"layer2"}
    assert "of the backbone's parameters start without weights and train" in done.stderr
    after = trackcli.load(tmp_path / "run", device="cpu").model.backbone.state_dict()
    half = {name: value.half().float() for name, value in weights.items() if value.is_floating_point()}
    assert torch.equal(after["layer1.0.conv1.weight"], half["layer1.0.conv1.weight"])
    assert torch.equal(after["bn1.running_mean"], half["bn1.running_mean"])
    assert not torch.equal(after["layer2.0.conv1.weight"], half["layer2.0.conv1.weight"])


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_torchvisions_files_load_in_both_forms(
    train: TrainCommand, clip_cache: Path, tmp_path: Path, legacy: bool
) -> None:
    weights = trackcli.compose(backbone={"name": "resnet18", "depth": 2}, device="cpu", seed=5).model.backbone
    path = tmp_path / "weights.pth"
    torch.save(weights.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    done = train(*SMALL, "--data", clip_cache, "--init-backbone", path, "--dry-run")
    assert f"backbone from weights.pth: {len(weights.state_dict())} tensors loaded\n" in done.stderr


def test_imagenet_weights_are_asked_for_at_the_official_address(
    train: TrainCommand, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("https_proxy", "http://127.0.0.1:9"), ("no_proxy", "")):
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    words = (*SMALL, "--data", clip_cache, "--steps", 1, "--init-backbone", "imagenet", "-o", "run")
    done = train(*words, code=3)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: https://download.pytorch.org/models/resnet18-f37072fd.pth cannot be reached (")
    assert last.endswith("fetch it on another machine and give the file: --init-backbone resnet18-f37072fd.pth")
    assert not (tmp_path / "run").exists()


def test_resuming_needs_neither_recipe_nor_data_again(train: TrainCommand, clip_cache: Path, tmp_path: Path) -> None:
    weights = trackcli.compose(backbone={"name": "resnet18", "depth": 2}, device="cpu", seed=5).model.backbone
    save_file(weights.state_dict(), tmp_path / "backbone.safetensors")
    words = (*SMALL, "--data", f"{clip_cache}=0.5", "--batch", 2, "--steps", 2, "-o", "run", "--init-backbone")
    train(*words, "backbone.safetensors")
    done = train("--resume", "--force", "-o", "run", code=2)
    assert done.stderr == (
        "error: --resume and --force exclude one another; give --resume to go on, or --force to start over\n"
    )
    done = train("--resume", "-o", "run", "--steps", 4, "--json")
    assert json.loads(done.stdout)["steps"] == 4
    assert "resuming at step 2" in done.stderr and "weights to start from" not in done.stderr
    assert "without weights" not in done.stderr
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert (config["matcher"]["channels"], config["train"]["batch"], config["train"]["steps"]) == (16, 2, 4)
    facts = read_header(tmp_path / "run" / "tracker.safetensors").provenance
    assert facts["backbone"] == "backbone.safetensors"
    assert facts["data"] == {"cache": {"weight": 0.5, "records": facts["data"]["cache"]["records"]}}


def test_resume_refuses_a_folder_without_a_run_and_writes_nothing(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    done = train("--resume", "-o", "runs/frist", "--steps", 9, code=2)
    assert done.stderr == (
        "error: no run in runs/frist (there is no config.toml); expected the folder of the run to go on with, "
        "or --data or a recipe such as --preset too, to begin one there\n"
    )
    train("--resume", "-o", "runs/frist", "--dry-run", code=2)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter-1.tex").write_text("precious")
    done = train(*SMALL, "--data", clip_cache, "--resume", "-o", "thesis", code=2)
    assert done.stderr == (
        "error: -o thesis is not empty and holds no run (no config.toml, recipe or checkpoint); "
        "expected the folder of the run to go on with, or a new one\n"
    )
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter-1.tex"]


@pytest.mark.parametrize(
    "left",
    [(), (".lock", "recipe.json.0a1b2c3d.part"), ("train.log", "slurm-17.out")],
    ids=["no folder", "killed at once", "the job's own output"],
)
def test_a_script_that_always_resumes_begins_the_run_that_it_describes(
    train: TrainCommand, clip_cache: Path, tmp_path: Path, left: tuple[str, ...]
) -> None:
    for name in left:
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch()
    words = (*SMALL, "--data", clip_cache, "--batch", 2, "--resume", "-o", "run", "--steps")
    assert "nothing to resume: starting at step 0" in train(*words, 1).stderr
    assert "resuming at step 1" in train(*words, 2).stderr


def test_a_run_is_not_emptied_of_the_tracker_it_starts_from(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    words = (*SMALL, "--data", clip_cache, "--steps", 1, "--batch", 2, "-o", "run")
    train(*words)
    done = train(*words, "--init-from", "run", "--force", code=2)
    assert done.stderr.splitlines()[-1] == (
        "error: --init-from run is in -o run, whose run --force replaces; use another run folder"
    )
    assert (tmp_path / "run" / "tracker.safetensors").is_file()
    backbone = tmp_path / "run" / "backbone.safetensors"
    backbone.write_bytes(b"precious")
    done = train(*words, "--init-backbone", backbone, "--force", code=2)
    assert f"error: --init-backbone {backbone} is in -o run, whose run --force replaces" in done.stderr


def test_with_force_nothing_is_lost_before_the_new_run_is_sure_to_begin(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    words = (*SMALL, "--steps", 1, "--batch", 2, "-o", "run", "--data")
    train(*words, clip_cache)
    (tmp_path / "run" / "mine.safetensors").write_bytes(b"precious")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    train(*words, "typo", "--force", code=3)
    train(*words, clip_cache, "--force", "--set", "train.schedule=step", code=2)
    train(*words, clip_cache, "--force", "--set", "train.phases=[{losses={'rpn.clasification'=0}}]", code=2)
    assert {path: path.read_bytes() for path in before} == before
    train(*words, clip_cache, "--force", "--seed", 3)
    assert (tmp_path / "run" / "mine.safetensors").read_bytes() == b"precious"
    assert (tmp_path / "run" / "tracker.safetensors").read_bytes() != before[tmp_path / "run" / "tracker.safetensors"]


def test_a_run_killed_before_its_first_step_goes_on_from_the_weights_it_was_given(
    train: TrainCommand, clip_cache: Path, tmp_path: Path
) -> None:
    train(*SMALL, "--data", clip_cache, "--steps", 1, "--batch", 2, "-o", "first")
    words = (*SMALL, "--data", clip_cache, "--steps", 2, "--batch", 2, "--init-from", "first")
    train(*words, "-o", "whole")
    train(*words, "-o", "killed", "--set", "train.keep=9")
    for later in ("checkpoint-00000002.pt", "metrics.jsonl"):
        (tmp_path / "killed" / later).unlink()
    done = train("--resume", "-o", "killed", "--init-from", "first")
    assert (
        "resuming at step 0\nweights to start from are not loaded again: the run goes on with its own\n" in done.stderr
    )
    whole, resumed = (load_file(tmp_path / run / "tracker.safetensors") for run in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert read_header(tmp_path / "killed" / "tracker.safetensors").provenance["init_from"] == "first"
