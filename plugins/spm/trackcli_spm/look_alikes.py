"""Both stages' scores of targets and of look-alikes beside them, on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from trackcli_cache.reader import CropCache

from trackcli.contracts.context import Context
from trackcli.contracts.training import Batch
from trackcli.errors import UsageError
from trackcli.evaluation.bootstrap import bootstrap_mean
from trackcli.tracking.tracker import Tracker
from trackcli.training.look_alikes import labelled_batches, nearest_look_alikes
from trackcli.video.drawing import draw_boxes
from trackcli_spm.head import fuse
from trackcli_spm.probing import best_for, head_of

STAGES = ("coarse", "fine", "fused")

SAMPLER: dict[str, Any] = {
    # In stills the target is the same picture twice: change it as much as a video would.
    "negative": 0.0,
    "look_alike": 0.5,
    "template": {"shift": 4, "scale": 0.1, "color": 0.3, "low_resolution": 0.2},
    "search": {
        "shift": 32,
        "scale": 0.3,
        "aspect": 0.2,
        "rotation": 15,
        "blur": 0.4,
        "low_resolution": 0.4,
        "color": 0.5,
    },
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Example:
    """One pair as it is drawn.

    Attributes:
        template: ``(T, T, 3)`` uint8 RGB.
        search: ``(S, S, 3)`` uint8 RGB.
        boxes_xyxy: ``(2, 4)`` boxes of target and look-alike, search-crop pixels.
        scores: ``(2, 2)`` their coarse and fine scores.
    """

    template: NDArray[np.uint8]
    search: NDArray[np.uint8]
    boxes_xyxy: Floats
    scores: Floats


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores on P pairs.

    Attributes:
        values: ``(P, 3, 2)``: coarse, fine and fused; of the target and of the look-alike.
        examples: Some of the pairs.
    """

    values: Floats
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.values)


def measure(tracker: Tracker, cache: CropCache, pairs: int, *, examples: int = 0) -> PairScores:
    """Scores of targets and look-alikes.

    Args:
        tracker: With both stages.
        cache: Data with several objects of a category in a picture.
        pairs: So many, or as many as there are.
        examples: So many of them are kept to be drawn.

    Raises:
        UsageError: if the tracker has no fine stage.
    """
    if head_of(tracker).fine is None:
        raise UsageError(f"{tracker.name} has no fine stage (head.structure is coarse); expected one that has")
    values: list[Floats] = []
    kept: list[Example] = []
    count = 0
    for batch in labelled_batches(tracker, cache, pairs, SAMPLER):
        look_alikes, usable = nearest_look_alikes(batch)
        if not usable.any():
            continue
        objects = torch.stack((batch.search_boxes_xyxy.where(usable[:, None], look_alikes), look_alikes), dim=1)
        boxes, scores = scores_of(tracker, batch, objects)
        values.append(scores[usable].double().numpy())
        rows = usable.nonzero().flatten().tolist()[: max(0, examples - len(kept))]
        kept += [_example(batch, row, boxes, scores) for row in rows]
        count += int(usable.sum())
        if count >= pairs:
            break
    return PairScores(np.concatenate(values)[:pairs] if values else np.zeros((0, 3, 2)), tuple(kept))


@torch.inference_mode()
def scores_of(tracker: Tracker, batch: Batch, objects_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Each object's best coarse box, and its scores.

    Args:
        tracker: With both stages.
        batch: B pairs.
        objects_xyxy: ``(B, M, 4)`` search-crop pixels.

    Returns:
        Boxes ``(B, M, 4)``, and ``(B, 3, M)`` coarse, fine and fused scores, both on the CPU.
    """
    model, head = tracker.session.model, head_of(tracker)
    assert head.fine is not None
    on_device = batch.to(tracker.device)
    template = model.branch(on_device.template_images, on_device.template_boxes_xyxy)
    embedding = model.embed(template)
    context = Context(search=model.branch(on_device.search_images), head_kernel=embedding.head_kernel)
    coarse_context = head.coarse_context(context)
    predictions = head.coarse(model.matcher(embedding.kernel, context.search), coarse_context)
    candidates = head.coarse.decode(predictions, coarse_context)
    candidates = replace(candidates, boxes_xyxy=candidates.boxes_xyxy.float(), scores=candidates.scores.float())
    boxes_xyxy, coarse = best_for(candidates, objects_xyxy.to(tracker.device))
    fine = head.judge(boxes_xyxy, context).softmax(dim=-1)[..., 1]
    fused, _ = fuse(coarse, fine, boxes_xyxy, boxes_xyxy, score_weight=head.config.score_weight, box_weight=1.0)
    return boxes_xyxy.cpu(), torch.stack((coarse, fine, fused), dim=1).cpu()


def summarise(scores: PairScores) -> dict[str, dict[str, float]]:
    """Per stage the mean scores, the share of pairs that the target wins (ties count half), and its 95% interval.

    ``fine - coarse`` is the difference of the shares, pair by pair: above 0, the fine stage tells the target from its
    look-alike more often.
    """
    won = {stage: _wins(scores, index) for index, stage in enumerate(STAGES)}
    summary = {}
    for index, stage in enumerate(STAGES):
        target, other = scores.values[:, index].mean(axis=0)
        summary[stage] = {"target": float(target), "look_alike": float(other), **_share(won[stage])}
    return {**summary, "fine - coarse": _share(won["fine"] - won["coarse"])}


def _wins(scores: PairScores, stage: int) -> Floats:
    difference = scores.values[:, stage, 0] - scores.values[:, stage, 1]
    return np.where(difference > 0, 1.0, np.where(difference < 0, 0.0, 0.5))


def _share(wins: Floats) -> dict[str, float]:
    interval = bootstrap_mean(wins)
    return {"wins": float(wins.mean()), "low": interval.low, "high": interval.high}


def draw_examples(examples: Sequence[Example], path: Path) -> None:
    """One row per pair: template, and search region with target (first colour) and look-alike."""
    rows = []
    for example in examples:
        labels = [f"C {coarse:.2f} F {fine:.2f}" for coarse, fine in example.scores]
        search = draw_boxes(example.search, example.boxes_xyxy, labels)
        template = np.zeros((search.shape[0], example.template.shape[1], 3), dtype=np.uint8)
        template[: example.template.shape[0]] = example.template[: search.shape[0]]
        rows.append(np.concatenate((template, search), axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)):
        raise UsageError(f"{path} cannot be written; expected a .png or .jpg in a folder that can be made")


def _example(batch: Batch, row: int, boxes_xyxy: Tensor, scores: Tensor) -> Example:
    template, search = (
        images[row].permute(1, 2, 0).clamp(0, 255).byte().numpy()
        for images in (batch.template_images, batch.search_images)
    )
    return Example(template, search, boxes_xyxy[row].double().numpy(), scores[row, :2].T.double().numpy())
