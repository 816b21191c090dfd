"""What fits what: every backbone with every matcher, head and loss, planned with default settings and never built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from trackcli.composition.plan import Plan, plan
from trackcli.config.recipe import Part, Recipe
from trackcli.errors import TrackcliError
from trackcli.host.guard import ForeignError, foreign_code
from trackcli.host.registry import Provided, Registry
from trackcli.host.specs import BackboneSpec, HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec


@dataclass(frozen=True)
class Composition:
    """One backbone, matcher and head, each named so that the registry finds it.

    Attributes:
        backbone: Name of the backbone.
        matcher: Name of the matcher.
        head: Name of the head.
        reason: Why the three do not compose; None if they do.
        losses: Losses that train them.
        misfits: Losses that do not, and why.
    """

    backbone: str
    matcher: str
    head: str
    reason: str | None
    losses: tuple[str, ...] = ()
    misfits: tuple[tuple[str, str], ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the three compose, so that they can track."""
        return self.reason is None


def compositions(
    registry: Registry,
    *,
    backbone: Provided | None = None,
    matcher: Provided | None = None,
    head: Provided | None = None,
) -> Iterator[Composition]:
    """Every composition with default settings, or only those with the given components."""
    backbones = [backbone] if backbone else registry.of_kind(BackboneSpec)
    matchers = [matcher] if matcher else registry.of_kind(MatcherSpec)
    heads = [head] if head else registry.of_kind(HeadSpec)
    for parts in product(backbones, matchers, heads):
        yield _try(registry, *parts)


def plan_defaults(
    registry: Registry, backbone: Provided, matcher: Provided, head: Provided, loss: Provided | None = None
) -> Plan:
    """Plan three components, and a loss, with nothing set.

    Raises:
        TrackcliError: if they do not fit, or one is broken.
    """
    try:
        with foreign_code():
            return plan(_recipe(registry, backbone, matcher, head, loss), registry)
    except ForeignError as error:
        if isinstance(error.__cause__, TrackcliError):
            raise error.__cause__ from error
        names = ", ".join(entry.spec.name for entry in (backbone, matcher, head, loss) if entry)
        raise TrackcliError(f"one of {names} is broken: {error}") from error


def _try(registry: Registry, backbone: Provided, matcher: Provided, head: Provided) -> Composition:
    reason = _misfit(registry, backbone, matcher, head)
    tried: dict[str, str | None] = {}
    if reason is None:
        losses = registry.of_kind(LossSpec)
        tried = {registry.label(loss): _misfit(registry, backbone, matcher, head, loss) for loss in losses}
    return Composition(
        registry.label(backbone),
        registry.label(matcher),
        registry.label(head),
        reason,
        losses=tuple(name for name, misfit in tried.items() if misfit is None),
        misfits=tuple((name, misfit) for name, misfit in tried.items() if misfit is not None),
    )


def _misfit(
    registry: Registry, backbone: Provided, matcher: Provided, head: Provided, loss: Provided | None = None
) -> str | None:
    try:
        plan_defaults(registry, backbone, matcher, head, loss)
    except TrackcliError as error:
        return str(error)
    return None


def _recipe(registry: Registry, backbone: Provided, matcher: Provided, head: Provided, loss: Provided | None) -> Recipe:
    return Recipe(
        backbone=Part(name=registry.label(backbone)),
        matcher=Part(name=registry.label(matcher)),
        head=Part(name=registry.label(head)),
        loss=(Part(name=registry.label(loss)),) if loss else (),
        postprocessor=_selection_for(head, registry),
    )


def _selection_for(head: Provided, registry: Registry) -> tuple[Part, ...]:
    """A plan needs exactly one selection; links are left out, for they do not depend on the head."""
    entries = registry.of_kind(PostprocessorSpec)
    selections = [registry.label(entry) for entry in entries if getattr(entry.spec, "stage", None) == "select"]
    defaults = getattr(head.spec, "default_postprocessors", ())
    meant = (registry.own_name(PostprocessorSpec, name, head.distribution) for name in defaults)
    own = [name for name in meant if name in selections]
    return tuple(Part(name=name) for name in (own or selections)[:1])
