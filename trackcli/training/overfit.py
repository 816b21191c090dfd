"""Can this composition learn at all? A few fixed pairs, learnt by heart. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trackcli.composition.plan import Plan
from trackcli.config.sampling import SamplerConfig
from trackcli.config.training import TrainConfig
from trackcli.geometry.boxes import box_iou
from trackcli.training.initial import InitialWeights
from trackcli.training.snapshot import take_snapshot
from trackcli.training.sources import DataSource
from trackcli.training.trial import Trial, set_up_trial, with_train

STEPS = 300
NEAR_ZERO = 0.05
"""The loss has got there at this share of the first step's."""

_SAME_LOOKS = {"aspect": 0.0, "rotation": 0.0, "blur": 0.0, "low_resolution": 0.0, "color": 0.0, "noise": 0.0}


@dataclass(frozen=True)
class Overfit:
    """What came of it.

    Attributes:
        pairs: How many were learnt.
        steps: Steps taken.
        reached: Whether the loss came down to 5 % of what it was at first.
        first: Weighted loss terms at the first step.
        last: At the last step.
        overlap: Mean overlap of the best candidates with the truth, over pairs that show the target; None if none does.
    """

    pairs: int
    steps: int
    reached: bool
    first: Mapping[str, float]
    last: Mapping[str, float]
    overlap: float | None

    def as_data(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a person."""
        rows = [f"  {name:28} {self.first[name]:>10.4f} → {self.last[name]:.4f}" for name in self.first]
        before, after = sum(self.first.values()), sum(self.last.values())
        verdict = (
            "learnt by heart" if self.reached else f"not learnt by heart: expected {NEAR_ZERO:.0%} of the first loss"
        )
        lines = [f"{self.pairs} pairs, {self.steps} steps: loss {before:.4f} → {after:.4f}, {verdict}", *rows]
        if self.overlap is not None:
            lines.append(f"  mean overlap with the truth: {self.overlap:.3f}")
        if not self.reached:
            lines.append(
                "try more --steps or another --set train.learning_rate; a term that stays high is where to look "
                "(a centre-ness has a floor of its own: its targets are not 0 or 1)"
            )
        return lines


def overfit(
    planned: Plan,
    *,
    pairs: int,
    steps: int,
    data: Sequence[DataSource],
    device: str,
    initial: InitialWeights,
    note: Callable[[str], None],
    warn: Callable[[str], None],
    on_step: Callable[[int, dict[str, float]], None] = lambda step, terms: None,
) -> Overfit:
    """Learn the run's first pairs by heart: no augmentation but where the crops lie, all parts learn, a constant rate.

    Args:
        planned: The composition; its optimiser, rate and factors are used.
        pairs: How many.
        steps: At most so many; it stops when the loss got there.
        data: The caches.
        device: Where.
        initial: Weights to start from.
        note: Told what was loaded.
        warn: Told what the data cannot supply.
        on_step: Told the steps done and the terms.

    Raises:
        CacheFormatError: for a cache that cannot be used.
        InputDataError: for weights that cannot be used, or data without usable objects.
    """
    small = _without_augmentation(with_train(planned, **_plainly(planned.recipe.train, pairs, steps)))
    trial = set_up_trial(small, data=data, device=device, initial=initial, note=note, warn=warn)
    everything = frozenset(name for name, _ in trial.engine.model.named_parameters())
    trial.engine.set_fresh(frozenset(name for name in everything if name.startswith("backbone.")))
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    done = 0
    for step in range(steps):
        last = trial.engine.learn([trial.batch], step).terms
        first, done = first or last, step + 1
        on_step(done, last)
        if is_near_zero(first, last):
            break
    return Overfit(pairs, done, is_near_zero(first, last), first, last, _mean_overlap(trial))


def is_near_zero(first: Mapping[str, float], last: Mapping[str, float]) -> bool:
    """Whether the sum of the terms has come down far enough; not for what is not finite."""
    return sum(last.values()) <= NEAR_ZERO * sum(first.values())


def _plainly(config: TrainConfig, pairs: int, steps: int) -> dict[str, Any]:
    """Nothing that changes on the way or holds back."""
    return {
        "batch": pairs,
        "steps": steps,
        "accumulate": 1,
        "schedule": "constant",
        "milestones": (),
        "phases": (),
        "unfreeze": {},
        "warmup": 0.0,
        "weight_decay": 0.0,
        "ema": 0.0,
        "compile": False,
        "sync_batch_norm": False,
        "freeze_batch_norm": config.freeze_batch_norm,
        "workers": 0,
    }


def _without_augmentation(planned: Plan) -> Plan:
    """Pairs as the data shows them; the target's place in the crop still varies: else there is nothing to learn."""
    config = planned.sampler.config
    assert isinstance(config, SamplerConfig)
    changes: dict[str, Any] = {
        "flip": 0.0,
        "grey": 0.0,
        "template": config.template.model_copy(update=_SAME_LOOKS),
        "search": config.search.model_copy(update=_SAME_LOOKS),
    }
    for pasting in ("paste", "distractors"):
        if pasting in type(config).model_fields:
            changes[pasting] = 0
    return replace(planned, sampler=replace(planned.sampler, config=config.model_copy(update=changes)))


def _mean_overlap(trial: Trial) -> float | None:
    snapshot = take_snapshot(trial.engine.model, trial.batch, count=len(trial.batch))
    if not bool(snapshot.positive.any()):
        return None
    overlaps = box_iou(snapshot.predicted_boxes_xyxy, snapshot.true_boxes_xyxy)
    return float(overlaps[snapshot.positive].mean())
