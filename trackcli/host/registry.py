"""The registry: asks every plugin for its specs, keeps broken plugins apart, and finds components by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import pluggy

from trackcli.config.suggestions import did_you_mean
from trackcli.errors import PluginError, UnknownNameError
from trackcli.host import specs
from trackcli.host.data_specs import DatasetSpec, SinkSpec
from trackcli.host.discovery import COMMANDS, find_candidates
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.hooks import PROJECT, TrackcliHooks
from trackcli.host.selection import Selection, normalise

HOOKS: dict[str, type[specs.Spec]] = {
    "trackcli_backbones": specs.BackboneSpec,
    "trackcli_matchers": specs.MatcherSpec,
    "trackcli_heads": specs.HeadSpec,
    "trackcli_losses": specs.LossSpec,
    "trackcli_postprocessors": specs.PostprocessorSpec,
    "trackcli_presets": specs.PresetSpec,
    "trackcli_trackers": specs.TrackerSpec,
    "trackcli_datasets": DatasetSpec,
    "trackcli_samplers": specs.SamplerSpec,
    "trackcli_sinks": SinkSpec,
}
"""Every hook and the kind of spec it gives."""

KINDS: dict[str, type[specs.Spec]] = {spec_class.kind: spec_class for spec_class in HOOKS.values()}
"""Spec classes by the word that users know them by: ``matcher``, ``head``, …"""

MOST_SPECS = 1000
"""More from one hook is taken for a generator that never ends."""

HEAVY = frozenset({"torch", "cv2", "h5py", "numpy"})
"""Modules that listing components should not import."""

SpecT = TypeVar("SpecT", bound=specs.Spec)


class AmbiguousNameError(UnknownNameError):
    """Several plugins provide a name; ``distribution:name`` says which is meant (exit code 2)."""


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
    """A plugin that could not be used, and why.

    Attributes:
        name: Name of its entry point.
        distribution: Name of its distribution.
        reason: What went wrong, on one line.
        version: Version of its distribution.
        error: What it raised, for a traceback.
    """

    name: str
    distribution: str
    reason: str
    version: str = ""
    error: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class DisabledPlugin:
    """A plugin that was not imported because the user said so.

    Attributes:
        name: Name of its entry point.
        distribution: Name of its distribution.
        version: Version of its distribution.
        reason: By which setting.
    """

    name: str
    distribution: str
    version: str
    reason: str


@dataclass
class Registry:
    """All specs of all usable plugins.

    Attributes:
        provided: Specs with their distributions, in order of discovery.
        broken: Plugins that failed; listed by unknown-name errors, since they may explain the miss.
        disabled: Plugins left out on request; listed likewise.
        warnings: What is odd about the request itself, one line each.
    """

    provided: list[Provided] = field(default_factory=list)
    broken: list[BrokenPlugin] = field(default_factory=list)
    disabled: list[DisabledPlugin] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of_kind(self, kind: type[specs.Spec]) -> list[Provided]:
        """All specs of a kind with their distributions, by name."""
        listed = [entry for entry in self.provided if isinstance(entry.spec, kind)]
        return sorted(listed, key=lambda entry: (entry.spec.name, entry.distribution))

    def names(self, kind: type[specs.Spec]) -> list[str]:
        """All names of a kind, sorted."""
        return sorted({entry.spec.name for entry in self.of_kind(kind)})

    def is_ambiguous(self, entry: Provided) -> bool:
        """Whether the bare name of a spec would also mean another one."""
        return sum(other.spec.name == entry.spec.name for other in self.of_kind(type(entry.spec))) > 1

    def label(self, entry: Provided) -> str:
        """The shortest name that finds this spec: its own, or ``distribution:name`` where that is ambiguous."""
        return f"{entry.distribution}:{entry.spec.name}" if self.is_ambiguous(entry) else entry.spec.name

    def matching(self, name: str, kind: type[specs.Spec] = specs.Spec) -> list[Provided]:
        """All specs that ``name`` or ``distribution:name`` may mean, of one kind or of any."""
        distribution, _, bare = name.rpartition(":")
        return [
            entry
            for entry in self.provided
            if isinstance(entry.spec, kind) and entry.spec.name == bare and distribution in {"", entry.distribution}
        ]

    def find(self, kind: type[SpecT], name: str, *, prefer: str = "", also: Iterable[str] = ()) -> SpecT:
        """The spec called ``name`` or ``distribution:name``.

        Args:
            kind: The class of the spec.
            name: Its name.
            prefer: The distribution whose spec is meant where several provide the name: the one that wrote the name
                down, in a preset or as a default. None for what a user typed.
            also: Names without a spec that the user might have meant, for the error message.

        Raises:
            UnknownNameError: if nobody provides it.
            AmbiguousNameError: if several do.
        """
        return self.find_provided(kind, name, prefer=prefer, also=also).spec  # type: ignore[return-value]  # of that kind

    def find_provided(
        self, kind: type[specs.Spec], name: str, *, prefer: str = "", also: Iterable[str] = ()
    ) -> Provided:
        """Like :meth:`find`, with the distribution and version that provide the spec."""
        matches = self.matching(name, kind)
        if len(matches) > 1 and prefer:
            matches = [entry for entry in matches if normalise(entry.distribution) == normalise(prefer)] or matches
        if len(matches) == 1:
            return matches[0]
        if matches:
            bare = matches[0].spec.name
            owners = " and ".join(f"{entry.distribution} {entry.version}" for entry in matches)
            forms = " or ".join(f"{entry.distribution}:{bare}" for entry in matches)
            raise AmbiguousNameError(f"{kind.kind} {bare!r} is provided by {owners}; write {forms}")
        hint = did_you_mean(name, [*self.names(kind), *also])
        raise UnknownNameError(f"unknown {kind.kind} {name!r}; {hint}{self.absences()}")

    def own_name(self, kind: type[specs.Spec], name: str, distribution: str) -> str:
        """What a name means where a distribution wrote it: its own spec, if several provide the name.

        Returns:
            ``distribution:name`` if the name is ambiguous and the distribution provides it; else the name as it is.
        """
        own = [entry for entry in self.matching(name, kind) if normalise(entry.distribution) == normalise(distribution)]
        return self.label(own[0]) if own and ":" not in name else name

    def absences(self) -> str:
        """Plugins that are not there and may explain why a name is not; the end of an error message."""
        text = ""
        if self.broken:
            listed = "; ".join(f"{plugin.distribution} ({plugin.reason})" for plugin in self.broken)
            text += f"; a plugin that may provide it failed to load: {listed}"
        if self.disabled:
            listed = "; ".join(f"{plugin.distribution} ({plugin.reason})" for plugin in self.disabled)
            text += f"; a plugin that may provide it is disabled: {listed}"
        return text

    def add_plugin(self, plugin: object, *, name: str, distribution: str, version: str) -> None:
        """Take in one plugin module or object; a broken one is recorded, not raised."""
        try:
            with foreign_code():
                found = _specs_of(plugin, name)
                self._check_new(found, distribution)
        except ForeignError as error:
            self.add_broken(error, name=name, distribution=distribution, version=version)
        else:
            self.provided.extend(Provided(spec, distribution, version) for spec in found)

    def add_broken(self, error: ForeignError, *, name: str, distribution: str, version: str) -> None:
        """Record a plugin that cannot be used."""
        self.broken.append(BrokenPlugin(name, distribution, str(error), version, error.__cause__))

    def _check_new(self, found: list[specs.Spec], distribution: str) -> None:
        """Within one distribution not even ``distribution:name`` could tell two specs of one name apart."""
        seen = {(entry.spec.kind, entry.spec.name) for entry in self.provided if entry.distribution == distribution}
        for spec in found:
            if (spec.kind, spec.name) in seen:
                raise PluginError(f"{spec.kind} {spec.name!r} is given twice; expected each name once")
            seen.add((spec.kind, spec.name))


def _specs_of(plugin: object, name: str) -> list[specs.Spec]:
    """All specs of one plugin; pluggy checks the names and signatures of its hooks."""
    if plugin is None:
        raise PluginError("the entry point leads to None; expected a module with hook implementations")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(TrackcliHooks)
    manager.register(plugin, name=name)
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        raise PluginError("it implements no hook; expected functions such as trackcli_matchers marked with @hookimpl")
    return [spec for hook in HOOKS for spec in _specs_of_hook(manager, hook)]


def _specs_of_hook(manager: pluggy.PluginManager, hook: str) -> Iterator[specs.Spec]:
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    results: list[Any] = caller()
    if len(results) < len(caller.get_hookimpls()):  # pluggy leaves out None
        raise PluginError(f"{hook} gave None; expected an iterable of {HOOKS[hook].__name__}: yield or return them")
    for result in results:
        given = list(islice(result, MOST_SPECS + 1))
        if len(given) > MOST_SPECS:
            raise PluginError(f"{hook} gave more than {MOST_SPECS} specs; expected a generator that ends")
        for spec in given:
            if not isinstance(spec, HOOKS[hook]):
                raise PluginError(f"{hook} gave {type(spec).__name__}; expected {HOOKS[hook].__name__}")
            yield spec


def _heavy_imports() -> set[str]:
    return {name for name in HEAVY if name in sys.modules}


def discover(selection: Selection) -> Registry:
    """Import the selected plugins of this environment and collect what they offer."""
    registry = Registry()
    candidates = find_candidates()
    if selection.only or selection.without:
        named = [*candidates, *find_candidates(COMMANDS)]
        registry.warnings.extend(selection.unmatched((each.name, each.distribution) for each in named))
    for each in candidates:
        refusal = selection.refusal(each.name, each.distribution)
        if refusal is not None:
            registry.disabled.append(DisabledPlugin(each.name, each.distribution, each.version, refusal))
            continue
        heavy_before = _heavy_imports()
        names = {"name": each.name, "distribution": each.distribution, "version": each.version}
        try:
            plugin = each.load()
        except ForeignError as error:
            registry.add_broken(error, **names)
        else:
            registry.add_plugin(plugin, **names)
        if heavy := sorted(_heavy_imports() - heavy_before):
            registry.warnings.append(
                f"{each.distribution} imports {', '.join(heavy)} when it is listed, which slows down every command; "
                "its entry point should lead to a module that does not"
            )
    return registry


@lru_cache(maxsize=1)
def installed() -> Registry:
    """The registry of everything installed in this environment (asked once per process).

    ``TRACKCLI_DISABLE_PLUGINS`` and ``TRACKCLI_LOAD_PLUGINS`` say which plugins to leave out.
    """
    return discover(Selection.from_environment(os.environ))
