"""Trackers with the weights of another and other links."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

import trackcli
from trackcli.composition.files import read_header
from trackcli.composition.variants import write_variant
from trackcli.errors import ConfigError, FitError, UsageError
from trackcli.host.registry import installed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "small.safetensors"
    tracker = trackcli.compose(
        backbone={"name": "resnet18", "depth": 2},
        matcher={"name": "dw-xcorr", "channels": 8, "template_cells": 4},
        head={"name": "rpn", "hidden": 8},
        postprocessor=[{"name": "cosine-window", "influence": 0.3}, "select", "clip"],
        device="cpu",
    )
    tracker.save(path, provenance={"steps": 7, "figures": {"auc": 0.7}})
    return path


def test_links_are_added_and_set_and_weights_and_facts_stay_but_what_was_measured(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "variant.safetensors"
    links = write_variant(
        source,
        target,
        installed(),
        added=["presence", "hold"],
        assignments=["postprocessor.hold.threshold=0.4", "crop.larger_search_sizes=[511]"],
        provenance={"fitted": True},
    )
    assert links == ("cosine-window", "select", "clip", "presence", "hold")
    described = read_header(target)
    assert described.recipe.postprocessor[0].settings["influence"] == 0.3
    assert described.recipe.postprocessor[-1].settings["threshold"] == 0.4
    assert described.recipe.crop.larger_search_sizes == (511,)
    assert described.provenance == {"steps": 7, "fitted": True}
    assert described.components["postprocessor:presence"].startswith("trackcli ")
    before, after = load_file(source), load_file(target)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_a_whole_list_keeps_the_settings_of_those_that_were_there(source: Path, tmp_path: Path) -> None:
    links = write_variant(
        source, tmp_path / "a.safetensors", installed(), replaced=["cosine-window", "select", "smooth-size"]
    )
    assert links == ("cosine-window", "select", "smooth-size")
    assert read_header(tmp_path / "a.safetensors").recipe.postprocessor[0].settings["influence"] == 0.3


def test_settings_that_need_other_weights_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"would have shape .*; expected settings of postprocessors or of crop"):
        write_variant(source, tmp_path / "a.safetensors", installed(), assignments=["head.hidden=16"])
    assert not (tmp_path / "a.safetensors").exists()


def test_settings_and_lists_that_do_not_fit_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'hold' is not in the list postprocessor"):
        write_variant(source, tmp_path / "a", installed(), assignments=["postprocessor.hold.threshold=0.4"])
    with pytest.raises(FitError, match="exactly one"):
        write_variant(source, tmp_path / "a", installed(), replaced=["clip"])
