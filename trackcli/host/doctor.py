"""Looks for what is wrong with the installed plugins, before it goes wrong in a training. Builds nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.errors import PluginError, TrackcliError
from trackcli.host import specs
from trackcli.host.commands import command_warnings, extra_commands, missing_modules
from trackcli.host.data_specs import DatasetSpec, SinkSpec
from trackcli.host.description import declarations
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import AmbiguousNameError, BrokenPlugin, Provided, Registry
from trackcli.host.selection import CORE, DISABLE, Selection, normalise


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


def examine(
    registry: Registry, *, selection: Selection | None = None, built_in_commands: Collection[str] = ()
) -> Diagnosis:
    """Examine every plugin and every component it offers; imports configurations, but no component and no command.

    Args:
        registry: What the plugins offer.
        selection: Whose extra commands to examine; None for nobody's.
        built_in_commands: Names of commands that plugins cannot have.
    """
    problems = [_broken(plugin) for plugin in registry.broken]
    warnings = [*registry.warnings, *_clashes(registry), *_suffix_clashes(registry)]
    if selection is not None:
        warnings.extend(command_warnings(selection, built_in_commands))
        problems.extend(_broken_commands(selection, built_in_commands))
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


def _suffix_clashes(registry: Registry) -> Iterator[str]:
    sinks = [(entry, entry.spec) for entry in registry.of_kind(SinkSpec) if isinstance(entry.spec, SinkSpec)]
    for suffix in sorted({suffix for _, spec in sinks for suffix in spec.suffixes}):
        owners = [f"{spec.name!r} of {entry.distribution}" for entry, spec in sinks if suffix in spec.suffixes]
        if len(owners) > 1:
            yield f"files ending in {suffix} cannot be written with -o: sinks {' and '.join(owners)} both write them"


def _broken_commands(selection: Selection, built_in_commands: Collection[str]) -> Iterator[Problem]:
    for command, reason in missing_modules(extra_commands(selection, built_in_commands)):
        distribution = command.candidate.distribution
        yield Problem(
            distribution, command.candidate.version, f"command {command.label!r}", reason, remedy(distribution)
        )


def _errors(entry: Provided, registry: Registry) -> Iterator[Exception]:
    """Everything that is wrong with one spec."""
    spec = entry.spec
    if isinstance(spec, specs.PresetSpec):
        yield from _failure(_plan_preset, registry.label(entry), registry)
    elif isinstance(spec, specs.TrackerSpec):
        if spec.factory:
            yield from _failure(_check_module, "factory", spec.factory)
        else:
            yield from _failure(_check_tracker_file, spec)
    elif isinstance(spec, DatasetSpec):
        yield from _failure(_check_module, "reader", spec.reader)
    elif isinstance(spec, SinkSpec):
        yield from _failure(_check_module, "factory", spec.factory)
    elif isinstance(spec, specs.ComponentSpec):
        yield from _failure(declarations, spec)
        yield from _failure(_check_module, "factory", spec.factory)
        if spec.home_preset is not None:
            yield from _failure(_find_own, specs.PresetSpec, spec.home_preset, entry.distribution, registry)
    if isinstance(spec, specs.HeadSpec):
        for name in spec.default_losses:
            yield from _failure(_find_own, specs.LossSpec, name, entry.distribution, registry)
        for name in spec.default_postprocessors:
            yield from _failure(_find_own, specs.PostprocessorSpec, name, entry.distribution, registry)


def _failure(check: Callable[..., object], *arguments: object) -> Iterator[Exception]:
    """Run one check of foreign things; yield what went wrong, if anything."""
    try:
        with foreign_code():
            check(*arguments)
    except ForeignError as error:
        yield error.__cause__ if isinstance(error.__cause__, TrackcliError) else error


def _find_own(kind: type[specs.Spec], name: str, distribution: str, registry: Registry) -> None:
    registry.find(kind, name, prefer=distribution)


def _plan_preset(name: str, registry: Registry) -> None:
    plan(complete({"preset": name}, registry).recipe, registry)


def _check_module(what: str, reference: str) -> None:
    """The module is looked for, not imported: it imports torch or NumPy."""
    module = reference.partition(":")[0]
    if find_spec(module) is None:
        raise PluginError(f"its {what} {reference} does not exist: there is no module {module}")


def _check_tracker_file(spec: specs.TrackerSpec) -> None:
    for name in (spec.file, spec.card):
        if name and not (resources.files(spec.package) / name).is_file():
            raise PluginError(f"its file {name} is missing in package {spec.package}")
