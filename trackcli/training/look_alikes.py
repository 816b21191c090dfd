"""Labelled pairs of held-back data with a look-alike beside the target: for measuring who is told from whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from trackcli_cache.reader import CropCache

from trackcli.composition.plan import plan
from trackcli.config.recipe import Part
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import box_areas, box_iou, centers_and_sizes
from trackcli.host.registry import installed
from trackcli.tracking.tracker import Tracker
from trackcli.training.loader import finish_on_device, make_loader
from trackcli.training.trial import with_train

BATCH = 8

LARGEST_OVERLAP = 0.3
"""IoU with the target up to which another object is one beside it."""

MOST_TIMES_AS_LARGE = 3.0
"""Objects much smaller or larger than the target are no look-alikes: their scale alone gives them away."""

MOST_DRAWS_PER_PAIR = 8
"""After so many drawn pairs per wanted one the data is taken to hold no more look-alikes."""


def labelled_batches(tracker: Tracker, cache: CropCache, pairs: int, sampler: Mapping[str, Any]) -> Iterator[Batch]:
    """Pairs of a cache as another sampler draws them, whatever the tracker was trained with.

    They depend on the crop sizes alone, so trackers with the same crop sizes see the same pairs.

    Args:
        tracker: Whose crop sizes are used.
        cache: Held-back data with several objects of a category in a picture.
        pairs: So many usable ones are wanted.
        sampler: Settings of the sampler ``pairs``.
    """
    recipe = tracker.plan.recipe.model_copy(update={"sampler": Part(name="trackcli:pairs", **sampler)})
    planned = with_train(plan(recipe, installed()), batch=BATCH, seed=0, workers=0)
    loader = make_loader(planned, [cache], [1.0], warn=lambda text: None)
    for host in loader.batches(0, MOST_DRAWS_PER_PAIR * pairs // BATCH + 1):
        yield finish_on_device(host, torch.device("cpu"), planned.sampler_config)


def nearest_look_alikes(batch: Batch) -> tuple[Tensor, Tensor]:
    """Per pair the object of the target's category and about its size that lies nearest to it, in the search crop.

    Returns:
        ``(B, 4)`` boxes in search pixels, and ``(B,)`` bool: whether there is one, and the target too.
    """
    truth = batch.search_boxes_xyxy.unsqueeze(1)
    centers, _ = centers_and_sizes(batch.objects_xyxy)
    inside = ((centers > 0) & (centers < batch.search_images.shape[-1])).all(dim=-1)
    times = (box_areas(batch.objects_xyxy) / box_areas(truth).clamp(min=1e-6)).sqrt()
    alike = batch.same_category & (times < MOST_TIMES_AS_LARGE) & (times > 1 / MOST_TIMES_AS_LARGE)
    beside = batch.valid & alike & inside & (box_iou(batch.objects_xyxy, truth) < LARGEST_OVERLAP)
    distance = (centers - centers_and_sizes(truth)[0]).norm(dim=-1).where(beside, torch.inf)
    chosen = batch.objects_xyxy[torch.arange(len(batch)), distance.argmin(dim=1)]
    return chosen, beside.any(dim=1) & batch.positive
