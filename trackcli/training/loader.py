"""Batches of pairs for torch: read ahead by threads or by a ``DataLoader``'s processes, finished on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from trackcli_cache.batches import Allocate, Changed, PairBatch, PairReader, Rank
from trackcli_cache.batches_pairs import PairMaker
from trackcli_cache.reader import CropCache

from trackcli.composition.plan import Plan
from trackcli.config.recipe import CropConfig
from trackcli.config.sampling import SamplerConfig
from trackcli.contracts.training import Batch
from trackcli.synth.cache import SOURCE_NAME
from trackcli.training.appearance import appearance_of
from trackcli.training.device_augment import augment_images
from trackcli.training.sampler import crop_settings, make_sampler

ENLARGED_UNSEEN = 1.1
"""How much crops of a cache are enlarged without a word."""


@dataclass(frozen=True)
class HostBatch:
    """A batch as bytes: uint8 images, so that little is copied to the device.

    Attributes:
        batch: Labels, and images as ``(B, 3, S, S)`` uint8, channels last.
        draws: ``(B, 32)`` float32 in 0..1: each sample's own random numbers, for :func:`finish_on_device`.
    """

    batch: Batch
    draws: Tensor

    def pin_memory(self) -> HostBatch:
        """A copy from which a GPU can fetch on its own; a ``DataLoader`` with ``pin_memory=True`` calls this."""
        batch = self.batch.with_images(self.batch.template_images.pin_memory(), self.batch.search_images.pin_memory())
        return replace(self, batch=batch)


class PairLoader:
    """Yields batches by number: batch n holds the samples ``n · size`` to ``(n + 1) · size - 1``.

    Args:
        maker: Makes single pairs.
        batch_size: Pairs per batch, over all processes.
        workers: Threads; 0 makes pairs in the caller's thread.
        rank: Which of the processes that train together this is: it makes one of ``world`` equal runs of each batch.
        world: How many processes there are.
        pin_memory: Put images where a GPU can fetch them on its own.
    """

    def __init__(
        self,
        maker: PairMaker,
        *,
        batch_size: int,
        workers: int,
        rank: int = 0,
        world: int = 1,
        pin_memory: bool = False,
    ) -> None:
        self.maker = maker
        self.batch_size = batch_size
        self.workers = workers
        self._reader = PairReader(
            maker,
            batch_size=batch_size,
            workers=workers,
            rank=Rank(rank, world),
            allocate=_pinned_memory if pin_memory else None,
        )

    def batches(self, start: int, stop: int) -> Iterator[HostBatch]:
        """Batches ``start`` … ``stop - 1``, in order whatever the number of threads."""
        return self.map(lambda host: host, start, stop)

    def map(self, change: Callable[[HostBatch], Changed], start: int, stop: int) -> Iterator[Changed]:
        """What ``change`` makes of these batches; the threads call it, as soon as they have made one."""
        return self._reader.map(lambda pairs: change(to_host_batch(pairs)), range(start, stop))


class PairDataset(IterableDataset[HostBatch]):
    """The same batches for ``torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=N)``.

    Each of its processes reads every N-th batch, so they come in order; fork and spawn both work. Threads
    (:class:`PairLoader`) are faster, as nothing is copied between processes.

    Args:
        maker: Makes single pairs.
        batch_size: Pairs per batch, over all ranks.
        start: First batch.
        stop: The batch after the last.
        rank: Which of the processes that train together this is.
        world: How many there are.
    """

    def __init__(
        self, maker: PairMaker, *, batch_size: int, start: int, stop: int, rank: int = 0, world: int = 1
    ) -> None:
        self._reader = PairReader(maker, batch_size=batch_size, workers=0, rank=Rank(rank, world))
        self._start, self._stop = start, stop

    def __iter__(self) -> Iterator[HostBatch]:
        info = get_worker_info()
        number, count = (info.id, info.num_workers) if info else (0, 1)
        return map(to_host_batch, self._reader.batches(self._start + number, self._stop, step=count))

    def __len__(self) -> int:
        return self._stop - self._start


def make_loader(
    plan: Plan,
    caches: Sequence[CropCache],
    weights: Sequence[float],
    *,
    warn: Callable[[str], None],
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> PairLoader:
    """The loader that a plan describes: its sampler, crops, batch and threads.

    Raises:
        DatasetError: if the caches hold nothing that the sampler could draw.
        PluginError: if the sampler cannot be imported.
    """
    train = plan.recipe.train
    maker = make_pair_maker(plan, caches, weights, warn=warn)
    return PairLoader(
        maker, batch_size=train.batch, workers=train.workers, rank=rank, world=world, pin_memory=pin_memory
    )


def make_pair_maker(
    plan: Plan, caches: Sequence[CropCache], weights: Sequence[float], *, warn: Callable[[str], None]
) -> PairMaker:
    """The plan's sampler and crops, without batches: see :func:`make_loader`."""
    _warn_of_enlarging(plan.recipe.crop, caches, warn)
    sampler = make_sampler(plan, caches, weights, warn=warn)
    return PairMaker(caches, sampler, crop_settings(plan.recipe.crop, plan.sampler_config))


def _warn_of_enlarging(crop: CropConfig, caches: Sequence[CropCache], warn: Callable[[str], None]) -> None:
    target = crop.pixels_of_context / (1 + 2 * crop.context)  # side of a square one
    for cache in caches:
        if Path(cache.manifest.root).name == SOURCE_NAME:  # a smoke run's, for which nobody builds another
            continue
        tiers = cache.settings
        enlarged = target / (tiers.template_size / (1 + 2 * tiers.context_amount))
        if enlarged > ENLARGED_UNSEEN:
            warn(
                f"the crops in {cache.path} are enlarged {enlarged:.2f} times for this training, and blurred, as "
                "tracked targets are not; build the cache again with trackcli cache build "
                f"--template-size {math.ceil(tiers.template_size * enlarged)} --search-size {crop.search_size}"
            )


def to_host_batch(pairs: PairBatch) -> HostBatch:
    """The same arrays as tensors; nothing is copied."""
    positive = torch.from_numpy(pairs.positive)
    batch = Batch(
        template_images=torch.from_numpy(pairs.template_images).permute(0, 3, 1, 2),
        search_images=torch.from_numpy(pairs.search_images).permute(0, 3, 1, 2),
        template_boxes_xyxy=torch.from_numpy(pairs.template_boxes_xyxy),
        search_boxes_xyxy=torch.from_numpy(pairs.search_boxes_xyxy),
        pair_kind=torch.from_numpy(pairs.kinds),
        positive=positive,
        objects_xyxy=torch.from_numpy(pairs.objects_xyxy),
        same_category=torch.from_numpy(pairs.same_category),
        valid=torch.from_numpy(pairs.valid),
        absent=~positive,
        sample_ids=torch.from_numpy(pairs.sample_ids),
    )
    return HostBatch(batch, torch.from_numpy(pairs.draws))


def finish_on_device(
    host: HostBatch, device: torch.device, config: SamplerConfig, allocate: Allocate | None = None
) -> Batch:
    """Copy a batch to the device; turn its images into float, change their looks and mirror pairs there.

    The result is the same on every device up to rounding, and however the samples are divided into batches.

    Args:
        host: The batch.
        device: Where it is wanted.
        config: Chances and strengths of the changes.
        allocate: Makes float32 arrays for the images; only for the CPU, by default new ones.
    """
    draws = host.draws.numpy()
    looks = [appearance_of(draws, config, branch) for branch in (0, 1)]
    raw = host.batch
    template, search = (
        augment_images(images, look, device, allocate)
        for images, look in zip((raw.template_images, raw.search_images), looks, strict=True)
    )
    batch = raw.with_images(template, search).to(device)
    flip = torch.from_numpy(looks[0].flip).to(device)
    return replace(
        batch,
        template_boxes_xyxy=_mirrored(batch.template_boxes_xyxy, flip, raw.template_images.shape[-1]),
        search_boxes_xyxy=_mirrored(batch.search_boxes_xyxy, flip, raw.search_images.shape[-1]),
        objects_xyxy=_mirrored(batch.objects_xyxy, flip[:, None], raw.search_images.shape[-1]),
    )


def _mirrored(boxes_xyxy: Tensor, flip: Tensor, width: int) -> Tensor:
    """Boxes ``(…, 4)``, mirrored where ``flip (…)`` says so."""
    left, top, right, bottom = boxes_xyxy.unbind(dim=-1)
    mirrored = torch.stack((width - right, top, width - left, bottom), dim=-1)
    return torch.where(flip[..., None], mirrored, boxes_xyxy)


def _pinned_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
