"""The plugin host: broken plugins stay apart, names are found or explained."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from trackcli.cli.errors import Terminated
from trackcli.errors import PluginError, UnknownNameError
from trackcli.host import registry as registry_module
from trackcli.host.hooks import hookimpl
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec, PresetSpec, TrackerSpec


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


class NoSpecPlugin:
    """Forgets to return what it made."""

    @hookimpl
    def trackcli_heads(self) -> Any:
        matcher()


class EndlessPlugin:
    @hookimpl
    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        while True:
            yield matcher()


class NothingPlugin:
    """Forgets the marker."""

    def trackcli_matchers(self) -> Iterator[MatcherSpec]:
        yield matcher()


class TwicePlugin:
    @hookimpl
    def trackcli_matchers(self) -> list[MatcherSpec]:
        return [matcher(), matcher()]


class InvalidNamePlugin:
    @hookimpl
    def trackcli_matchers(self) -> list[MatcherSpec]:
        return [matcher("My Matcher")]


class StrangeError(BaseException):
    """Neither an Exception nor able to say what it is, as extension modules have them."""

    def __str__(self) -> str:
        raise ValueError


class StrangeErrorPlugin:
    @hookimpl
    def trackcli_matchers(self) -> list[MatcherSpec]:
        raise StrangeError


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
        (
            NoSpecPlugin(),
            "PluginError: trackcli_heads gave None; expected an iterable of HeadSpec: yield or return them",
        ),
        (EndlessPlugin(), "PluginError: trackcli_matchers gave more than 1000 specs"),
        (NothingPlugin(), "PluginError: it implements no hook"),
        (None, "PluginError: the entry point leads to None"),
        (TwicePlugin(), "PluginError: matcher 'my-matcher' is given twice; expected each name once"),
        (InvalidNamePlugin(), "PluginError: matcher name 'My Matcher' is not kebab-case"),
        (StrangeErrorPlugin(), "StrangeError: (its message cannot be shown)"),
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


def test_the_sign_to_end_the_program_is_not_taken_for_a_broken_plugin() -> None:
    class TerminatedWhileListing:
        @hookimpl
        def trackcli_matchers(self) -> list[MatcherSpec]:
            raise Terminated(signal.SIGTERM)

    with pytest.raises(Terminated):
        registry_with(slow=TerminatedWhileListing())


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


GOOD_SOURCE = """
from trackcli import MatcherSpec, hookimpl

@hookimpl
def trackcli_matchers():
    yield MatcherSpec(name="real-module", summary="s", factory="a:B", config="a:C")
"""


def test_modules_that_cannot_be_imported_or_exit_stop_no_other(install_plugin: Any) -> None:
    install_plugin("trackcli-absent", "import no_such_package_anywhere")
    install_plugin("trackcli-exits", "import sys; sys.exit('go away')")
    install_plugin("trackcli-good", GOOD_SOURCE)
    install_plugin("trackcli-zyntax", "def (")
    registry = installed()
    assert registry.find_provided(MatcherSpec, "real-module").distribution == "trackcli-good"
    reasons = {plugin.name: plugin.reason for plugin in registry.broken}
    assert set(reasons) == {"absent", "exits", "zyntax"}
    assert reasons["absent"] == "ModuleNotFoundError: No module named 'no_such_package_anywhere'"
    assert reasons["exits"] == "SystemExit: go away"
    assert reasons["zyntax"].startswith("SyntaxError: ")


def test_metadata_that_cannot_be_parsed_stop_no_other(install_plugin: Any) -> None:
    install_plugin("trackcli-good", GOOD_SOURCE)
    install_plugin("trackcli-torn", "", entry_points="[trackcli]\nno equals sign\n")
    install_plugin("another-program", "", entry_points="[console_scripts]\nno equals sign\n")
    registry = installed()
    assert "real-module" in registry.names(MatcherSpec)
    assert [plugin.distribution for plugin in registry.broken] == ["trackcli-torn"]


def test_what_a_plugin_prints_goes_to_stderr(install_plugin: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install_plugin("trackcli-chatty", "print('hello')" + GOOD_SOURCE)
    assert "real-module" in installed().names(MatcherSpec)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


def test_a_plugin_that_imports_something_heavy_is_mentioned(
    install_plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "simplejpeg", raising=False)
    monkeypatch.setattr(registry_module, "HEAVY", frozenset({"simplejpeg"}))
    install_plugin("trackcli-heavy", "import simplejpeg" + GOOD_SOURCE)
    (warning,) = installed().warnings
    assert warning.startswith("trackcli-heavy imports simplejpeg when it is listed")


@pytest.mark.parametrize(
    ("variable", "value", "left"),
    [
        ("TRACKCLI_DISABLE_PLUGINS", "trackcli-one", {"trackcli", "trackcli-two"}),
        ("TRACKCLI_DISABLE_PLUGINS", " one , Trackcli_Two", {"trackcli"}),
        ("TRACKCLI_DISABLE_PLUGINS", "all", {"trackcli"}),
        ("TRACKCLI_DISABLE_PLUGINS", "trackcli", {"trackcli", "trackcli-one", "trackcli-two"}),
        ("TRACKCLI_DISABLE_PLUGINS", "", {"trackcli", "trackcli-one", "trackcli-two"}),
        ("TRACKCLI_LOAD_PLUGINS", "two", {"trackcli", "trackcli-two"}),
        ("TRACKCLI_LOAD_PLUGINS", "none-of-them", {"trackcli"}),
    ],
)
def test_the_environment_says_which_plugins_are_loaded(
    variable: str, value: str, left: set[str], install_plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("trackcli-one", GOOD_SOURCE)
    install_plugin("trackcli-two", GOOD_SOURCE)
    monkeypatch.setenv(variable, value)
    registry = installed()
    ours = {"trackcli", "trackcli-one", "trackcli-two"}  # whatever else is installed here
    assert ours & {entry.distribution for entry in registry.provided} == left
    assert ours & {plugin.distribution for plugin in registry.disabled} == ours - left


def test_a_disabled_plugin_is_not_imported_and_explains_an_unknown_name(
    install_plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("trackcli-one", "raise RuntimeError")
    monkeypatch.setenv("TRACKCLI_DISABLE_PLUGINS", "one")
    registry = installed()
    assert registry.broken == []
    assert refusal(registry, MatcherSpec, "real-module").endswith(
        "; a plugin that may provide it is disabled: trackcli-one (left out by TRACKCLI_DISABLE_PLUGINS)"
    )


def test_the_built_in_components_are_an_installed_plugin() -> None:
    installed.cache_clear()
    registry = installed()
    assert registry.find_provided(MatcherSpec, "dw-xcorr").distribution == "trackcli"
    assert registry.find(MatcherSpec, "trackcli:xcorr").name == "xcorr"
    assert registry.find(TrackerSpec, "default").file == "default.safetensors"


def test_every_built_in_reference_leads_somewhere() -> None:
    for entry in installed().provided:
        if entry.distribution == "trackcli" and hasattr(entry.spec, "load_config_class"):
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


@pytest.mark.parametrize("summary", ["", "two\nlines", 3, None])
def test_a_summary_is_one_line(summary: Any) -> None:
    with pytest.raises(PluginError, match=r"expected one line of text$"):
        TrackerSpec(name="a", summary=summary)


def test_a_tracker_has_a_file_or_a_factory() -> None:
    for given in ({}, {"package": "acme"}, {"file": "a.safetensors"}):
        with pytest.raises(PluginError, match="has neither a factory nor package and file"):
            TrackerSpec(name="a", summary="s", **given)


def test_a_heads_defaults_are_a_tuple_and_a_presets_recipe_a_mapping() -> None:
    with pytest.raises(PluginError, match=r"^head 'a' has default_losses='rpn'; expected a tuple of names"):
        HeadSpec(name="a", summary="s", factory="a:B", config="a:C", default_losses="rpn")  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=r"^preset 'a' has a list for its recipe; expected a mapping"):
        PresetSpec(name="a", summary="s", recipe=[])  # type: ignore[arg-type]


def test_a_configuration_that_is_no_model_of_its_kind_is_a_plugins_fault() -> None:
    for config in ("json:dumps", "trackcli.builtin.config:RpnConfig"):
        spec = MatcherSpec(name="a", summary="s", factory="a:B", config=config)
        with pytest.raises(PluginError, match=f"^matcher 'a' has the configuration {config}, which is no Matcher"):
            spec.load_config_class()


def test_a_configuration_module_that_exits_is_a_plugins_fault(install_plugin: Any) -> None:
    install_plugin("trackcli-late", "raise SystemExit(7)", entry_points="[other]\n")
    spec = MatcherSpec(name="a", summary="s", factory="a:B", config="plugin_trackcli_late:Config")
    with pytest.raises(PluginError, match=r"^cannot load plugin_trackcli_late:Config \(SystemExit: 7\)"):
        spec.load_config_class()
