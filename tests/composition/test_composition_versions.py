"""Tracker files in another environment: missing components, other versions, migration."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pytest

from trackcli import hookimpl
from trackcli.builtin.config import DepthwiseConfig
from trackcli.composition.defaults import complete
from trackcli.composition.plan import check_settings
from trackcli.composition.versions import Recorded, VersionWarning, recorded, settle
from trackcli.config.recipe import Recipe
from trackcli.errors import ConfigError, PluginError
from trackcli.host.registry import Registry, installed
from trackcli.host.specs import MatcherSpec

HERE = __name__


class RenamedConfig(DepthwiseConfig):
    """Until 0.3 its ``channels`` were called ``width``."""

    @classmethod
    def migrate(cls, settings: dict[str, Any], version: str) -> dict[str, Any]:
        if version == "0.0.1":
            raise KeyError("too old")
        if "width" in settings:
            settings["channels"] = settings.pop("width")
        return settings


class Acme:
    @hookimpl
    def trackcli_matchers(self) -> Iterable[MatcherSpec]:
        yield MatcherSpec(
            name="acme-corr",
            summary="A test",
            factory="trackcli.builtin.matchers.correlation:DepthwiseCorrelation",
            config=f"{HERE}:RenamedConfig",
        )


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    import sys
    from types import ModuleType

    module = ModuleType(HERE)
    module.RenamedConfig = RenamedConfig  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, HERE, module)
    registry = Registry(provided=list(installed().provided))
    registry.add_plugin(Acme(), name="acme", distribution="Acme.Trackers", version="0.4.1")
    assert registry.broken == []
    return registry


def recipe(name: str = "acme-corr", **settings: Any) -> Recipe:
    whole = complete({"matcher": {"name": "dw-xcorr"}}, installed()).recipe.model_dump()
    return Recipe.model_validate({**whole, "matcher": {"name": name, **settings}})


def settled(recipe: Recipe, written: str, registry: Registry) -> Recipe:
    return settle(recipe, {f"matcher:{recipe.matcher.name.rpartition(':')[2]}": written}, registry, file="a.tracker")


def refusal(recipe: Recipe, written: str, registry: Registry) -> str:
    with pytest.raises(PluginError) as caught:
        settled(recipe, written, registry)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_component_says_what_to_install() -> None:
    assert refusal(recipe("no-corr"), "trackcli-none 0.2.0", installed()) == (
        "a.tracker needs matcher 'no-corr' of trackcli-none 0.2.0, which is not installed; pip install trackcli-none"
    )


def test_a_component_that_a_newer_version_dropped_says_which_version_has_it(registry: Registry) -> None:
    assert refusal(recipe("old-corr"), "acme-trackers 0.1.0", registry) == (
        "a.tracker needs matcher 'old-corr' of acme-trackers 0.1.0, but the installed 0.4.1 does not provide it; "
        "pip install acme-trackers==0.1.0"
    )


def test_a_broken_plugin_is_mentioned_where_it_explains_the_miss() -> None:
    registry = Registry(provided=list(installed().provided))
    registry.add_plugin(object(), name="none", distribution="trackcli-none", version="0.2.0")
    message = refusal(recipe("no-corr"), "trackcli-none 0.2.0", registry)
    assert "which does not work here; a plugin that may provide it failed to load: trackcli-none (" in message


@pytest.mark.parametrize("written", ["Acme.Trackers 0.4.1", "acme-trackers 0.4.0", "acme_trackers 0.4.99rc1"])
def test_the_same_minor_version_is_no_warning(registry: Registry, written: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert settled(recipe(), written, registry).matcher.name == "acme-corr"


def test_another_minor_version_warns(registry: Registry) -> None:
    with pytest.warns(VersionWarning) as caught:
        settled(recipe(), "acme-trackers 0.3.9", registry)
    assert [str(each.message) for each in caught] == [
        "a.tracker was written with acme-trackers 0.3.9; 0.4.1 is installed, results may differ; "
        "pip install acme-trackers==0.3.9 for the same ones"
    ]


def test_another_distributions_component_of_that_name_warns(registry: Registry) -> None:
    with pytest.warns(VersionWarning, match=r"of fork-trackers; using that of Acme\.Trackers, which may differ"):
        settled(recipe(), "fork-trackers 0.4.1", registry)


def test_the_recorded_distribution_settles_which_of_two_is_meant(registry: Registry) -> None:
    registry.add_plugin(Acme(), name="fork", distribution="fork-trackers", version="0.4.1")
    assert settled(recipe(), "fork-trackers 0.4.1", registry).matcher.name == "fork-trackers:acme-corr"


def test_a_component_migrates_settings_of_an_older_version(registry: Registry) -> None:
    with pytest.warns(VersionWarning):
        part = settled(recipe(width=48), "acme-trackers 0.2.0", registry).matcher
    assert part.settings == {"channels": 48}
    assert check_settings(registry.find(MatcherSpec, "acme-corr"), part) == RenamedConfig(channels=48)


def test_settings_of_the_same_version_are_not_migrated(registry: Registry) -> None:
    assert settled(recipe(width=48), "acme-trackers 0.4.1", registry).matcher.settings == {"width": 48}


def test_a_migration_that_fails_is_one_line(registry: Registry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message = refusal(recipe(), "acme-trackers 0.0.1", registry)
    assert message.startswith("matcher 'acme-corr' of Acme.Trackers 0.4.1 cannot migrate the settings that 0.0.1 wrote")


@pytest.mark.parametrize("text", ["x; rm 1", "--index-url=evil 1", "a\x1b[2J 1", "nothing", "", 5, None])
def test_what_cannot_be_a_distribution_and_version_is_never_repeated(text: Any) -> None:
    assert recorded({"matcher:a": text}, "matcher", "a") is None


def test_what_is_recorded_is_found_by_bare_name() -> None:
    assert recorded({"loss:a": "my-dist 1.2"}, "loss", "other:a") == Recorded("my-dist", "1.2")


def whole_file(**matcher: Any) -> dict[str, Any]:
    """What ``--print-config`` writes, with another matcher."""
    data = complete({"preset": "siamrpn-pp"}, installed()).recipe.model_dump(mode="json", exclude_none=True)
    return {"complete": True, **data, "matcher": {"name": "acme-corr", **matcher}}


def test_a_whole_configuration_file_of_an_older_version_is_migrated(registry: Registry) -> None:
    old = whole_file(width=64) | {"components": {"matcher:acme-corr": "acme-trackers 0.2.0"}}
    assert complete(old, registry).recipe.matcher.settings == {"channels": 64}


def test_a_configuration_file_of_this_version_or_of_an_unknown_one_stays_as_it_is(registry: Registry) -> None:
    for components in ({}, {"matcher:acme-corr": "acme-trackers 0.4.1"}, {"matcher:acme-corr": 3}, {"x": "y"}):
        found = complete(whole_file(width=64) | {"components": components}, registry)
        assert found.recipe.matcher.settings == {"width": 64}


def test_a_migration_of_a_configuration_file_that_fails_says_so(registry: Registry) -> None:
    old = whole_file() | {"components": {"matcher:acme-corr": "acme-trackers 0.0.1"}}
    with pytest.raises(PluginError, match=r"cannot migrate the settings that 0.0.1 wrote \(KeyError: 'too old'\)"):
        complete(old, registry)


def test_components_that_are_no_section_are_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="components = 3 does not fit; expected a section"):
        complete(whole_file() | {"components": 3}, registry)


def test_a_name_in_a_configuration_file_is_that_of_the_distribution_that_wrote_it(registry: Registry) -> None:
    copy = Registry(provided=list(registry.provided))
    copy.add_plugin(Acme(), name="copy", distribution="copycat", version="1.0")
    old = whole_file(channels=32) | {"components": {"matcher:acme-corr": "copycat 1.0"}}
    assert complete(old, copy).recipe.matcher.name == "copycat:acme-corr"
