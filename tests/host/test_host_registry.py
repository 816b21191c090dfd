"""The plugin host: broken plugins stay apart, names are found or explained."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from trackcli.errors import PluginError, UnknownNameError
from trackcli.host import registry as registry_module
from trackcli.host.hooks import hookimpl
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec, TrackerSpec


def matcher(name: str = "my-matcher") -> MatcherSpec:
    return MatcherSpec(name=name, summary="A matcher", factory="acme.matcher:Mine", config="acme.config:MineConfig")


class GoodPlugin:
    @hookimpl
    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        yield matcher()
        yield matcher("other-matcher")


class RaisingPlugin:
    """Breaks after the first spec."""

    @hookimpl
    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        yield matcher("half-a-plugin")
        raise RuntimeError("no licence\nfound")


class ExitingPlugin:
    @hookimpl
    def trackcli_heads(self) -> Iterator[HeadSpec]:
        raise SystemExit(3)
        yield


class WrongSpecPlugin:
    @hookimpl
    def trackcli_losses(self) -> Iterator[Any]:
        yield matcher()


class NotASpecPlugin:
    @hookimpl
    def trackcli_losses(self) -> list[Any]:
        return [{"name": "a-dictionary"}]


class NotAListPlugin:
    @hookimpl
    def trackcli_matchers(self) -> Any:
        return matcher()


class MisspeltHookPlugin:
    @hookimpl
    def trackcli_matcher(self) -> Iterator[MatcherSpec]:
        yield matcher("never-seen")


class WrongSignaturePlugin:
    @hookimpl
    def trackcli_matchers(self, extra: int) -> Iterator[MatcherSpec]:
        yield matcher("never-seen")


def registry_with(**plugins: object) -> Registry:
    registry = Registry()
    for name, plugin in plugins.items():
        registry.add_plugin(plugin, name=name, distribution=f"trackcli-{name}", version="1.0")
    return registry


def test_a_plugins_specs_are_found_with_their_distribution() -> None:
    registry = registry_with(good=GoodPlugin())
    provided = registry.find_provided(MatcherSpec, "my-matcher")
    assert (provided.distribution, provided.version) == ("trackcli-good", "1.0")
    assert registry.find(MatcherSpec, "trackcli-good:my-matcher") is provided.spec
    assert registry.names(MatcherSpec) == ["my-matcher", "other-matcher"]
    assert registry.names(HeadSpec) == []
    assert registry.broken == []


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (RaisingPlugin(), "RuntimeError: no licence found"),
        (ExitingPlugin(), "SystemExit: 3"),
        (WrongSpecPlugin(), "PluginError: trackcli_losses gave MatcherSpec; expected LossSpec"),
        (NotASpecPlugin(), "PluginError: trackcli_losses gave dict; expected LossSpec"),
        (NotAListPlugin(), "TypeError: 'MatcherSpec' object is not iterable"),
        (MisspeltHookPlugin(), "PluginValidationError: unknown hook 'trackcli_matcher' in plugin"),
        (WrongSignaturePlugin(), "PluginValidationError: Plugin 'bad' for hook 'trackcli_matchers'"),
    ],
)
def test_a_broken_plugin_is_recorded_and_stops_no_other(plugin: object, reason: str) -> None:
    registry = registry_with(bad=plugin, good=GoodPlugin())
    assert registry.names(MatcherSpec) == ["my-matcher", "other-matcher"]
    (broken,) = registry.broken
    assert (broken.name, broken.distribution) == ("bad", "trackcli-bad")
    assert broken.reason.startswith(reason)
    assert "\n" not in broken.reason


def test_ctrl_c_is_not_taken_for_a_broken_plugin() -> None:
    class Interrupted:
        @hookimpl
        def trackcli_matchers(self) -> Iterator[MatcherSpec]:
            raise KeyboardInterrupt
            yield

    with pytest.raises(KeyboardInterrupt):
        registry_with(slow=Interrupted())


def refusal(registry: Registry, kind: Any, name: str) -> str:
    with pytest.raises(UnknownNameError) as caught:
        registry.find(kind, name)
    return str(caught.value)


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    registry = registry_with(good=GoodPlugin())
    assert refusal(registry, MatcherSpec, "my-macher") == "unknown matcher 'my-macher'; did you mean 'my-matcher'?"
    assert refusal(registry, MatcherSpec, "zzz") == "unknown matcher 'zzz'; expected one of: my-matcher, other-matcher"
    assert refusal(registry, LossSpec, "rpn") == "unknown loss 'rpn'; none is installed"


def test_an_unknown_name_mentions_broken_plugins_that_may_explain_it() -> None:
    registry = registry_with(good=GoodPlugin(), bad=RaisingPlugin())
    assert refusal(registry, MatcherSpec, "half-a-plugin") == (
        "unknown matcher 'half-a-plugin'; expected one of: my-matcher, other-matcher; "
        "a plugin that may provide it failed to load: trackcli-bad (RuntimeError: no licence found)"
    )


def test_a_name_that_two_plugins_provide_needs_its_distribution() -> None:
    registry = registry_with(good=GoodPlugin(), acme=GoodPlugin())
    assert registry.names(MatcherSpec) == ["my-matcher", "other-matcher"]
    assert refusal(registry, MatcherSpec, "my-matcher") == (
        "matcher 'my-matcher' is provided by trackcli-good 1.0 and trackcli-acme 1.0; "
        "write trackcli-good:my-matcher or trackcli-acme:my-matcher"
    )
    assert registry.find_provided(MatcherSpec, "trackcli-acme:my-matcher").distribution == "trackcli-acme"


def test_a_name_of_another_kind_is_not_found() -> None:
    assert (
        refusal(registry_with(good=GoodPlugin()), HeadSpec, "my-matcher")
        == "unknown head 'my-matcher'; none is installed"
    )


@pytest.fixture
def entry_points_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Run discovery over modules written for the test, as if they were installed."""

    def discover(**sources: str) -> Registry:
        points = []
        for name, source in sources.items():
            (tmp_path / f"plugin_{name}.py").write_text(source, encoding="utf-8")
            points.append(EntryPoint(name=name, value=f"plugin_{name}", group="trackcli"))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry_module, "entry_points", lambda group: points)
        installed.cache_clear()
        return installed()

    yield discover
    installed.cache_clear()


GOOD_SOURCE = """
from trackcli import MatcherSpec, hookimpl

@hookimpl
def trackcli_matchers():
    yield MatcherSpec(name="real-module", summary="s", factory="a:B", config="a:C")
"""


def test_modules_that_cannot_be_imported_or_exit_stop_no_other(entry_points_of: Any) -> None:
    registry = entry_points_of(
        absent="import no_such_package_anywhere",
        exits="import sys; sys.exit('go away')",
        good=GOOD_SOURCE,
        zyntax="def (",
    )
    assert registry.names(MatcherSpec) == ["real-module"]
    reasons = {plugin.name: plugin.reason for plugin in registry.broken}
    assert reasons["absent"] == "ModuleNotFoundError: No module named 'no_such_package_anywhere'"
    assert reasons["exits"] == "SystemExit: go away"
    assert reasons["zyntax"].startswith("SyntaxError: ")


def test_the_built_in_components_are_an_installed_plugin() -> None:
    installed.cache_clear()
    registry = installed()
    assert registry.find_provided(MatcherSpec, "dw-xcorr").distribution == "trackcli"
    assert registry.find(MatcherSpec, "trackcli:xcorr").name == "xcorr"
    assert registry.find(TrackerSpec, "default").file == "default.safetensors"


def test_every_built_in_reference_leads_somewhere() -> None:
    for entry in installed().provided:
        if entry.distribution == "trackcli" and hasattr(entry.spec, "load_factory"):
            assert entry.spec.load_config_class().__doc__
            assert callable(entry.spec.load_factory())


@pytest.mark.parametrize("name", ["My-Matcher", "my_matcher", "", "-a", "a--b", "a b", "dist:name", "1st"])
def test_names_that_are_not_kebab_case_are_refused(name: str) -> None:
    with pytest.raises(PluginError, match=r"is not kebab-case; expected letters like 'dw-xcorr'$"):
        matcher(name)


@pytest.mark.parametrize("reference", ["acme.matcher", "acme.matcher:", "os;system:x", ":Mine", "a:b:c"])
def test_references_that_are_not_module_and_name_are_refused(reference: str) -> None:
    with pytest.raises(PluginError, match=r"expected 'package.module:name'$"):
        MatcherSpec(name="a", summary="s", factory=reference, config="a:B")


def test_a_postprocessor_has_one_of_three_stages() -> None:
    with pytest.raises(
        PluginError, match=r"^postprocessor 'a' has stage 'before'; expected candidates, select or track$"
    ):
        PostprocessorSpec(name="a", summary="s", factory="a:B", config="a:C", stage="before")


@pytest.mark.parametrize("reference", ["no_such_package_anywhere:Mine", "json:no_such_name"])
def test_a_reference_that_leads_nowhere_is_a_plugins_fault(reference: str) -> None:
    spec = MatcherSpec(name="a", summary="s", factory=reference, config="a:B")
    with pytest.raises(PluginError, match=f"^cannot load {reference} .*broken or incomplete$"):
        spec.load_factory()
