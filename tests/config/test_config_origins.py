"""Origins: which layer a setting comes from, and what a layer replaces."""

from __future__ import annotations

from pathlib import Path

from trackcli.config.folders import user_cache_folder
from trackcli.config.origins import Layer, leaves, merged, origin_in, stacked


def test_the_highest_layer_that_sets_a_key_is_its_origin() -> None:
    stack = stacked(
        [
            Layer("preset p", {"matcher": {"name": "a", "channels": 8, "cells": 7}}),
            Layer("--config f", {"matcher": {"channels": 16}}),
        ]
    )
    assert merged(stack) == {"matcher": {"name": "a", "channels": 16, "cells": 7}}
    keys = ("name", "channels", "cells", "other")
    origins = [origin_in(stack, ("matcher", key)) for key in keys]
    assert origins == ["preset p", "--config f", "preset p", "default"]


def test_naming_another_component_drops_the_lower_layers_settings_of_it() -> None:
    stack = stacked(
        [
            Layer("preset p", {"matcher": {"name": "a", "cells": 7}, "head": {"name": "h", "hidden": 3}}),
            Layer("--config f", {"matcher": {"channels": 16}}),
            Layer("--matcher b", {"matcher": {"name": "b"}}),
        ]
    )
    assert merged(stack) == {"matcher": {"name": "b", "channels": 16}, "head": {"name": "h", "hidden": 3}}


def test_another_head_drops_the_lists_beside_the_old_one_even_those_of_a_file() -> None:
    file = {"head": {"name": "h"}, "loss": [{"name": "l"}], "postprocessor": [{"name": "s"}], "train": {"batch": 2}}
    assert merged(stacked([Layer("--config f", file), Layer("--head g", {"head": {"name": "g"}})])) == {
        "head": {"name": "g"},
        "train": {"batch": 2},
    }


def test_a_complete_layer_drops_everything_below_it() -> None:
    low = Layer("preset p", {"train": {"unfreeze": {"layer2": 0.5}, "steps": 9}})
    whole = Layer("--config f", {"complete": True, "train": {"unfreeze": {}}})
    assert merged(stacked([low, whole, Layer("--seed", {"train": {"seed": 1}})])) == {
        "train": {"unfreeze": {}, "seed": 1}
    }


def test_items_of_a_list_are_found_by_name() -> None:
    stack = [Layer("--config f", {"loss": [{"name": "rpn", "weight": 2}]})]
    assert origin_in(stack, ("loss", "rpn", "weight")) == "--config f"
    assert origin_in(stack, ("loss", "other", "weight")) == "default"
    assert list(leaves(stack[0].data)) == [("loss", "rpn", "name"), ("loss", "rpn", "weight")]


def test_the_users_cache_folder_follows_the_environment() -> None:
    assert user_cache_folder({"TRACKCLI_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert user_cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/trackcli")
    assert user_cache_folder({"XDG_CACHE_HOME": "b"}) == Path.home() / ".cache" / "trackcli"
