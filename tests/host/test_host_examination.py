"""What the host says about components: settings, what fits what, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field

from trackcli.builtin import plugin as builtin_plugin
from trackcli.config.component import HeadConfig, LossConfig, MatcherConfig
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError
from trackcli.host.description import describe
from trackcli.host.doctor import Problem, examine, remedy
from trackcli.host.hooks import hookimpl
from trackcli.host.matrix import compositions
from trackcli.host.registry import Provided, Registry
from trackcli.host.settings import Setting, settings_of
from trackcli.host.specs import HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec, PresetSpec, TrackerSpec


class PointsHeadConfig(HeadConfig):
    predicts: ClassVar[str] = "points"

    def widths(self) -> HeadWidths:
        return HeadWidths(2, 4)


class PointsLossConfig(LossConfig):
    takes: ClassVar[tuple[str, ...]] = ("points",)


class PickyMatcherConfig(MatcherConfig):
    def matches(self, levels: Mapping[str, LevelShape]) -> dict[str, MatchShape]:
        raise FitError("matcher 'picky' needs a level at stride 64; no installed backbone gives one")


class UndeclaredHeadConfig(HeadConfig):
    """Says neither what it predicts nor how wide it is."""


def lazy(name: str) -> str:
    return f"{__name__}:{name}"


class AcmePlugin:
    @hookimpl
    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        factory = "trackcli.builtin.matchers.correlation:CrossCorrelation"
        yield MatcherSpec(name="picky", summary="Refuses all", factory=factory, config=lazy("PickyMatcherConfig"))
        yield MatcherSpec(
            name="xcorr", summary="Another", factory=factory, config="trackcli.builtin.config:CrossConfig"
        )

    @hookimpl
    def trackcli_heads(self) -> Iterator[HeadSpec]:
        yield HeadSpec(
            name="points",
            summary="Points",
            factory="trackcli.builtin.heads.rpn:RpnHead",
            config=lazy("PointsHeadConfig"),
            default_losses=("points",),
        )

    @hookimpl
    def trackcli_losses(self) -> Iterator[LossSpec]:
        factory = "trackcli.builtin.losses.rpn:RpnLoss"
        yield LossSpec(name="points", summary="Points", factory=factory, config=lazy("PointsLossConfig"))


class SickPlugin:
    @hookimpl
    def trackcli_heads(self) -> Iterator[HeadSpec]:
        yield HeadSpec(name="gone", summary="s", factory="trackcli.no_such:Head", config=lazy("PointsHeadConfig"))
        yield HeadSpec(name="mute", summary="s", factory="trackcli.errors:X", config=lazy("UndeclaredHeadConfig"))
        yield HeadSpec(
            name="lost",
            summary="s",
            factory="trackcli.errors:X",
            config=lazy("PointsHeadConfig"),
            home_preset="siamrpn",
            default_losses=("rpm",),
        )

    @hookimpl
    def trackcli_presets(self) -> Iterator[PresetSpec]:
        parts = {"backbone": {"name": "resnet18", "dept": 3}, "matcher": {"name": "dw-xcorr"}, "head": {"name": "rpn"}}
        yield PresetSpec(name="misspelt", summary="s", recipe=parts)

    @hookimpl
    def trackcli_trackers(self) -> Iterator[TrackerSpec]:
        yield TrackerSpec(name="weightless", summary="s", package="trackcli.weights", file="none.safetensors")
        yield TrackerSpec(name="homeless", summary="s", package="no_such_package", file="a.safetensors")
        yield TrackerSpec(name="unmade", summary="s", factory="no_such_module:make")


def is_first(entry: Provided) -> bool:
    """The components of the first preset: what follows does not change when others are added."""
    first = {"resnet18", "dw-xcorr", "xcorr", "rpn", "pairs", "siamrpn-pp"}
    return isinstance(entry.spec, PostprocessorSpec) or entry.spec.name in first


def registry_with(plugin: object | None = None) -> Registry:
    registry = Registry()
    registry.add_plugin(builtin_plugin, name="builtin", distribution="trackcli", version="0.1.0")
    if plugin is not None:
        registry.provided = [entry for entry in registry.provided if is_first(entry)]
        registry.add_plugin(plugin, name="acme", distribution="acme-trackers", version="2.0")
    assert registry.broken == []
    return registry


def test_every_triple_is_planned_and_every_loss_tried_on_those_that_fit() -> None:
    tried = {(each.matcher, each.head): each for each in compositions(registry_with(AcmePlugin()))}
    matchers = {"dw-xcorr", "picky", "trackcli:xcorr", "acme-trackers:xcorr"}
    assert set(tried) == {(matcher, head) for matcher in matchers for head in ("rpn", "points")}
    assert tried["dw-xcorr", "rpn"].losses == ("rpn",)
    assert tried["acme-trackers:xcorr", "points"].losses == ("points",)
    misfits = dict(tried["dw-xcorr", "points"].misfits)
    assert misfits == {
        "rpn": "loss 'rpn' takes anchors, but head 'points' predicts points; losses that fit: points",
    }
    assert tried["picky", "rpn"].fits is False
    assert tried["picky", "rpn"].reason == "matcher 'picky' needs a level at stride 64; no installed backbone gives one"


def test_a_component_that_raises_does_not_stop_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(self: Any, levels: Any) -> Any:
        raise SystemExit("boom")

    monkeypatch.setattr(PickyMatcherConfig, "matches", explode)
    reasons = [each.reason for each in compositions(registry_with(AcmePlugin())) if each.matcher == "picky"]
    assert reasons == [f"one of resnet18, picky, {head} is broken: SystemExit: boom" for head in ("points", "rpn")]


def test_a_matcher_is_described_with_what_it_gives_and_fits() -> None:
    registry = registry_with(AcmePlugin())
    about = describe(registry.find_provided(MatcherSpec, "acme-trackers:xcorr"), registry)
    assert (about["status"], about["label"]) == ("ambiguous", "acme-trackers:xcorr")
    assert about["fits"] == {"backbone": ["resnet18"], "head": ["points", "rpn"], "loss": ["points", "rpn"]}
    response = {"classification": 1, "regression": 1, "stride": 8, "shared": False}
    assert about["declares"] == {"on": "resnet18, points", "responses": {"layer2": response, "layer3": response}}
    assert [setting["name"] for setting in about["settings"]] == ["levels", "channels", "template_cells", "shared"]


def test_a_broken_component_is_described_by_what_is_wrong() -> None:
    registry = registry_with(SickPlugin())
    about = describe(registry.find_provided(HeadSpec, "mute"), registry)
    assert about["problem"] == (
        f"PluginError: head 'mute' declares no kind of predictions in predicts of {lazy('UndeclaredHeadConfig')}"
    )


def test_the_doctor_finds_nothing_wrong_with_the_built_in_components() -> None:
    registry = registry_with()
    diagnosis = examine(registry)
    assert (diagnosis.problems, diagnosis.warnings) == ((), ())
    assert diagnosis.components == (("trackcli", "0.1.0", len(registry.provided)),)


def test_the_doctor_warns_of_a_name_that_two_plugins_provide() -> None:
    assert examine(registry_with(AcmePlugin())).warnings == (
        "matcher 'xcorr' is provided by trackcli 0.1.0 and acme-trackers 2.0; "
        "write trackcli:xcorr or acme-trackers:xcorr",
    )


@pytest.mark.parametrize(
    ("subject", "reasons"),
    [
        ("head 'gone'", ["its factory trackcli.no_such:Head does not exist: there is no module trackcli.no_such"]),
        (
            "head 'mute'",
            [f"head 'mute' declares no kind of predictions in predicts of {lazy('UndeclaredHeadConfig')}"],
        ),
        (
            "head 'lost'",
            ["unknown preset 'siamrpn'; did you mean 'siamrpn-pp'?", "unknown loss 'rpm'; did you mean 'rpn'?"],
        ),
        ("preset 'misspelt'", ["backbone.dept is unknown; did you mean 'depth'?"]),
        ("tracker 'weightless'", ["its file none.safetensors is missing in package trackcli.weights"]),
        ("tracker 'unmade'", ["its factory no_such_module:make does not exist: there is no module no_such_module"]),
    ],
)
def test_the_doctor_finds_what_would_go_wrong_later(subject: str, reasons: list[str]) -> None:
    problems = [problem for problem in examine(registry_with(SickPlugin())).problems if problem.subject == subject]
    assert problems == [Problem("acme-trackers", "2.0", subject, reason, remedy("acme-trackers")) for reason in reasons]


def test_a_remedy_is_a_command() -> None:
    leave_out = "leave it out with TRACKCLI_DISABLE_PLUGINS=acme"
    assert remedy("acme") == f"update it: pip install --upgrade acme; or {leave_out}"
    assert remedy("acme", "numba") == (
        f"reinstall it with what it needs: pip install --force-reinstall acme; or {leave_out}"
    )
    assert remedy("trackcli") == "reinstall it: pip install --force-reinstall trackcli"


class Inner(BaseModel):
    shift: float = Field(default=4.0, lt=9, description="Pixels")


class Outer(BaseModel):
    count: int = Field(ge=1, le=5)
    form: Literal["gram", "folded"] = "gram"
    name: str | None = Field(default=None, pattern="^a", description="A name")
    sizes: tuple[int, ...] = Field(default=(1, 2), max_length=3)
    mean: tuple[float, float] = (0.5, 1.0)
    inner: Inner = Inner()


def test_settings_are_read_off_a_configuration_class() -> None:
    assert settings_of(Outer) == [
        Setting("count", "integer ≥ 1 ≤ 5", None, ""),
        Setting("form", "gram | folded", '"gram"', ""),
        Setting("name", "text or unset like ^a", "null", "A name"),
        Setting("sizes", "list of integer at most 3 long", "[1, 2]", ""),
        Setting("mean", "list: number, number", "[0.5, 1.0]", ""),
        Setting("inner.shift", "number < 9", "4.0", "Pixels"),
    ]
