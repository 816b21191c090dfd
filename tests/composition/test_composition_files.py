"""Tracker files: what is saved comes back, and what was changed by hand is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import trackcli
from trackcli.composition.build import build_model
from trackcli.composition.defaults import complete
from trackcli.composition.files import count_parameters, load_tracker, read_header, save_tracker
from trackcli.composition.plan import Plan, plan
from trackcli.composition.raw_header import HEADER_KEY
from trackcli.errors import ConfigError, InputDataError, TrackcliError, UnknownNameError
from trackcli.host.registry import installed

SMALL: dict[str, Any] = {
    "backbone": {"name": "resnet18", "depth": 2},
    "matcher": {"name": "trackcli:dw-xcorr", "channels": 8},
    "head": {"name": "rpn", "hidden": 8},
}
Tamper = Callable[..., Path]


def header_of(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        result: dict[str, Any] = json.loads(file.metadata()[HEADER_KEY])
        return result


@pytest.fixture
def tamper(untrained_tracker: Path, tmp_path: Path) -> Tamper:
    """Write the untrained tracker again with another header or other tensors."""

    def write(*, text: str | None = None, tensors: dict[str, Tensor] | None = None, **changes: Any) -> Path:
        header = {**header_of(untrained_tracker), **changes}
        weights = {**load_file(untrained_tracker), **(tensors or {})}
        path = tmp_path / "tampered.safetensors"
        save_file(weights, path, metadata={HEADER_KEY: json.dumps(header) if text is None else text})
        return path

    return write


def refusal(path: Path) -> TrackcliError:
    with pytest.raises(TrackcliError) as caught:
        load_tracker(path, installed())
    assert "\n" not in str(caught.value)
    return caught.value


def small_plan(**changes: Any) -> Plan:
    return plan(complete({**SMALL, **changes}, installed()).recipe, installed())


def test_a_saved_tracker_gives_the_same_outputs_when_loaded(tmp_path: Path) -> None:
    tracker = trackcli.compose(**SMALL, device="cpu")
    tracker.save(tmp_path / "small.safetensors", provenance={"seed": 3})
    loaded = trackcli.load(tmp_path / "small.safetensors", device="cpu")
    image = torch.rand(1, 3, 64, 64) * 255
    with torch.inference_mode():
        expected, found = (model.branch(image).features["layer2"].map for model in (tracker.model, loaded.model))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    frame = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    boxes = []
    for each in (tracker, loaded):
        each.start(frame, (60, 40, 30, 30))
        boxes.append(each.update(frame))
    np.testing.assert_allclose(boxes[1].scores, boxes[0].scores, atol=1e-2)


def test_a_loaded_tracker_has_the_saved_ones_recipe_and_facts(tmp_path: Path) -> None:
    tracker = trackcli.compose(**SMALL, device="cpu")
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    tracker.save(first, provenance={"seed": 3, "data": {"synth": 1.0}})
    loaded = trackcli.load(first, device="cpu")
    assert loaded.described is not None
    assert loaded.described.provenance == {"seed": 3, "data": {"synth": 1.0}}
    assert loaded.described.components["matcher:dw-xcorr"] == "trackcli 0.1.0"
    assert loaded.described.components["postprocessor:clip"] == "trackcli 0.1.0"
    loaded.save(second)
    assert read_header(second).recipe == loaded.described.recipe
    assert load_file(second).keys() == load_file(first).keys()
    for name, tensor in load_file(second).items():
        assert torch.equal(tensor, load_file(first)[name])


def test_a_tracker_saved_again_keeps_its_facts_but_not_what_was_measured(
    untrained_tracker: Path, tmp_path: Path
) -> None:
    measured, again = tmp_path / "measured.safetensors", tmp_path / "again.safetensors"
    trackcli.load(untrained_tracker, device="cpu").save(measured, provenance={"seed": 3, "figures": {"auc": 0.5}})
    trackcli.load(measured, device="cpu").save(again, provenance={"steps": 7})
    assert read_header(again).provenance == {"seed": 3, "steps": 7}


def test_every_setting_is_written_out_so_that_new_defaults_change_no_old_file(untrained_tracker: Path) -> None:
    recipe = header_of(untrained_tracker)["recipe"]
    assert recipe["matcher"] == {
        "name": "dw-xcorr",
        "levels": [],
        "channels": 16,
        "template_cells": 7,
        "shared": False,
    }
    window = {"name": "cosine-window", "influence": 0.42, "span": 0.75, "largest_search": 0}
    assert window in recipe["postprocessor"]
    assert recipe["normalisation"]["mean"] == [0.485, 0.456, 0.406]
    assert recipe["loss"][0]["weight"] == 1.0


def test_a_name_with_its_distribution_stays_so_in_the_file(tmp_path: Path) -> None:
    planned = small_plan()
    save_tracker(tmp_path / "a.safetensors", build_model(planned), planned, {})
    assert read_header(tmp_path / "a.safetensors").recipe.matcher.name == "trackcli:dw-xcorr"


@pytest.mark.parametrize(
    ("losses", "left"),
    [
        ([{"name": "rpn"}], ["rpn"]),
        ([{"name": "trackcli:rpn"}], ["trackcli:rpn"]),
        ([{"name": "not-installed", "margin": 2}, {"name": "rpn"}], ["rpn"]),
        ([{"name": "acme:rpn"}], []),
    ],
)
def test_losses_that_are_not_installed_do_not_keep_a_tracker_from_tracking(
    untrained_tracker: Path, tamper: Tamper, losses: list[dict[str, Any]], left: list[str]
) -> None:
    path = tamper(recipe={**header_of(untrained_tracker)["recipe"], "loss": losses})
    _, planned, described = load_tracker(path, installed())
    assert [part.name for part in planned.recipe.loss] == left
    assert [part.name for part in described.recipe.loss] == [loss["name"] for loss in losses], "for the record"


def test_weights_are_stored_in_half_unless_it_cannot_hold_them(tmp_path: Path) -> None:
    planned = small_plan()
    model = build_model(planned)
    model.backbone.get_buffer("bn1.running_var").fill_(1e6)
    save_tracker(tmp_path / "a.safetensors", model, planned, {})
    stored = load_file(tmp_path / "a.safetensors")
    assert stored["backbone.conv1.weight"].dtype == torch.float16
    assert stored["backbone.bn1.running_var"].dtype == torch.float32
    loaded, _, _ = load_tracker(tmp_path / "a.safetensors", installed())
    assert torch.equal(loaded.backbone.get_buffer("bn1.running_var"), torch.full((64,), 1e6))
    assert loaded.backbone.get_parameter("conv1.weight").dtype == torch.float32


def test_saving_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    planned = small_plan()
    for _ in range(2):
        save_tracker(tmp_path / "a.safetensors", build_model(planned), planned, {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.safetensors")
    assert isinstance(error, InputDataError) and error.exit_code == 3
    assert str(error) == (
        f"tracker file {tmp_path / 'none.safetensors'} does not exist; expected a .safetensors file written by trackcli"
    )


@pytest.mark.parametrize(
    "content", [b"", b"not safetensors", b"\xff" * 64, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    error = refusal(path)
    assert isinstance(error, InputDataError)
    assert "expected a tracker written by" in str(error)


def test_a_file_cut_short_is_refused(untrained_tracker: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(untrained_tracker.read_bytes()[:-1000])
    assert str(refusal(path)).startswith(f"{path} is no safetensors file (")


def test_safetensors_without_a_header_are_no_tracker(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    assert str(refusal(path)) == f"{path} has no trackcli header; expected a tracker written by `trackcli train`"


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "3",
        "null",
        "{}",
        '{"format": 1}',
        '{"format":1,"recipe":{},"components":5,"provenance":{}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_header_is_refused(tamper: Tamper, text: str) -> None:
    path = tamper(text=text)
    error = refusal(path)
    assert isinstance(error, InputDataError)
    assert str(error).startswith(f"{path} has a damaged trackcli header (")


def test_a_huge_header_is_refused_unread(tamper: Tamper) -> None:
    path = tamper(text=" " * ((1 << 20) + 1))
    assert str(refusal(path)) == (
        f"{path} has a header of 1048577 characters; expected at most 1048576: "
        "no tracker written by trackcli is like that"
    )


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_format_asks_for_an_update(tamper: Tamper, version: Any) -> None:
    path = tamper(format=version)
    assert str(refusal(path)) == f"{path} has format {version}; this trackcli reads format 1: update trackcli"


@pytest.mark.parametrize("recipe", ["siamrpn-pp", 3, None, [1]])
def test_a_recipe_that_is_none_is_refused(tamper: Tamper, recipe: Any) -> None:
    assert isinstance(refusal(tamper(recipe=recipe)), ConfigError)


def changed(path: Path, kind: str, **settings: Any) -> dict[str, Any]:
    recipe = header_of(path)["recipe"]
    return {**recipe, kind: {**recipe[kind], **settings}}


def test_a_component_that_is_not_installed_is_named(untrained_tracker: Path, tamper: Tamper) -> None:
    error = refusal(tamper(recipe=changed(untrained_tracker, "matcher", name="os.system")))
    assert isinstance(error, UnknownNameError)
    assert str(error).startswith("unknown matcher 'os.system'; ")


def test_a_recipe_that_claims_more_than_the_tensors_hold_allocates_nothing(
    untrained_tracker: Path, tamper: Tamper
) -> None:
    path = tamper(recipe=changed(untrained_tracker, "matcher", channels=4096))
    error = refusal(path)
    assert isinstance(error, InputDataError)
    assert "has shape (16, 16, 1, 1); its recipe needs (16, 4096, 1, 1)" in str(error)


def test_a_tensor_of_another_shape_is_refused(tamper: Tamper) -> None:
    path = tamper(tensors={"backbone.conv1.weight": torch.zeros(64, 3, 7, 6)})
    assert str(refusal(path)) == (
        f"{path}: tensor backbone.conv1.weight has shape (64, 3, 7, 6); its recipe needs (64, 3, 7, 7); "
        "the file is damaged or was changed by hand"
    )


def test_a_tensor_too_many_is_refused(tamper: Tamper) -> None:
    path = tamper(tensors={"backbone.extra": torch.zeros(2)})
    assert str(refusal(path)) == (
        f"{path}: tensor backbone.extra has shape (2,); its recipe needs none; "
        "the file is damaged or was changed by hand"
    )


def test_a_missing_tensor_is_refused(untrained_tracker: Path, tmp_path: Path) -> None:
    weights = load_file(untrained_tracker)
    del weights["backbone.bn1.bias"]
    path = tmp_path / "less.safetensors"
    save_file(weights, path, metadata={HEADER_KEY: json.dumps(header_of(untrained_tracker))})
    assert str(refusal(path)).startswith(f"{path}: tensor backbone.bn1.bias has shape none; its recipe needs (64,); ")


def test_parameters_are_counted() -> None:
    assert count_parameters(torch.nn.Linear(3, 2)) == 8
