"""Names that several plugins provide: what was written down means the writer's own, what is typed must be clear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trackcli import HeadSpec, LossSpec, MatcherSpec, PresetSpec, hookimpl
from trackcli.builtin import plugin as builtin_plugin
from trackcli.builtin.presets import SIAMRPN_PP
from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.composition.record import component_versions, recipe_data
from trackcli.composition.versions import settle
from trackcli.config.layers import apply_assignments
from trackcli.errors import ConfigError
from trackcli.host.doctor import examine
from trackcli.host.registry import AmbiguousNameError, Registry

RPN_HEAD = {"factory": "trackcli.builtin.heads.rpn:RpnHead", "config": "trackcli.builtin.config:RpnConfig"}
RPN_LOSS = {"factory": "trackcli.builtin.losses.rpn:RpnLoss", "config": "trackcli.builtin.config:RpnLossConfig"}
DEPTHWISE = {
    "factory": "trackcli.builtin.matchers.correlation:DepthwiseCorrelation",
    "config": "trackcli.builtin.config:DepthwiseConfig",
}


class Copycat:
    """Re-uses the names of the built-in head, loss and preset."""

    @hookimpl
    def trackcli_heads(self) -> Iterator[HeadSpec]:
        yield HeadSpec(
            name="rpn", summary="Another", default_losses=("rpn",), default_postprocessors=("select",), **RPN_HEAD
        )

    @hookimpl
    def trackcli_losses(self) -> Iterator[LossSpec]:
        yield LossSpec(name="rpn", summary="Another", **RPN_LOSS)

    @hookimpl
    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        yield MatcherSpec(name="copy-corr", summary="s", home_preset="siamrpn-pp", **DEPTHWISE)

    @hookimpl
    def trackcli_presets(self) -> Iterator[PresetSpec]:
        yield PresetSpec(name="siamrpn-pp", summary="Another", recipe={**SIAMRPN_PP, "train": {"epochs": 7}})


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0.1.0")
    registry.add_plugin(Copycat(), name="copycat", distribution="Copycat_Trackers", version="2.0")
    assert registry.broken == []
    return registry


def completed(registry: Registry, data: dict[str, Any], *assignments: str) -> Any:
    return complete(data, registry, assignments)


def test_nothing_named_still_works_beside_a_plugin_that_re_uses_the_names(registry: Registry) -> None:
    recipe = completed(registry, {}).recipe
    assert (recipe.preset, recipe.head.name) == ("trackcli:siamrpn-pp", "trackcli:rpn")
    assert [loss.name for loss in recipe.loss] == ["trackcli:rpn"]
    assert recipe.matcher.name == "dw-xcorr"  # nobody else has it
    assert component_versions(plan(recipe, registry))["head:rpn"] == "trackcli 0.1.0"


def test_a_presets_names_are_those_of_its_own_distribution(registry: Registry) -> None:
    recipe = completed(registry, {"preset": "Copycat_Trackers:siamrpn-pp"}).recipe
    assert (recipe.head.name, recipe.train.epochs) == ("Copycat_Trackers:rpn", 7)
    assert component_versions(plan(recipe, registry))["head:rpn"] == "Copycat_Trackers 2.0"


def test_a_home_preset_and_a_heads_losses_are_those_of_their_own_distribution(registry: Registry) -> None:
    home = completed(registry, {"matcher": {"name": "copy-corr"}}).recipe
    assert home.preset == "Copycat_Trackers:siamrpn-pp"
    recipe = completed(registry, {"head": {"name": "trackcli:rpn"}}).recipe
    assert [loss.name for loss in recipe.loss] == ["trackcli:rpn"]


def test_what_the_user_types_must_be_clear(registry: Registry) -> None:
    with pytest.raises(AmbiguousNameError, match="write trackcli:rpn or Copycat_Trackers:rpn"):
        completed(registry, {"head": {"name": "rpn"}})


def test_an_item_is_still_addressed_by_its_bare_name(registry: Registry) -> None:
    found = completed(registry, {}, "loss.rpn.weight=2")
    assert found.recipe.loss[0].settings["weight"] == 2
    assert found.origin(("loss", "trackcli:rpn", "weight")) == "--set loss.rpn.weight=2"


def test_a_bare_name_that_two_items_share_addresses_neither() -> None:
    both = {"loss": [{"name": "a:rpn"}, {"name": "b:rpn"}]}
    with pytest.raises(ConfigError, match="'rpn' is not in the list loss"):
        apply_assignments(both, ["loss.rpn.weight=2"])


def test_a_file_means_the_distribution_that_it_records(registry: Registry) -> None:
    alone = Registry([entry for entry in registry.provided if entry.distribution == "trackcli"])
    planned = plan(completed(alone, {}).recipe, alone)
    assert recipe_data(planned)["head"]["name"] == "rpn"
    settled = settle(planned.recipe, component_versions(planned), registry, file="old.safetensors")
    assert settled.head.name == "trackcli:rpn"
    assert [loss.name for loss in settled.loss] == ["trackcli:rpn"]
    assert plan(settled, registry).head.spec.summary != "Another"


def test_a_loss_that_only_others_provide_is_not_needed_for_tracking(registry: Registry) -> None:
    planned = plan(completed(registry, {}).recipe, registry)
    components = component_versions(planned) | {"loss:rpn": "elsewhere 1.0"}
    bare = planned.recipe.model_copy(update={"loss": (planned.recipe.loss[0].model_copy(update={"name": "rpn"}),)})
    assert settle(bare, components, registry, file="f").loss == ()


def test_the_doctor_warns_of_every_name_that_is_used_twice_and_of_nothing_else(registry: Registry) -> None:
    diagnosis = examine(registry)
    assert diagnosis.problems == ()
    assert [line.split(" is provided")[0] for line in diagnosis.warnings] == [
        "head 'rpn'",
        "loss 'rpn'",
        "preset 'siamrpn-pp'",
    ]


def test_setting_a_components_name_drops_the_settings_of_the_old_one(registry: Registry) -> None:
    config = {"matcher": {"name": "dw-xcorr", "channels": 64}}
    by_option = completed(registry, {"preset": "trackcli:siamrpn-pp", "matcher": {"name": "xcorr"}}).recipe
    by_set = completed(registry, {"preset": "trackcli:siamrpn-pp", **config}, "matcher.name=xcorr").recipe
    assert by_set.matcher == by_option.matcher


def test_settings_given_with_a_name_belong_to_the_new_component_whatever_their_order(registry: Registry) -> None:
    found = completed(registry, {}, "matcher.channels=32", "matcher.name=xcorr", "matcher.template_cells=5")
    assert found.recipe.matcher.name == "xcorr"
    assert found.recipe.matcher.settings == {"channels": 32, "template_cells": 5}
    assert found.origin(("matcher", "name")) == "--set matcher.name=xcorr"


def test_setting_the_preset_chooses_it(registry: Registry) -> None:
    recipe = completed(registry, {}, "preset=Copycat_Trackers:siamrpn-pp").recipe
    assert recipe.train.epochs == 7


def test_a_name_that_is_no_text_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"matcher = .* does not fit"):
        completed(registry, {}, "matcher.name=3")
