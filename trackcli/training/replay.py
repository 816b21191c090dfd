"""Makes a step again that was not finite, and finds where it went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.defaults import to_recipe
from trackcli.composition.plan import plan
from trackcli.config.training import TrainConfig
from trackcli.contracts.training import Batch
from trackcli.errors import InputDataError
from trackcli.host.registry import Registry
from trackcli.training.checkpoint import read_state
from trackcli.training.learning import LearningPlan
from trackcli.training.nonfinite import FORMAT_VERSION
from trackcli.training.parts import Parts
from trackcli.training.spread import split_rows
from trackcli.training.terms import PairLosses

MOST_NAMES = 5
LARGEST_BYTES = 8 << 30


@dataclass(frozen=True)
class ReplayReport:
    """What was found.

    Attributes:
        step: The step that was not finite.
        recorded: Its loss terms as the run saw them.
        terms: The terms of the saved pairs, made again.
        weights: Weights that are not finite before the step.
        inputs: Fields of the batch that are not finite where they should be.
        origin: The first module that made something non-finite of finite inputs; empty if none did.
        samples: Ids of the samples that are not finite on their own, and the terms that are not.
        gradients: Parameters whose gradient is not finite.
    """

    step: int
    recorded: Mapping[str, float]
    terms: Mapping[str, float]
    weights: tuple[str, ...]
    inputs: tuple[str, ...]
    origin: str
    samples: Mapping[int, tuple[str, ...]]
    gradients: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report for a person."""
        lines = [f"step {self.step}"]
        lines += [
            f"  {name:28} {self.recorded.get(name, math.nan):>12.5g} in the run  {value:>12.5g} again"
            for name, value in self.terms.items()
        ]
        if self.weights:
            lines.append(f"not finite before the step: {_some(self.weights)}; go back to an older checkpoint")
        if self.inputs:
            lines.append(f"not finite in the batch: {_some(self.inputs)}")
        if self.origin:
            lines.append(f"first made by: {self.origin}")
        lines += [f"sample {sample}: {_some(names)}" for sample, names in self.samples.items()]
        if self.gradients:
            lines.append(f"gradients not finite: {_some(self.gradients)}")
        if not (self.weights or self.inputs or self.origin or self.samples or self.gradients):
            lines.append("everything is finite now: the step depended on other pairs, the device or its precision")
        return lines


def replay(path: Path, registry: Registry, *, device: str = "cpu") -> ReplayReport:
    """Make the step of a ``nonfinite-<step>.pt`` again.

    Args:
        path: The file; only tensors and plain data are unpickled.
        registry: Where the components are found.
        device: Where to make it.

    Raises:
        InputDataError: if the file cannot be read or is none of ours.
    """
    state = _read(path)
    planned = plan(to_recipe(state["recipe"]), registry)
    target = torch.device(device)
    pair_losses = PairLosses(build_model(planned), build_losses(planned), planned.recipe.train, target).to(target)
    try:
        pair_losses.model.load_state_dict(state["model"])
        pair_losses.losses.load_state_dict(state["losses"])
        batch = Batch(**state["batch"]).to(target)
        _freeze_as_in_the_run(pair_losses, planned.recipe.train, state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputDataError(f"{path} does not fit its own recipe ({str(error).splitlines()[0]})") from error
    statistics = {name: value.clone() for name, value in pair_losses.named_buffers()}
    with torch.no_grad(), _origin_of(pair_losses) as origin:
        pair_losses(batch)
    terms: dict[str, Tensor] = pair_losses(batch)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch annotates in part
    for name, value in pair_losses.named_buffers():
        value.copy_(statistics[name])  # the passes so far may have spoilt them
    return ReplayReport(
        step=int(state["step"]),
        recorded=dict(state["terms"]),
        terms={name: float(value.detach()) for name, value in terms.items()},
        weights=tuple(name for name, value in pair_losses.named_parameters() if not _finite(value)),
        inputs=_bad_inputs(batch),
        origin=next(iter(origin), ""),
        samples=_bad_samples(pair_losses, batch),
        gradients=tuple(
            name for name, value in pair_losses.named_parameters() if value.grad is not None and not _finite(value.grad)
        ),
    )


def _freeze_as_in_the_run(pair_losses: PairLosses, config: TrainConfig, state: Mapping[str, Any]) -> None:
    model, losses = pair_losses.model, pair_losses.losses
    learning_plan = LearningPlan(Parts(model, losses), model, config, terms=losses, fresh=frozenset(state["fresh"]))
    learning_plan.apply(learning_plan.at(int(state["step"]) - 1), model, losses)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputDataError(f"{path} does not exist; expected a nonfinite-<step>.pt of a run folder")
    if path.stat().st_size > LARGEST_BYTES:
        raise InputDataError(f"{path} has {path.stat().st_size} bytes; expected at most {LARGEST_BYTES}")
    try:
        state = read_state(path)
    except Exception as error:  # a damaged or foreign file fails in many ways
        raise InputDataError(
            f"{path} cannot be read ({type(error).__name__}); expected a nonfinite-<step>.pt of a run folder"
        ) from error
    missing = [name for name in ("step", "terms", "recipe", "batch", "model", "losses", "fresh") if name not in state]
    if missing or state.get("format") != FORMAT_VERSION:
        raise InputDataError(
            f"{path} is no replay file of this version; expected a nonfinite-<step>.pt of a run folder"
        )
    return state


@contextmanager
def _origin_of(pair_losses: PairLosses) -> Iterator[list[str]]:
    """Collects modules, in the order in which they finished, whose output is not finite though their inputs were."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not all(map(_finite, _tensors(output))) and all(map(_finite, _tensors(inputs))):
                found.append(f"{name} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in pair_losses.named_modules() if name]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _bad_samples(pair_losses: PairLosses, batch: Batch) -> dict[int, tuple[str, ...]]:
    """Each pair on its own, with the statistics from before the step: a batch norm cannot train on one."""
    pair_losses.eval()
    bad: dict[int, tuple[str, ...]] = {}
    with torch.no_grad():
        for single in split_rows(batch, len(batch)):
            names = tuple(name for name, value in pair_losses(single).items() if not _finite(value))
            if names:
                bad[int(single.sample_ids)] = names
    return bad


def _bad_inputs(batch: Batch) -> tuple[str, ...]:
    """Boxes of pairs without the target mean nothing and may be anything."""
    bad = [
        name
        for name in ("template_images", "search_images", "template_boxes_xyxy")
        if not _finite(getattr(batch, name))
    ]
    if not _finite(batch.search_boxes_xyxy[batch.positive]):
        bad.append("search_boxes_xyxy")
    if not _finite(batch.objects_xyxy[batch.valid]):
        bad.append("objects_xyxy")
    return tuple(bad)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Batch):
        yield from (value.template_images, value.search_images)  # boxes may be NaN by contract
    elif is_dataclass(value):
        for entry in fields(value):
            yield from _tensors(getattr(value, entry.name))


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
