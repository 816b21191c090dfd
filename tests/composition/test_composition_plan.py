"""Planning: what does not fit is refused before anything is built, and says what would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from trackcli.builtin import plugin as builtin_plugin
from trackcli.composition.defaults import complete, to_recipe
from trackcli.composition.plan import Plan, plan
from trackcli.config.component import LossConfig
from trackcli.errors import ConfigError, FitError, TrackcliError, UnknownNameError
from trackcli.host.hooks import hookimpl
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import HeadSpec, LossSpec, PostprocessorSpec, PresetSpec


class PointsLossConfig(LossConfig):
    """A loss for point heads."""

    takes: ClassVar[tuple[str, ...]] = ("points",)


class AcmePlugin:
    """A head with its own defaults, and a loss that does not take anchors."""

    @hookimpl
    def trackcli_heads(self) -> Iterator[HeadSpec]:
        yield HeadSpec(
            name="acme-head",
            summary="An anchor head under another name",
            factory="trackcli.builtin.heads.rpn:RpnHead",
            config="trackcli.builtin.config:RpnConfig",
            default_losses=("rpn",),
            default_postprocessors=("select", "hold"),
        )

    @hookimpl
    def trackcli_losses(self) -> Iterator[LossSpec]:
        yield LossSpec(
            name="points-loss",
            summary="Points",
            factory="nowhere:Loss",
            config=f"{__name__}:PointsLossConfig",
        )


@pytest.fixture
def registry() -> Registry:
    """The built-in components and Acme's."""
    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0.1.0")
    registry.add_plugin(AcmePlugin(), name="acme", distribution="acme-trackers", version="2.0")
    assert registry.broken == []
    return registry


def planned(registry: Registry, *assignments: str, **data: Any) -> Plan:
    return plan(complete(data, registry, assignments).recipe, registry)


def refusal(registry: Registry, *assignments: str, **data: Any) -> TrackcliError:
    with pytest.raises(TrackcliError) as caught:
        planned(registry, *assignments, **data)
    assert "\n" not in str(caught.value)
    return caught.value


def test_nothing_named_is_the_fallback_preset(registry: Registry) -> None:
    completed = complete({}, registry)
    recipe = completed.recipe
    assert (recipe.preset, recipe.backbone.name, recipe.matcher.name, recipe.head.name) == (
        "siamrpn-pp",
        "resnet18",
        "dw-xcorr",
        "rpn",
    )
    assert [part.name for part in recipe.loss] == ["rpn"]
    assert completed.notes == (
        "preset siamrpn-pp: supplies what is not named",
        "loss: rpn (head rpn)",
        "postprocessor: scale-penalty, cosine-window, select, smooth-size, clip (head rpn)",
    )


def test_a_named_preset_needs_no_note_about_it(registry: Registry) -> None:
    completed = complete({"preset": "default"}, registry)
    assert completed.recipe.backbone.settings == {"depth": 3, "max_stride": 8, "norm": "folded"}
    assert completed.notes == ()


def test_settings_lie_over_the_presets(registry: Registry) -> None:
    completed = complete(
        {"preset": "default", "matcher": {"channels": 32}, "train": {"batch": 4}}, registry, ["head.channels=64"]
    )
    assert completed.recipe.matcher.settings == {"channels": 32}
    assert completed.recipe.head.settings == {"channels": 64}
    assert (completed.recipe.train.batch, completed.recipe.train.steps) == (4, 5000)


def test_settings_of_a_presets_component_do_not_carry_over_to_another(registry: Registry) -> None:
    recipe = complete({"preset": "default", "matcher": {"name": "xcorr"}}, registry).recipe
    assert recipe.matcher.settings == {}
    assert recipe.head.settings == {"channels": 128}, "the other parts keep theirs"


def test_another_head_drops_the_presets_losses_and_postprocessors(registry: Registry) -> None:
    completed = complete({"preset": "default", "head": {"name": "acme-head"}}, registry)
    assert completed.recipe.head.settings == {}
    assert [part.name for part in completed.recipe.postprocessor] == ["select", "hold"]
    assert completed.notes == ("loss: rpn (head acme-head)", "postprocessor: select, hold (head acme-head)")


def test_a_named_list_replaces_the_presets(registry: Registry) -> None:
    recipe = complete({"preset": "default", "postprocessor": [{"name": "select"}]}, registry).recipe
    assert [part.name for part in recipe.postprocessor] == ["select"]


def test_the_presets_own_data_is_never_changed(registry: Registry) -> None:
    preset = registry.find(PresetSpec, "default")
    before = repr(preset.recipe)
    complete({"preset": "default", "head": {"name": "acme-head"}}, registry, ["matcher.channels=8", "train.batch=1"])
    assert repr(preset.recipe) == before


def test_a_fitting_chain_is_planned_with_its_shapes(registry: Registry) -> None:
    result = planned(registry, "matcher.channels=32", backbone={"depth": 3, "max_stride": 8})
    assert {name: (shape.channels, shape.stride) for name, shape in result.levels.items()} == {
        "layer2": (128, 8),
        "layer3": (256, 8),
    }
    assert {name: (shape.classification, shape.stride) for name, shape in result.matches.items()} == {
        "layer2": (32, 8),
        "layer3": (32, 8),
    }
    assert [link.spec.name for link in result.candidate_links] == ["scale-penalty", "cosine-window"]
    assert result.select.spec.name == "select"
    assert [link.spec.name for link in result.track_links] == ["smooth-size", "clip"]
    assert result.normalisation.mean == (0.485, 0.456, 0.406)


def test_an_unknown_component_suggests_the_nearest(registry: Registry) -> None:
    error = refusal(registry, head={"name": "rpm"})
    assert isinstance(error, UnknownNameError) and error.exit_code == 2
    assert str(error) == "unknown head 'rpm'; did you mean 'rpn'?"
    assert str(refusal(registry, matcher={"name": "dw-xcor"})) == "unknown matcher 'dw-xcor'; did you mean 'dw-xcorr'?"
    assert str(refusal(registry, preset="siamrpm")) == "unknown preset 'siamrpm'; did you mean 'siamrpn'?"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("matcher.chanels=8", "matcher.chanels is unknown; did you mean 'channels'?"),
        ("loss.rpn.positve_iou=0.5", "loss.rpn.positve_iou is unknown; did you mean 'positive_iou'?"),
        (
            "postprocessor.clip.zzz=1",
            "postprocessor.clip.zzz is unknown; expected one of: min_side",
        ),
        ("matchr.channels=8", "matchr is unknown; did you mean 'matcher'?"),
        ("train.lerning_rate=1", "train.lerning_rate is unknown; did you mean 'learning_rate'?"),
        ("sampler.search.shfit=3", "sampler.search.shfit is unknown; did you mean 'shift'?"),
    ],
)
def test_an_unknown_key_suggests_the_nearest_of_its_section(registry: Registry, assignment: str, message: str) -> None:
    error = refusal(registry, assignment)
    assert isinstance(error, ConfigError)
    assert str(error) == message


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("matcher.channels=wide", "matcher.channels = 'wide' does not fit: Input should be a valid integer"),
        ("matcher.channels=4", "matcher.channels = 4 does not fit: Input should be greater than or equal to 8"),
        ("backbone.depth=5", "backbone.depth = 5 does not fit: Input should be 2, 3 or 4"),
        ("head.ratios=[1.0, -2.0]", "head.ratios.1 = -2.0 does not fit: Input should be greater than 0"),
        ("head.ratios=[]", "head.ratios = [] does not fit: Tuple should have at least 1 item"),
        ("head.scale=inf", "head.scale = inf does not fit: Input should be a finite number"),
        ("train.learning_rate=nan", "train.learning_rate = nan does not fit: Input should be a finite number"),
        ("crop.search_size=9999", "crop.search_size = 9999 does not fit: Input should be less than or equal to 2048"),
        (
            "matcher=dw-xcorr",
            "matcher = 'dw-xcorr' does not fit: Input should be a valid dictionary or instance of Part",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_repeated_with_what_would(
    registry: Registry, assignment: str, message: str
) -> None:
    error = refusal(registry, assignment)
    assert isinstance(error, ConfigError)
    assert str(error).startswith(message)


def test_a_huge_wrong_value_is_not_repeated_in_full(registry: Registry) -> None:
    message = str(refusal(registry, f"matcher.channels={'x' * 5000}"))
    assert "xxx…" in message and len(message) < 250


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"matcher": "dw-xcorr"}, "matcher = 'dw-xcorr' does not fit; expected a section with a name and settings"),
        ({"head": {"name": 5}}, "head = {'name': 5} does not fit; expected a section with a name and settings"),
        ({"backbone": None}, "backbone = None does not fit; expected a section with a name and settings"),
        ({"loss": "rpn"}, "loss = 'rpn' does not fit; expected a list of sections with a name"),
        ({"loss": ["rpn"]}, "loss = ['rpn'] does not fit; expected a list of sections with a name"),
        (
            {"postprocessor": [{"k": 1}]},
            "postprocessor = [{'k': 1}] does not fit; expected a list of sections with a name",
        ),
        ({"preset": 7}, "preset = 7 does not fit; expected a name"),
    ],
)
def test_a_file_with_the_wrong_structure_is_one_line(registry: Registry, data: dict[str, Any], message: str) -> None:
    error = refusal(registry, **data)
    assert isinstance(error, ConfigError)
    assert str(error) == message


def test_recipes_that_are_no_recipe_say_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"^matcher is missing; give it a value$"):
        to_recipe({"backbone": {"name": "resnet18"}, "head": {"name": "rpn"}})
    with pytest.raises(ConfigError, match=r"^backbone\.name is missing; give it a value$"):
        to_recipe({"backbone": {}, "matcher": {"name": "a"}, "head": {"name": "rpn"}})
    with pytest.raises(ConfigError, match=r"^the configuration = \[1\] does not fit: "):
        to_recipe([1])  # type: ignore[arg-type]  # what a damaged file may hold


def test_a_loss_that_does_not_take_the_heads_kind_names_those_that_do(registry: Registry) -> None:
    error = refusal(registry, loss=[{"name": "points-loss"}])
    assert isinstance(error, FitError)
    assert str(error) == ("loss 'points-loss' takes points, but head 'rpn' predicts anchors; losses that fit: rpn")


def test_a_level_the_backbone_lacks_is_named_with_those_it_gives(registry: Registry) -> None:
    error = refusal(registry, "matcher.levels=['layer4']", backbone={"depth": 3})
    assert isinstance(error, FitError)
    assert str(error) == ("matcher.levels names 'layer4', which the backbone does not give; it gives: layer2, layer3")


def test_levels_of_several_strides_do_not_fit_a_head_that_adds_them(registry: Registry) -> None:
    error = refusal(registry, backbone={"depth": 3, "max_stride": 16})
    assert isinstance(error, FitError)
    assert str(error) == (
        "head 'rpn' adds its levels and needs one stride, but the matcher gives layer2 (stride 8), layer3 (stride 16); "
        "use --set backbone.max_stride=8, or name levels of one stride with --set matcher.levels=…"
    )
    planned(registry, "matcher.levels=['layer3']", backbone={"depth": 3, "max_stride": 16})


def test_exactly_one_selection_is_expected(registry: Registry) -> None:
    none = refusal(registry, postprocessor=[{"name": "clip"}])
    assert isinstance(none, FitError)
    assert str(none) == ("the postprocessors hold 0 selections; expected exactly one, e.g. --add-postprocessor select")


def test_two_selections_are_refused(registry: Registry) -> None:
    class OtherSelect:
        @hookimpl
        def trackcli_postprocessors(self) -> Iterator[PostprocessorSpec]:
            yield PostprocessorSpec(
                name="select-two",
                summary="s",
                factory="a:B",
                config="trackcli.builtin.config:SelectConfig",
                stage="select",
            )

    registry.add_plugin(OtherSelect(), name="other", distribution="other", version="1")
    error = refusal(registry, postprocessor=[{"name": "select"}, {"name": "select-two"}])
    assert str(error).startswith("the postprocessors hold 2 selections; expected exactly one")


@pytest.mark.parametrize("names", [("rpn", "rpn"), ("rpn", "trackcli:rpn")])
def test_an_item_listed_twice_is_refused(registry: Registry, names: tuple[str, str]) -> None:
    error = refusal(registry, loss=[{"name": name} for name in names])
    assert str(error) == "loss 'rpn' is listed 2 times; expected each name once"


def test_a_component_can_be_named_with_its_distribution(registry: Registry) -> None:
    result = planned(registry, matcher={"name": "trackcli:xcorr"}, postprocessor=[{"name": "trackcli:select"}])
    assert result.matcher.spec.name == "xcorr"


def test_the_presets_of_this_distribution_all_fit() -> None:
    registry = installed()
    for name in ("siamrpn-pp", "default"):
        assert plan(complete({"preset": name}, registry).recipe, registry).recipe.preset == name
