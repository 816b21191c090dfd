"""Looks for what is wrong with the installed plugins, before it goes wrong in a training. Builds nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.errors import PluginError, TrackcliError
from trackcli.host import specs
from trackcli.host.description import declarations
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import AmbiguousNameError, BrokenPlugin, Provided, Registry
from trackcli.host.selection import CORE, DISABLE, normalise


@dataclass(frozen=True)
class Problem:
    """Something that does not work.

    Attributes:
        distribution: Who provides it.
        version: Its version.
        subject: What it is: ``plugin 'acme'``, ``matcher 'pg-corr'``.
        reason: What is wrong, on one line.
        remedy: What to do about it.
    """

    distribution: str
    version: str
    subject: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Diagnosis:
    """The state of all plugins.

    Attributes:
        problems: What does not work.
        warnings: What works and deserves attention, one line each: ambiguous names, slow plugins.
        components: Number of components by ``(distribution, version)``.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    components: tuple[tuple[str, str, int], ...]


def examine(registry: Registry) -> Diagnosis:
    """Examine every plugin and every component it offers; imports configurations, but no component."""
    problems = [_broken(plugin) for plugin in registry.broken]
    warnings = [*registry.warnings, *_clashes(registry)]
    for entry in registry.provided:
        subject = f"{entry.spec.kind} {entry.spec.name!r}"
        for error in _errors(entry, registry):
            if isinstance(error, AmbiguousNameError):  # nothing is broken, but a plugin must go
                warnings.append(f"{subject} of {entry.distribution} cannot be used: {error}")
            else:
                advice = remedy(entry.distribution)
                problems.append(Problem(entry.distribution, entry.version, subject, str(error), advice))
    counted = Counter((entry.distribution, entry.version) for entry in registry.provided)
    return Diagnosis(
        problems=tuple(problems),
        warnings=tuple(warnings),
        components=tuple((name, version, number) for (name, version), number in sorted(counted.items())),
    )


def remedy(distribution: str, missing: str | None = None) -> str:
    """What a user can do about a broken plugin, as commands.

    Args:
        distribution: The plugin's distribution.
        missing: The module that it could not import, if that was it.
    """
    if normalise(distribution) == CORE:
        return f"reinstall it: pip install --force-reinstall {CORE}"
    leave_out = f"leave it out with {DISABLE}={distribution}"
    if missing:
        return f"reinstall it with what it needs: pip install --force-reinstall {distribution}; or {leave_out}"
    return f"update it: pip install --upgrade {distribution}; or {leave_out}"


def _broken(plugin: BrokenPlugin) -> Problem:
    missing = plugin.error.name if isinstance(plugin.error, ModuleNotFoundError) else None
    return Problem(
        plugin.distribution,
        plugin.version,
        f"plugin {plugin.name!r}",
        plugin.reason,
        remedy(plugin.distribution, missing),
    )


def _clashes(registry: Registry) -> Iterator[str]:
    clashing = {(type(entry.spec), entry.spec.name) for entry in registry.provided if registry.is_ambiguous(entry)}
    for kind, name in sorted(clashing, key=lambda pair: (pair[0].kind, pair[1])):
        try:
            registry.find(kind, name)
        except AmbiguousNameError as error:  # which says who provides it and what to write
            yield str(error)


def _errors(entry: Provided, registry: Registry) -> Iterator[Exception]:
    """Everything that is wrong with one spec."""
    spec = entry.spec
    if isinstance(spec, specs.PresetSpec):
        yield from _failure(_plan_preset, registry.label(entry), registry)
    elif isinstance(spec, specs.TrackerSpec):
        yield from _failure(_check_tracker_file, spec)
    elif isinstance(spec, specs.ComponentSpec):
        yield from _failure(declarations, spec)
        yield from _failure(_check_factory_module, spec)
        if spec.home_preset is not None:
            yield from _failure(registry.find, specs.PresetSpec, spec.home_preset)
    if isinstance(spec, specs.HeadSpec):
        for name in spec.default_losses:
            yield from _failure(registry.find, specs.LossSpec, name)
        for name in spec.default_postprocessors:
            yield from _failure(registry.find, specs.PostprocessorSpec, name)


def _failure(check: Callable[..., object], *arguments: object) -> Iterator[Exception]:
    """Run one check of foreign things; yield what went wrong, if anything."""
    try:
        with foreign_code():
            check(*arguments)
    except ForeignError as error:
        yield error.__cause__ if isinstance(error.__cause__, TrackcliError) else error


def _plan_preset(name: str, registry: Registry) -> None:
    plan(complete({"preset": name}, registry).recipe, registry)


def _check_factory_module(spec: specs.ComponentSpec) -> None:
    """The factory's module is looked for, not imported: it imports torch."""
    module = spec.factory.partition(":")[0]
    if find_spec(module) is None:
        raise PluginError(f"its factory {spec.factory} does not exist: there is no module {module}")


def _check_tracker_file(spec: specs.TrackerSpec) -> None:
    for name in (spec.file, spec.card):
        if name and not (resources.files(spec.package) / name).is_file():
            raise PluginError(f"its file {name} is missing in package {spec.package}")
