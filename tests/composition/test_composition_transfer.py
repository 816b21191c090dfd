"""Weights of another tracker, taken component by component."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import trackcli
from trackcli.composition.transfer import transfer_weights
from trackcli.errors import InputDataError

PARTS = {
    "backbone": {"name": "resnet18", "depth": 2},
    "matcher": {"name": "dw-xcorr", "channels": 16},
    "head": {"name": "rpn", "hidden": 16},
}


def test_the_same_composition_takes_everything(untrained_tracker: Path) -> None:
    tracker = trackcli.compose(**PARTS, device="cpu", seed=7)
    transfer = transfer_weights(tracker.model, tracker.plan, untrained_tracker)
    source = trackcli.load(untrained_tracker, device="cpu").model.state_dict()
    assert transfer.loaded == source.keys()
    for name, value in tracker.model.state_dict().items():
        assert torch.equal(value, source[name]), name
    assert transfer.notes == ()


def test_a_component_of_another_name_is_left_as_it_was(untrained_tracker: Path) -> None:
    tracker = trackcli.compose(**{**PARTS, "head": {"name": "point"}}, device="cpu", seed=7)
    before = {name: value.clone() for name, value in tracker.model.head.state_dict().items()}
    transfer = transfer_weights(tracker.model, tracker.plan, untrained_tracker)
    assert "head point: not taken, the file has rpn" in transfer.lines()
    assert all(torch.equal(value, before[name]) for name, value in tracker.model.head.state_dict().items())
    assert not any(name.startswith("head.") for name in transfer.loaded)
    assert any(name.startswith("backbone.") for name in transfer.loaded)


def test_tensors_of_another_shape_are_named(untrained_tracker: Path) -> None:
    tracker = trackcli.compose(**{**PARTS, "matcher": {"name": "dw-xcorr", "channels": 8}}, device="cpu", seed=7)
    transfer = transfer_weights(tracker.model, tracker.plan, untrained_tracker)
    matcher = next(part for part in transfer.parts if part.part == "matcher")
    assert matcher.report is not None and matcher.report.misfits
    assert "in the file" in matcher.report.misfits[0]


def test_another_normalisation_is_pointed_out(untrained_tracker: Path) -> None:
    normalisation = {"channels": "bgr", "scale": 1.0, "mean": [104.0, 117.0, 123.0], "std": [1.0, 1.0, 1.0]}
    tracker = trackcli.compose(**PARTS, normalisation=normalisation, device="cpu", seed=7)
    (note,) = transfer_weights(tracker.model, tracker.plan, untrained_tracker).notes
    assert note.startswith("the file's backbone was trained with another normalisation")


def test_a_file_that_is_no_tracker_is_refused(tmp_path: Path) -> None:
    tracker = trackcli.compose(**PARTS, device="cpu", seed=7)
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"none")
    with pytest.raises(InputDataError, match="is no safetensors file"):
        transfer_weights(tracker.model, tracker.plan, path)
