"""The engine: one step from a batch to new weights, on one device or several."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan
from trackcli.config.training import TrainConfig
from trackcli.contracts.training import Batch
from trackcli.errors import ConfigError, InputDataError
from trackcli.training.average import Average
from trackcli.training.distributed import ALONE, World
from trackcli.training.learning import Learning, LearningPlan, make_optimizer, set_rate
from trackcli.training.parts import Parts
from trackcli.training.precision import SMALLEST_SCALE, exact_grouped_convolutions, make_scaler
from trackcli.training.schedule import check_schedule, rate_at
from trackcli.training.spread import StepCounting, check_batch
from trackcli.training.terms import PairLosses, check_phases, in_phase

GRADIENT = "gradient"
"""What a non-finite step is blamed on whose loss terms are all finite."""


@dataclass(frozen=True)
class StepResult:
    """What one step did, the same in all processes but for ``own_terms``.

    Attributes:
        terms: Weighted loss terms by name, means over all pairs of the step.
        own_terms: Those of this process, per part.
        rates: Learning rate by parameter group.
        rate: The schedule's rate, before groups' factors.
        gradient_norm: Before clipping.
        nonfinite: Names of the terms that are not finite, or ``gradient``; empty if the step was taken.
        stop: Whether some process asked to stop.
    """

    terms: dict[str, float]
    own_terms: tuple[dict[str, float], ...]
    rates: dict[str, float]
    rate: float
    gradient_norm: float
    nonfinite: tuple[str, ...]
    stop: bool


class Engine:
    """Model, losses and optimiser of a run, and how a step changes them.

    Args:
        plan: The composition.
        device: Where it trains.
        world: The processes that train together.

    Raises:
        ConfigError: for settings that do not fit together or the composition.
    """

    def __init__(self, plan: Plan, device: torch.device, world: World = ALONE) -> None:
        self.config: TrainConfig = plan.recipe.train
        self.device = device
        self.world = world
        check_schedule(self.config)
        check_batch(self.config, world)
        with _seeded(device, self.config.seed):
            self.model = build_model(plan).to(device)
            self.losses = build_losses(plan).to(device)
        if self.config.sync_batch_norm:
            self.model = _with_synchronised_norms(self.model, device, world)
        exact_grouped_convolutions(self.model, self.config, self.device)
        if self.config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Average(self.model, self.config.ema) if self.config.ema else None
        if self.config.compile:
            # Most of the work, and the part with the fewest shapes: templates and search regions have one each.
            self.model.backbone.compile(dynamic=False)
        self.parts = Parts(self.model, self.losses)
        self.optimizer = make_optimizer(self.parts, self.config)
        self.scaler = make_scaler(self.config, device)
        self._pair_losses = PairLosses(self.model, self.losses, self.config, device)
        self._shared: DistributedDataParallel | None = None
        self._applied: Learning | None = None
        self._phases_are_sound = False  # known once the losses have given their terms
        self._buffers = list(self.model.buffers())
        self.set_fresh(frozenset())

    def set_fresh(self, names: frozenset[str]) -> None:
        """Say which parameters of the backbone started without weights: these learn from the start."""
        self.fresh = names
        self._learning_plan = LearningPlan(self.parts, self.model, self.config, terms=self.losses, fresh=names)

    def saved_model(self) -> TrackerModel:
        """The averaged weights if the run averages, else the current ones."""
        return self.average.model if self.average is not None else self.model

    def apply(self, step: int) -> Learning:
        """Freeze and unfreeze as it is due at a step."""
        learning = self._learning_plan.at(step)
        self._learning_plan.apply(learning, self.model, self.losses)
        if self.world.is_shared and (self._applied is None or self._applied.names != learning.names):
            self._share()
        self._applied = learning
        return learning

    def learn(self, batches: Sequence[Batch], step: int, *, stop: bool = False) -> StepResult:
        """Take one step.

        Args:
            batches: This process's pairs, in ``train.accumulate`` parts.
            step: Its number, from 0.
            stop: Whether this process asks all to stop; rides along with what they tell one another anyway.
        """
        learning = self.apply(step)
        rate = rate_at(step, self.config) * learning.rate
        rates = set_rate(self.optimizer, rate)
        before = [buffer.clone() for buffer in self._buffers]
        self.optimizer.zero_grad(set_to_none=True)
        own = self._gradients(batches, step, learning)
        names = tuple(own[0])
        values = torch.stack([torch.stack(list(terms.values())) for terms in own])
        shared = self.world.sum(torch.cat((values.mean(dim=0), values.new_tensor([float(stop)]))))
        self.scaler.unscale_(self.optimizer)
        norm = self._clipped_norm()
        *means, stops, gradient_norm = torch.cat((shared, norm.reshape(1).to(shared))).tolist()
        terms = {name: value / self.world.size for name, value in zip(names, means, strict=True)}
        nonfinite = self._nonfinite(terms, gradient_norm)
        if nonfinite:
            self._undo(before)
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.average is not None:
                self.average.follow(self.model, step)
        return StepResult(
            terms=terms,
            own_terms=tuple(dict(zip(names, row, strict=True)) for row in values.tolist()),
            rates=rates,
            rate=rate,
            gradient_norm=gradient_norm,
            nonfinite=nonfinite,
            stop=stops > 0,
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: tensors and plain data."""
        return {
            "model": self.model.state_dict(),
            "losses": self.losses.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "optimizer_name": self.config.optimizer,
            "scaler": self.scaler.state_dict(),
            "averaged": self.average.model.state_dict() if self.average is not None else None,
            "fresh": sorted(self.fresh),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave.

        Raises:
            InputDataError: if it is of another composition.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.losses.load_state_dict(state["losses"])
            if state.get("optimizer_name", self.config.optimizer) != self.config.optimizer:
                raise ValueError(f"its optimiser is {state['optimizer_name']}")
            self._load_optimizer(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            if self.average is not None and state["averaged"] is not None:
                self.average.model.load_state_dict(state["averaged"])
            elif self.average is not None:
                self.average.restart(self.model)
            self.set_fresh(frozenset(state["fresh"]))
        except (KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if not isinstance(error, KeyError) else f"it lacks {error}"
            raise InputDataError(
                f"the checkpoint does not fit this recipe ({reason}); resume with the run's own --config, "
                "or start another run"
            ) from error

    def check_phases(self, batches: Sequence[Batch]) -> None:
        """Ask the losses for their terms, and refuse phases that do not fit them; nothing is learnt.

        Raises:
            ConfigError: saying what does not fit.
        """
        counting = StepCounting(self.world, 1)
        counting.begin(0)
        with self._undisturbed(), torch.no_grad(), self._chance(0, 0):
            check_phases(self._pair_losses(replace(batches[0], counting=counting)).keys(), self.config)

    def _load_optimizer(self, state: dict[str, Any]) -> None:
        """Take what was gathered on the way, such as momentum; what is set, weight decay say, is the recipe's."""
        groups = self.optimizer.param_groups
        own = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        self.optimizer.load_state_dict(state)
        for group, options in zip(self.optimizer.param_groups, own, strict=True):
            group.update(options)

    def _gradients(self, batches: Sequence[Batch], step: int, learning: Learning) -> list[dict[str, Tensor]]:
        """Leave the step's gradients in the parameters; detached terms per part."""
        counting = StepCounting(self.world, len(batches))
        for part in range(1, len(batches)):
            counting.ahead()
            with self._undisturbed(), torch.no_grad(), self._chance(step, part):
                self._pair_losses(replace(batches[part], counting=counting))
        found = []
        for part, batch in enumerate(batches):
            counting.begin(part)
            is_last = part == len(batches) - 1
            with self._chance(step, part), self._synchronised(is_last):
                module = self._pair_losses if self._shared is None else self._shared
                all_terms: dict[str, Tensor] = module(replace(batch, counting=counting))
                if not self._phases_are_sound:
                    check_phases(all_terms.keys(), self.config)
                    self._phases_are_sound = True
                terms = in_phase(all_terms, learning)
                loss = torch.stack(list(terms.values())).sum() / len(batches)
                if is_last:
                    loss = loss + self._touch_all()
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch annotates in part
            found.append({name: value.detach().float() for name, value in terms.items()})
        return found

    def _touch_all(self) -> Tensor:
        """Zero, but every parameter that learns gets a gradient from it.

        Which parameters a loss reaches may depend on the pairs. All processes must then exchange the same gradients,
        and the optimiser must treat a parameter alike whether its pairs were in one process or in several.
        """
        return 0 * torch.stack([value.sum() for value in self._learning_parameters()]).sum()

    def _learning_parameters(self) -> list[nn.Parameter]:
        return [value for value in self.parts.parameters.values() if value.requires_grad]

    def _clipped_norm(self) -> Tensor:
        """Norm of the gradient of everything that learns, before it is clipped."""
        learning = self._learning_parameters()
        norm = nn.utils.get_total_norm([value.grad for value in learning if value.grad is not None])
        if self.config.clip:
            nn.utils.clip_grads_with_norm_(learning, self.config.clip, norm)
        return norm

    def _nonfinite(self, terms: dict[str, float], gradient_norm: float) -> tuple[str, ...]:
        bad = tuple(name for name, value in terms.items() if not math.isfinite(value))
        if bad or math.isfinite(gradient_norm):
            return bad
        if self.scaler.is_enabled() and self.scaler.get_scale() > SMALLEST_SCALE:
            return ()  # the scale was too large: the scaler skips the step and tries a smaller one
        return (GRADIENT,)

    def _undo(self, buffers: Sequence[Tensor]) -> None:
        """Leave the step out: batch statistics must not keep what was not finite."""
        for buffer, before in zip(self._buffers, buffers, strict=True):
            buffer.copy_(before)
        self.optimizer.zero_grad(set_to_none=True)
        if self.scaler.is_enabled():
            self.scaler.update(self.scaler.get_scale())

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Batch statistics are afterwards what they were before."""
        before = [buffer.clone() for buffer in self._buffers]
        try:
            yield
        finally:
            for buffer, value in zip(self._buffers, before, strict=True):
                buffer.copy_(value)

    @contextmanager
    def _chance(self, step: int, part: int) -> Iterator[None]:
        """Dropout and the like depend on the step, so that nothing has to be saved to resume."""
        with _seeded(self.device, self.config.seed, step, part, self.world.rank):
            yield

    @contextmanager
    def _synchronised(self, wanted: bool) -> Iterator[None]:
        """Gradients go to the other processes with the last part."""
        with nullcontext() if self._shared is None or wanted else self._shared.no_sync():
            yield

    def _share(self) -> None:
        """Wrap anew: DistributedDataParallel fixes at construction which parameters learn."""
        self._shared = None
        gc.collect()  # the old one's hooks go with it
        self._shared = DistributedDataParallel(self._pair_losses, gradient_as_bucket_view=True)


def _with_synchronised_norms(model: TrackerModel, device: torch.device, world: World) -> TrackerModel:
    if device.type != "cuda" or not world.is_shared:
        raise ConfigError(
            "train.sync_batch_norm needs several processes on GPUs; start with torchrun on a machine with GPUs, "
            "or use --set train.sync_batch_norm=false"
        )
    converted: TrackerModel = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


@contextmanager
def _seeded(device: torch.device, *keys: int) -> Iterator[None]:
    """torch's random numbers follow from the keys inside, and go on as before outside."""
    digest = blake2b(repr(keys).encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int.from_bytes(digest, "big") >> 1)
        yield
