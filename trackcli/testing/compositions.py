"""Tiny compositions around one component: it, and built-in parts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import torch

from trackcli.composition.build import WeightedLosses, build_losses, build_model
from trackcli.composition.defaults import complete
from trackcli.composition.model import TrackerModel
from trackcli.composition.names import own_names
from trackcli.composition.plan import Plan, plan
from trackcli.errors import FitError
from trackcli.host.registry import Registry
from trackcli.host.selection import CORE
from trackcli.host.specs import BackboneSpec, ComponentSpec, HeadSpec, MatcherSpec, PostprocessorSpec
from trackcli.testing.registries import registry_of

PARTNER_KINDS: tuple[type[ComponentSpec], ...] = (BackboneSpec, MatcherSpec, HeadSpec)

TINY: Mapping[str, Any] = MappingProxyType(
    {
        "preset": "siamrpn-pp",
        "backbone": {"name": "resnet18", "depth": 2},
        "matcher": {"name": "dw-xcorr", "channels": 16, "template_cells": 4},
        "head": {"name": "rpn", "hidden": 16, "scale": 4.0},  # anchors as large as the scene's targets
        "crop": {"template_size": 64, "search_size": 128},
        "train": {"steps": 2, "batch": 2},
    }
)
"""The recipe that a component under test takes its place in."""

_SMALL: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "resnet18": {"depth": 2},
        "resnet50": {"depth": 2},
        "alexnet": {"outputs": ["conv3"]},
        "mobilenetv2": {"depth": 3},
        "up-xcorr": {"channels": 4, "template_cells": 4},
        "dw-xcorr": {"channels": 16, "template_cells": 4},
        "xcorr": {"channels": 16, "template_cells": 4},
        "rpn": {"hidden": 16, "scale": 4.0},
    }
)


def tiny_plan(
    registry: Registry,
    spec: ComponentSpec | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    partners: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    """Plan a tiny composition.

    Args:
        registry: Where components are found.
        spec: The component that takes its place among small built-in ones; none: built-in ones only.
        settings: Its settings.
        partners: Parts of the recipe in place of the tiny ones, e.g. ``{"head": {"name": "my-head"}}``.

    Raises:
        FitError: if they do not fit together.
    """
    data = {**TINY, **partners}
    if spec is not None:
        part = {"name": _name_for(registry, spec), **settings}
        if spec.kind == "loss":
            data["loss"] = [part]
        elif isinstance(spec, PostprocessorSpec):
            head = registry.find(HeadSpec, data["head"]["name"], prefer=CORE)
            data["postprocessor"] = _chain_with(part, spec, head, registry)
        else:
            data[spec.kind] = part
    # The tiny recipe means the built-in components, also beside a plugin that has others of the same names.
    return plan(complete(own_names(data, CORE, registry), registry).recipe, registry)


def plans_with_partners(
    registry: Registry, spec: ComponentSpec, settings: Mapping[str, Any], partners: Mapping[str, Any]
) -> Iterator[tuple[str, Plan]]:
    """A plan for every built-in backbone, matcher and head that the component fits; those it does not fit are left out.

    Yields:
        The partner as ``kind name``, and the plan.
    """
    for kind in PARTNER_KINDS:
        if kind.kind == spec.kind:
            continue
        for name in registry_of().names(kind):
            part = {"name": f"trackcli:{name}", **_SMALL.get(name, {})}
            try:
                yield f"{kind.kind} {name}", tiny_plan(registry, spec, settings, {**partners, kind.kind: part})
            except FitError:
                continue


def build_seeded(planned: Plan, seed: int = 0) -> TrackerModel:
    """The network with weights that follow from the seed; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(planned)


def build_losses_seeded(planned: Plan, seed: int = 0) -> WeightedLosses:
    """The losses, whose own parameters follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_losses(planned)


def _name_for(registry: Registry, spec: ComponentSpec) -> str:
    """``distribution:name``, which nobody else's component of the same name makes ambiguous."""
    return f"{_owner(spec, registry)}:{spec.name}"


def _owner(spec: ComponentSpec, registry: Registry) -> str:
    return next(entry.distribution for entry in registry.provided if entry.spec is spec)


def _chain_with(
    part: Mapping[str, Any], spec: PostprocessorSpec, head: HeadSpec, registry: Registry
) -> list[Mapping[str, Any]]:
    """The head's default chain with the link in its place: before the selection, instead of it, or at the end."""
    names = head.default_postprocessors or ("select",)
    chain = [registry.find(PostprocessorSpec, name, prefer=_owner(head, registry)) for name in names]
    before = [{"name": link.name} for link in chain if link.stage == "candidates" and link.name != spec.name]
    select = [{"name": link.name} for link in chain if link.stage == "select"]
    after = [{"name": link.name} for link in chain if link.stage == "track" and link.name != spec.name]
    if spec.stage == "candidates":
        return [*before, part, *select, *after]
    if spec.stage == "select":
        return [*before, part, *after]
    return [*before, *select, *after, part]
