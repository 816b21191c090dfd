"""Tracker files meet another environment: components that are missing, of another version, or need migration."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trackcli.config.layers import LISTS
from trackcli.config.origins import COMPONENTS, SINGLE_PARTS
from trackcli.config.recipe import Part, Recipe
from trackcli.config.sampling import DEFAULT_SAMPLER
from trackcli.errors import PluginError
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import KINDS, Provided, Registry
from trackcli.host.specs import (
    BackboneSpec,
    ComponentSpec,
    HeadSpec,
    LossSpec,
    MatcherSpec,
    PostprocessorSpec,
    SamplerSpec,
)

_RECORDED = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?) ([A-Za-z0-9][A-Za-z0-9.+!_-]{0,60})")
_MINOR = re.compile(r"(\d+)\.(\d+)")


class VersionWarning(UserWarning):
    """A tracker file was written by another version, or another provider, of a component."""


@dataclass(frozen=True)
class Recorded:
    """Who provided a component when a file was written.

    Attributes:
        distribution: Name of the distribution, as ``pip install`` takes it.
        version: Its version.
    """

    distribution: str
    version: str


def recorded(components: Mapping[str, Any], kind: str, name: str) -> Recorded | None:
    """What a file says about a component; None if it says nothing that can be a distribution and a version.

    Args:
        components: ``kind:name`` → ``distribution version``, as found in the file.
        kind: ``matcher``, …
        name: Its name, or ``distribution:name``.
    """
    text = components.get(f"{kind}:{_bare(name)}")
    match = _RECORDED.fullmatch(text) if isinstance(text, str) else None
    return Recorded(match[1], match[2]) if match else None


def settle(recipe: Recipe, components: Mapping[str, Any], registry: Registry, *, file: object) -> Recipe:
    """The recipe of a file in terms of what is installed here.

    Losses that are not installed, or that only others provide, are left out, and such a sampler gives way to the usual
    one: tracking needs neither. A name that several distributions provide means the recorded one. Settings that another
    version wrote go through the component's ``migrate``. A component of another minor version, or of another
    distribution, is worth a :class:`VersionWarning`.

    Args:
        recipe: As read.
        components: ``kind:name`` → ``distribution version``, as read.
        registry: What is installed.
        file: What messages call the file.

    Raises:
        PluginError: for a component that is missing, saying what to install, or one whose migration fails.
    """
    settler = _Settler(components, registry, str(file))
    settled = recipe.model_copy(
        update={
            "backbone": settler.part(BackboneSpec, recipe.backbone),
            "matcher": settler.part(MatcherSpec, recipe.matcher),
            "head": settler.part(HeadSpec, recipe.head),
            "loss": settler.parts(LossSpec, (part for part in recipe.loss if settler.is_here(LossSpec, part))),
            "sampler": settler.sampler(recipe.sampler),
            "postprocessor": settler.parts(PostprocessorSpec, recipe.postprocessor),
        }
    )
    for line in dict.fromkeys(settler.complaints):
        warnings.warn(line, VersionWarning, stacklevel=3)
    return settled


class _Settler:
    def __init__(self, components: Mapping[str, Any], registry: Registry, file: str) -> None:
        self.components = components
        self.registry = registry
        self.file = file
        self.complaints: list[str] = []

    def parts(self, kind: type[ComponentSpec], parts: Iterable[Part]) -> tuple[Part, ...]:
        return tuple(self.part(kind, part) for part in parts)

    def sampler(self, part: Part) -> Part:
        return self.part(SamplerSpec, part) if self.is_here(SamplerSpec, part) else Part(name=DEFAULT_SAMPLER)

    def is_here(self, kind: type[ComponentSpec], part: Part) -> bool:
        """Whether a component is installed, and which one is known."""
        found = self.registry.matching(part.name, kind)
        if len(found) < 2:
            return bool(found)
        written = recorded(self.components, kind.kind, part.name)
        return written is not None and any(
            _same_distribution(entry.distribution, written.distribution) for entry in found
        )

    def part(self, kind: type[ComponentSpec], part: Part) -> Part:
        written = recorded(self.components, kind.kind, part.name)
        if written is None:
            return part  # planning says what is wrong, if anything is
        found = self.registry.matching(part.name, kind)
        own = [entry for entry in found if _same_distribution(entry.distribution, written.distribution)]
        if not found:
            raise PluginError(self._missing(kind, part, written))
        if not own and len(found) > 1:
            return part  # planning asks which one is meant
        entry = (own or found)[0]
        self._compare(kind, part, written, entry)
        name = part.name if len(found) == 1 else f"{entry.distribution}:{_bare(part.name)}"
        if written.version == entry.version:
            return part.model_copy(update={"name": name})
        return Part.model_validate({**migrated(entry, part.settings, written.version), "name": name})

    def _missing(self, kind: type[ComponentSpec], part: Part, written: Recorded) -> str:
        needs = f"{self.file} needs {kind.kind} {_bare(part.name)!r} of {written.distribution} {written.version}"
        for entry in self.registry.provided:
            if _same_distribution(entry.distribution, written.distribution):
                return (
                    f"{needs}, but the installed {entry.version} does not provide it; "
                    f"pip install {written.distribution}=={written.version}"
                )
        absences = self.registry.absences()
        return f"{needs}, which {'does not work here' if absences else 'is not installed'}" + (
            f"{absences}; repair or enable it, or pip install {written.distribution}"
            if absences
            else f"; pip install {written.distribution}"
        )

    def _compare(self, kind: type[ComponentSpec], part: Part, written: Recorded, entry: Provided) -> None:
        if not _same_distribution(entry.distribution, written.distribution):
            self.complaints.append(
                f"{self.file} was written with {kind.kind} {_bare(part.name)!r} of {written.distribution}; using that "
                f"of {entry.distribution}, which may differ; pip install {written.distribution} for the original"
            )
        elif _minor(entry.version) != _minor(written.version):
            self.complaints.append(
                f"{self.file} was written with {written.distribution} {written.version}; {entry.version} is installed, "
                f"results may differ; pip install {written.distribution}=={written.version} for the same ones"
            )


def up_to_date(data: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """A layer of configuration in terms of what is installed here, if it says which versions wrote it.

    Args:
        data: Nested plain data whose sections were checked; ``components`` is a mapping.
        registry: What is installed.

    Returns:
        The data without ``components``: settings that another version wrote are migrated, and names that several
        distributions provide mean the recorded one. What is not installed stays as it is: planning says what is wrong.

    Raises:
        PluginError: for a component whose migration fails.
    """
    result = {key: value for key, value in data.items() if key != COMPONENTS}
    components = data.get(COMPONENTS, {})
    if not components:
        return result
    for kind in SINGLE_PARTS:
        if kind in result:
            result[kind] = _part_up_to_date(kind, result[kind], components, registry)
    for kind in LISTS:
        if kind in result:
            result[kind] = [_part_up_to_date(kind, part, components, registry) for part in result[kind]]
    return result


def _part_up_to_date(
    kind: str, part: Mapping[str, Any], components: Mapping[str, Any], registry: Registry
) -> Mapping[str, Any]:
    written = recorded(components, kind, part.get("name", ""))
    found = registry.matching(part["name"], KINDS[kind]) if written else []
    own = [entry for entry in found if written and _same_distribution(entry.distribution, written.distribution)]
    if not own or written is None:
        return part
    settings = {key: value for key, value in part.items() if key != "name"}
    if own[0].version != written.version:
        settings = migrated(own[0], settings, written.version)
    name = part["name"] if len(found) == 1 else f"{own[0].distribution}:{_bare(part['name'])}"
    return {"name": name, **settings}


def migrated(entry: Provided, settings: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Settings that ``version`` of a component's distribution wrote, as the installed one takes them.

    Raises:
        PluginError: if the component's ``migrate`` fails.
    """
    spec = entry.spec
    assert isinstance(spec, ComponentSpec)
    config_class = spec.load_config_class()
    try:
        with foreign_code():
            return dict(config_class.migrate(dict(settings), version))
    except ForeignError as error:
        raise PluginError(
            f"{spec.kind} {spec.name!r} of {entry.distribution} {entry.version} cannot migrate the settings that "
            f"{version} wrote ({error}); pip install {entry.distribution}=={version}, or report it to its author"
        ) from error


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def _same_distribution(first: str, second: str) -> bool:
    """Names of distributions are equal whatever their case and separators (PEP 503)."""
    one, other = (re.sub(r"[-_.]+", "-", name).lower() for name in (first, second))
    return one == other


def _minor(version: str) -> str:
    match = _MINOR.match(version)
    return match[0] if match else version
