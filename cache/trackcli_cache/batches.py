"""Batches of pairs as numpy arrays, read ahead by threads: reading, decoding and resizing release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_memory import RecycledMemory
from trackcli_cache.batches_pairs import PairLabels, PairMaker

BATCHES_AHEAD = 2
"""Batches that wait for a thread. A thread makes whole batches: handing out smaller parts costs more than it gains."""

Changed = TypeVar("Changed")

Allocate = Callable[[tuple[int, ...]], NDArray[Any]]
"""Gives an uninitialised contiguous array of a shape."""


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B labelled pairs; M is the largest number of objects in one search region.

    As long as it or one of its arrays is held, no later batch uses their memory.

    Attributes:
        template_images: ``(B, T, T, 3)`` uint8 RGB.
        search_images: ``(B, S, S, 3)`` uint8 RGB.
        template_boxes_xyxy: ``(B, 4)`` float32, the target in template pixels.
        search_boxes_xyxy: ``(B, 4)`` float32, the target in search pixels; in negative pairs the object that the region
            is centred on.
        kinds: ``(B,)`` int64, :class:`~trackcli_cache.sampling.PairKind`.
        positive: ``(B,)`` bool.
        objects_xyxy: ``(B, M, 4)`` float32, all known objects; row 0 is that of ``search_boxes_xyxy``.
        same_category: ``(B, M)`` bool: of the category of the template's target.
        valid: ``(B, M)`` bool: there is an object in this row.
        sample_ids: ``(B,)`` int64.
        draws: ``(B, DRAWS)`` float32 in 0..1, each sample's own, for what is changed later.
    """

    template_images: NDArray[np.uint8]
    search_images: NDArray[np.uint8]
    template_boxes_xyxy: NDArray[np.float32]
    search_boxes_xyxy: NDArray[np.float32]
    kinds: NDArray[np.int64]
    positive: NDArray[np.bool_]
    objects_xyxy: NDArray[np.float32]
    same_category: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    sample_ids: NDArray[np.int64]
    draws: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True)
class Rank:
    """One of several processes that share the samples.

    Attributes:
        index: Which one, from 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"rank {self.index} of {self.count}; expected 0 to {self.count - 1}")


class PairReader:
    """Yields batches by number. Pickles, as long as its sampler does.

    Batch n holds the samples ``n · size`` to ``(n + 1) · size - 1``, whoever reads it: of W ranks each reads one of W
    equal runs of them, so that all together see what one alone would see.

    Args:
        maker: Makes single pairs.
        batch_size: Pairs per batch, over all ranks.
        workers: Threads; 0 reads in the caller's thread.
        rank: This process among those that share the samples.
        allocate: Makes the arrays of images; by default that of batches which nobody holds any more.

    Raises:
        ValueError: if the ranks cannot share a batch evenly.

    Example:
        >>> sampler = PairSampler([cache], [1.0], PairSettings(), seed=0, warn=print)
        >>> reader = PairReader(PairMaker([cache], sampler, CropSettings()), batch_size=32, workers=2)
        >>> for batch in reader.batches(0, 100):
        ...     learn_from(batch)
    """

    def __init__(
        self,
        maker: PairMaker,
        *,
        batch_size: int,
        workers: int = 2,
        rank: Rank = Rank(),
        allocate: Allocate | None = None,
    ) -> None:
        if batch_size < 1 or batch_size % rank.count:
            raise ValueError(f"{rank.count} ranks cannot share batches of {batch_size} evenly; expected a multiple")
        self.maker = maker
        self.batch_size = batch_size
        self.workers = workers
        self.rank = rank
        self._allocate: Allocate = allocate or RecycledMemory()

    def batches(self, start: int, stop: int, *, step: int = 1) -> Iterator[PairBatch]:
        """Batches ``start``, ``start + step``, … under ``stop``, in order whatever the number of threads.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        return self.map(lambda batch: batch, range(start, stop, step))

    def map(self, change: Callable[[PairBatch], Changed], numbers: Sequence[int]) -> Iterator[Changed]:
        """What ``change`` makes of the batches of these numbers, in their order; the threads call it.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        if self.workers == 0:
            yield from (change(self.batch(number)) for number in numbers)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="pairs")
        to_come = (pool.submit(lambda number: change(self.batch(number)), number) for number in numbers)
        waiting: deque[Future[Changed]] = deque(islice(to_come, self.workers + BATCHES_AHEAD))
        try:
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(islice(to_come, 1))
                yield done
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, number: int) -> PairBatch:
        """One batch, read in the caller's thread.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        share = self.batch_size // self.rank.count
        first = number * self.batch_size + self.rank.index * share
        template, search = self.maker.crop.template_size, self.maker.crop.search_size
        template_images = self._allocate((share, template, template, 3))
        search_images = self._allocate((share, search, search, 3))
        labels = self.maker.make_all(range(first, first + share), template_images, search_images)
        return _joined(np.arange(first, first + share), template_images, search_images, labels)


def _joined(
    sample_ids: NDArray[np.int64],
    template_images: NDArray[np.uint8],
    search_images: NDArray[np.uint8],
    labels: Sequence[PairLabels],
) -> PairBatch:
    size, most = len(labels), max(len(pair.objects_xyxy) for pair in labels)
    objects = np.zeros((size, most, 4), np.float32)
    same, valid = np.zeros((size, most), bool), np.zeros((size, most), bool)
    for row, pair in enumerate(labels):
        count = len(pair.objects_xyxy)
        objects[row, :count], same[row, :count], valid[row, :count] = pair.objects_xyxy, pair.same_category, True
    return PairBatch(
        template_images=template_images,
        search_images=search_images,
        template_boxes_xyxy=_stacked([pair.template_box_xyxy for pair in labels]),
        search_boxes_xyxy=objects[:, 0].copy(),
        kinds=np.array([int(pair.plan.kind) for pair in labels], np.int64),
        positive=np.array([pair.plan.positive for pair in labels]),
        objects_xyxy=objects,
        same_category=same,
        valid=valid,
        sample_ids=sample_ids,
        draws=_stacked([pair.draws for pair in labels]),
    )


def _stacked(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    return np.stack(rows).astype(np.float32)
