"""A whole recipe: config → file → config is the identity, and every setting has an origin."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trackcli.composition.defaults import Completed, complete, complete_layers
from trackcli.composition.plan import plan
from trackcli.composition.record import full_recipe, recipe_data, recipe_origins, recipe_toml
from trackcli.config.layers import read_config_file
from trackcli.config.origins import Layer
from trackcli.config.recipe import Recipe
from trackcli.host.registry import installed

SHARES = st.floats(0, 1)
RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "preset": st.sampled_from(["siamrpn-pp", "siamrpn-pp-resnet50"]),
        "matcher": st.fixed_dictionaries({}, optional={"channels": st.integers(8, 64), "shared": st.booleans()}),
        "head": st.fixed_dictionaries({}, optional={"scale": st.floats(1, 16), "hidden": st.integers(8, 64)}),
        "loss": st.just([{"name": "rpn"}]) | st.just([{"name": "trackcli:rpn", "weight": 0.25}]),
        "crop": st.fixed_dictionaries({}, optional={"context_size": st.none() | st.floats(60, 200)}),
        "sampler": st.fixed_dictionaries(
            {}, optional={"video": SHARES, "search": st.fixed_dictionaries({}, optional={"blur": SHARES})}
        ),
        "train": st.fixed_dictionaries(
            {},
            optional={
                "steps": st.none() | st.integers(1, 10**9),
                "learning_rate": st.floats(1e-9, 1),
                "unfreeze": st.dictionaries(st.text(min_size=1), SHARES, max_size=2),
            },
        ),
    },
)


def through_a_file(text: str, suffix: str) -> Recipe:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_text(text, encoding="utf-8")
        completed = complete(read_config_file(path), installed())
    assert completed.notes == ()
    return full_recipe(plan(completed.recipe, installed()))


@settings(max_examples=40)
@given(RECIPES)
def test_config_to_file_to_config_is_the_identity(data: dict[str, Any]) -> None:
    completed = complete(data, installed())
    planned = plan(completed.recipe, installed())
    assert through_a_file(recipe_toml(completed, planned), ".toml") == full_recipe(planned)
    as_yaml = yaml.safe_dump({"complete": True, **recipe_data(planned)}, allow_unicode=True)
    assert through_a_file(as_yaml, ".yaml") == full_recipe(planned)


@pytest.fixture
def completed() -> Completed:
    layers = [
        Layer("--config mine.toml", {"crop": {"context": 0.4}, "loss": [{"name": "rpn", "positives": 8}]}),
        Layer("--matcher dw-xcorr", {"matcher": {"name": "dw-xcorr"}}),
    ]
    given = ["matcher.channels=32", "loss.rpn.weight=2", "train.unfreeze.layer3=0.5"]
    return complete_layers(layers, installed(), given, added={"postprocessor": ["hold"]})


def test_every_setting_knows_where_it_comes_from(completed: Completed) -> None:
    origins = recipe_origins(completed, plan(completed.recipe, installed()))
    assert {key: origins[key] for key in EXPECTED} == EXPECTED


EXPECTED = {
    "preset": "home preset of matcher dw-xcorr",
    "backbone.name": "preset siamrpn-pp",
    "backbone.norm": "default",
    "matcher.name": "--matcher dw-xcorr",
    "matcher.channels": "--set matcher.channels=32",
    "loss.rpn.name": "--config mine.toml",
    "loss.rpn.weight": "--set loss.rpn.weight=2",
    "loss.rpn.positives": "--config mine.toml",
    "loss.rpn.anchors": "default",
    "postprocessor.clip.name": "head rpn",
    "postprocessor.hold.name": "--add-postprocessor hold",
    "crop.context": "--config mine.toml",
    "crop.template_size": "preset siamrpn-pp",
    "sampler.search.blur": "default",
    "train.unfreeze.layer2": "preset siamrpn-pp",
    "train.unfreeze.layer3": "--set train.unfreeze.layer3=0.5",
}
