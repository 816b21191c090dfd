"""How well a tracker's features tell a target from look-alikes of its category: AUROC on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from trackcli_cache.reader import CropCache

import trackcli
from trackcli.composition.build import build_losses
from trackcli.composition.model import TrackerModel
from trackcli.contracts.levels import Features
from trackcli.contracts.training import Batch
from trackcli.errors import FitError, InputDataError
from trackcli.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Interval
from trackcli.geometry.roi_align import roi_align
from trackcli.tracking.tracker import Tracker
from trackcli.training.checkpoint import load_latest
from trackcli.training.look_alikes import labelled_batches, nearest_look_alikes
from trackcli_hardneg.emphasis import HardNegativeEmphasis

ROI_SIZE = 5
SAMPLER: dict[str, Any] = {
    # In stills the target is the same picture twice: change it as much as a video would, and a little more.
    "negative": 0.0,
    "look_alike": 1.0,
    "template": {"shift": 4, "scale": 0.1, "color": 0.3, "low_resolution": 0.2},
    "search": {
        "shift": 32,
        "scale": 0.35,
        "aspect": 0.25,
        "rotation": 20,
        "blur": 0.5,
        "low_resolution": 0.5,
        "color": 0.6,
        "noise": 12,
    },
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarity to the exemplar, one row per pair.

    Attributes:
        targets: ``(P,)`` of the target in the search region.
        look_alikes: ``(P,)`` of the look-alike nearest to it.
    """

    targets: Floats
    look_alikes: Floats


def emphasis_of(run: Path) -> HardNegativeEmphasis:
    """The emphasis that a run was trained with: its convolutions are in the run's checkpoints alone.

    Raises:
        InputDataError: if there is no checkpoint, or the run was trained without emphasis.
    """
    hint = "expected a run folder with loss hard-negative-emphasis (as a measure alone: with its setting probe=true)"
    state, _ = load_latest(run) if run.is_dir() else (None, [])
    if state is None:
        raise InputDataError(f"{run} holds no checkpoint; {hint}")
    losses = build_losses(trackcli.load(run, device="cpu").plan)
    losses.load_state_dict(state["losses"])
    for module in losses.modules():
        if isinstance(module, HardNegativeEmphasis):
            return module.eval()
    raise InputDataError(f"{run} was trained without emphasis; {hint}")


@torch.no_grad()
def similarities(
    tracker: Tracker, cache: CropCache, pairs: int, *, emphasis: HardNegativeEmphasis | None = None
) -> Similarities:
    """How similar target and look-alike are to the exemplar.

    By default the cosine of the two deepest adjusted levels, pooled as in the emphasis, but compared as they are: the
    emphasis's own two convolutions are no part of a tracker, and one trained without it has none. With an emphasis, its
    own measure: minus the distance of its vectors.

    Args:
        tracker: On any device; its matcher must adjust features.
        cache: Held-back data with several objects of a category in a picture.
        pairs: So many, or as many as there are.
        emphasis: See above.

    Raises:
        FitError: if the tracker has no adjusted features.
    """
    if not tracker.plan.adjusted:
        raise FitError(f"{tracker.name} has a matcher without adjusted features; expected one such as dw-xcorr")
    names = tuple(tracker.plan.adjusted)[-2:]
    device = next(tracker.model.parameters()).device
    if emphasis is not None:
        emphasis = emphasis.to(device)
    targets, others = [], []
    found = 0
    for batch in labelled_batches(tracker, cache, pairs, SAMPLER):
        look_alikes, usable = nearest_look_alikes(batch)
        if not usable.any():
            continue
        boxes = torch.stack((batch.search_boxes_xyxy, look_alikes), dim=1).to(device)
        alike = _alike(tracker.model, batch.to(device), boxes, names, emphasis)[usable.to(device)]
        targets.append(alike[:, 0])
        others.append(alike[:, 1])
        found += int(usable.sum())
        if found >= pairs:
            break
    if not targets:
        return Similarities(np.zeros(0), np.zeros(0))
    joined = (torch.cat(values)[:pairs].double().cpu().numpy() for values in (targets, others))
    return Similarities(*joined)


def _alike(
    model: TrackerModel, batch: Batch, boxes: Tensor, names: Sequence[str], emphasis: HardNegativeEmphasis | None
) -> Tensor:
    """``(B, 2, 4)`` search boxes → ``(B, 2)``."""
    matched = model(batch).matched
    target = batch.template_boxes_xyxy.float().unsqueeze(1)
    if emphasis is not None:
        exemplar, others = emphasis.vectors(matched.template, target), emphasis.vectors(matched.search, boxes.float())
        distances: Tensor = torch.linalg.vector_norm(others - exemplar, dim=-1)
        return -distances
    exemplar, others = _vectors(matched.template, target, names), _vectors(matched.search, boxes, names)
    return F.cosine_similarity(others, exemplar, dim=-1)


def _vectors(features: Features, boxes: Tensor, names: Sequence[str]) -> Tensor:
    """``(B, R, 4)`` → ``(B, R, D)``: pooled levels, side by side."""
    pooled = [
        roi_align(level.map.float(), boxes.float(), grid=level.grid, output_size=ROI_SIZE).flatten(2)
        for level in (features[name] for name in names)
    ]
    return torch.cat(pooled, dim=-1)


def auroc(targets: Floats, look_alikes: Floats) -> float:
    """Chance that some target is more similar to its exemplar than some look-alike to its own; ties count half."""
    return float(_wins(targets, look_alikes).mean())


def _wins(targets: Floats, look_alikes: Floats) -> Floats:
    difference = targets[:, None] - look_alikes[None]
    return np.where(difference > 0, 1.0, np.where(difference < 0, 0.0, 0.5))


def auroc_difference(
    side_a: Sequence[Similarities], side_b: Sequence[Similarities], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, Interval]:
    """Mean AUROC of A's trackers minus that of B's, and its interval over resampled pairs.

    Args:
        side_a: One per tracker (seed), all on the same pairs.
        side_b: Likewise.
        resamples: How many.
        seed: Of the resampling.

    Raises:
        ValueError: if the trackers were not measured on equally many pairs.
    """
    counts = {len(each.targets) for each in (*side_a, *side_b)}
    if len(counts) != 1:
        raise ValueError(f"trackers were measured on {sorted(counts)} pairs; expected the same pairs for all")
    (count,) = counts
    net: Floats = np.mean([_wins(each.targets, each.look_alikes) for each in side_a], axis=0)
    net = net - np.mean([_wins(each.targets, each.look_alikes) for each in side_b], axis=0)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = draws.astype(np.float64)
    # AUROC of a resample in which pair i occurs w_i times: Σ_ij w_i w_j wins_ij / n².
    values = np.einsum("ri,ri->r", weights @ net, weights) / count**2
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(net.mean()), Interval(float(low), float(high))
