"""Discovery: asks every plugin for its specs, keeps broken plugins apart, and finds components by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import pluggy

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import PluginError, UnknownNameError
from trackcli.host import specs
from trackcli.host.hooks import PROJECT, TrackcliHooks

_HOOKS: dict[str, type[specs.Spec]] = {
    "trackcli_backbones": specs.BackboneSpec,
    "trackcli_matchers": specs.MatcherSpec,
    "trackcli_heads": specs.HeadSpec,
    "trackcli_losses": specs.LossSpec,
    "trackcli_postprocessors": specs.PostprocessorSpec,
    "trackcli_presets": specs.PresetSpec,
    "trackcli_trackers": specs.TrackerSpec,
}

SpecT = TypeVar("SpecT", bound=specs.Spec)


@dataclass(frozen=True)
class Provided:
    """A spec and the distribution that provides it.

    Attributes:
        spec: The spec.
        distribution: Name of the installed distribution, e.g. ``trackcli-pgnet``.
        version: Its version.
    """

    spec: specs.Spec
    distribution: str
    version: str


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used, and why."""

    name: str
    distribution: str
    reason: str


@dataclass
class Registry:
    """All specs of all usable plugins.

    Attributes:
        provided: Specs with their distributions, in order of discovery.
        broken: Plugins that failed; listed by unknown-name errors, since they may explain the miss.
    """

    provided: list[Provided] = field(default_factory=list)
    broken: list[BrokenPlugin] = field(default_factory=list)

    def names(self, kind: type[specs.Spec]) -> list[str]:
        """All names of a kind, sorted."""
        return sorted({entry.spec.name for entry in self.provided if isinstance(entry.spec, kind)})

    def find(self, kind: type[SpecT], name: str) -> SpecT:
        """The spec called ``name`` or ``distribution:name``.

        Raises:
            UnknownNameError: if nobody provides it, or several do.
        """
        return self.find_provided(kind, name).spec  # type: ignore[return-value]  # find_provided checked the kind

    def find_provided(self, kind: type[specs.Spec], name: str) -> Provided:
        """Like :meth:`find`, with the distribution and version that provide the spec."""
        distribution, _, bare = name.rpartition(":")
        matches = [
            entry
            for entry in self.provided
            if isinstance(entry.spec, kind) and entry.spec.name == bare and distribution in {"", entry.distribution}
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            owners = " and ".join(f"{entry.distribution} {entry.version}" for entry in matches)
            forms = " or ".join(f"{entry.distribution}:{bare}" for entry in matches)
            raise UnknownNameError(f"{kind.kind} {bare!r} is provided by {owners}; write {forms}")
        raise UnknownNameError(self._unknown(kind, name))

    def _unknown(self, kind: type[specs.Spec], name: str) -> str:
        names = self.names(kind)
        text = f"unknown {kind.kind} {name!r}; {did_you_mean(name, names)}"
        if self.broken:
            listed = "; ".join(f"{plugin.distribution} ({plugin.reason})" for plugin in self.broken)
            text += f"; a plugin that may provide it failed to load: {listed}"
        return text

    def add_plugin(self, plugin: object, *, name: str, distribution: str, version: str) -> None:
        """Take in one plugin module or object; a broken one is recorded, not raised."""
        try:
            self.provided.extend(Provided(spec, distribution, version) for spec in _specs_of(plugin, name))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a foreign plugin may raise anything, SystemExit included
            self.broken.append(BrokenPlugin(name, distribution, _reason(error)))


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _specs_of(plugin: object, name: str) -> list[specs.Spec]:
    """All specs of one plugin; pluggy checks the names and signatures of its hooks."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(TrackcliHooks)
    manager.register(plugin, name=name)
    manager.check_pending()
    found: list[specs.Spec] = []
    for hook, kind in _HOOKS.items():
        results: Iterable[Iterable[Any]] = getattr(manager.hook, hook)()
        for spec in (spec for result in results for spec in result):
            if not isinstance(spec, kind):
                raise PluginError(f"{hook} gave {type(spec).__name__}; expected {kind.__name__}")
            found.append(spec)
    return found


@lru_cache(maxsize=1)
def installed() -> Registry:
    """The registry of everything installed in this environment (asked once per process)."""
    registry = Registry()
    for point in sorted(entry_points(group=PROJECT), key=lambda point: point.name):
        _add_entry_point(registry, point)
    return registry


def _add_entry_point(registry: Registry, point: EntryPoint) -> None:
    distribution = point.dist.name if point.dist else "unknown"
    version = point.dist.version if point.dist else "0"
    try:
        plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # importing foreign code may raise anything, SystemExit included
        registry.broken.append(BrokenPlugin(point.name, distribution, _reason(error)))
        return
    registry.add_plugin(plugin, name=point.name, distribution=distribution, version=version)
