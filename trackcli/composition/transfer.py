"""Weights of another tracker: what fits is taken, component by component."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn

from trackcli.composition.files import read_header
from trackcli.composition.foreign import LoadReport, load_foreign
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.recipe import Recipe

LINKS = ("candidate_links", "track_links")


@dataclass(frozen=True)
class PartTransfer:
    """What became of one component.

    Attributes:
        part: ``backbone``, ``matcher``, ``head``, or ``candidate_links.<name>`` and the like.
        name: The component's name here; empty for links, whose part says it.
        other: Its name in the file, if that is another component: nothing was taken then.
        report: What was loaded, if it is the same one.
    """

    part: str
    name: str
    other: str | None = None
    report: LoadReport | None = None

    def summary(self) -> str:
        """One line for the person."""
        title = f"{self.part} {self.name}".rstrip()
        if self.report is None:
            return f"{title}: not taken, the file has {self.other or 'none'}"
        return f"{title}: {self.report.summary()}"


@dataclass(frozen=True)
class Transfer:
    """What was taken from a tracker file.

    Attributes:
        parts: Every component with weights, here or in the file.
        notes: What else is worth a line.
    """

    parts: tuple[PartTransfer, ...]
    notes: tuple[str, ...] = ()

    @property
    def loaded(self) -> frozenset[str]:
        """Names of the model's tensors that were filled."""
        return frozenset(
            f"{part.part}.{name}" for part in self.parts if part.report is not None for name in part.report.loaded
        )

    def lines(self) -> list[str]:
        """For the person."""
        return [*(part.summary() for part in self.parts), *self.notes]

    def as_data(self) -> dict[str, Any]:
        """Every name, as plain data."""
        return {
            part.part: part.report.as_data() if part.report is not None else {"other": part.other}
            for part in self.parts
        }


def transfer_weights(model: TrackerModel, planned: Plan, path: Path) -> Transfer:
    """Copy from a tracker file what fits a model: components of the same name, tensors of the same shape.

    A component of another name is left alone, though some of its tensors may be called alike: they mean another thing.

    Args:
        model: Filled in place.
        planned: What it was built from.
        path: A tracker file; its recipe may be any.

    Raises:
        InputDataError: if it is no tracker file.
        ConfigError: if its recipe is not sound.
    """
    described = read_header(path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    parts = tuple(_transfers(model, planned.recipe, described.recipe, weights))
    notes = []
    backbone = next((part for part in parts if part.part == "backbone"), None)
    theirs = described.recipe.normalisation
    if backbone is not None and backbone.report is not None and theirs not in (None, planned.normalisation):
        notes.append(
            "the file's backbone was trained with another normalisation than this recipe's; "
            "set normalisation as `trackcli trackers show` prints it"
        )
    return Transfer(parts, tuple(notes))


def _transfers(
    model: TrackerModel, recipe: Recipe, theirs: Recipe, weights: dict[str, Tensor]
) -> Iterator[PartTransfer]:
    for part, module in _modules(model, weights):
        own = _below(weights, part)
        if not own and not any(True for _ in module.state_dict()):
            continue
        name, other = _name_in(recipe, part), _name_in(theirs, part)
        if name != other or not own:
            yield PartTransfer(part, name, other=other if own else None)
        else:
            yield PartTransfer(part, name, report=load_foreign(module, own))


def _modules(model: TrackerModel, weights: dict[str, Tensor]) -> Iterator[tuple[str, nn.Module]]:
    """Components by name; links only where both sides have them, as two chains rarely are the same."""
    yield from (("backbone", model.backbone), ("matcher", model.matcher), ("head", model.head))
    for kind in LINKS:
        for name, link in model.get_submodule(kind).named_children():
            if _below(weights, f"{kind}.{name}"):
                yield f"{kind}.{name}", link
    yield "select", model.select


def _below(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")}


def _name_in(recipe: Recipe, part: str) -> str:
    """The bare name of a component; links are told apart by where they are."""
    if part in {"backbone", "matcher", "head"}:
        name: str = getattr(recipe, part).name
        return name.rpartition(":")[2]
    return ""
