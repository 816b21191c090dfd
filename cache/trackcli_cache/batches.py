"""Batches of pairs as numpy arrays, read ahead by threads: reading, decoding and resizing release Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.batches_pairs import PairLabels, PairMaker

BATCHES_AHEAD = 3
CHUNKS_PER_WORKER = 2
"""Into how many parts per thread a batch is divided: fewer cost less, more keep all threads busy to its end."""

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Gives an uninitialised contiguous uint8 array of a shape."""


@dataclass(frozen=True, eq=False)
class PairBatch:
    """B labelled pairs; M is the largest number of objects in one search region. Nothing is reused by later batches.

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
        allocate: Makes the arrays of images; by default ordinary memory.

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
        self._allocate = allocate

    def batch(self, number: int) -> PairBatch:
        """One batch, read in the caller's thread.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        filling = self._empty(number)
        return filling.finished(filling.fill(self.maker, range(len(filling.sample_ids))))

    def batches(self, start: int, stop: int, *, step: int = 1) -> Iterator[PairBatch]:
        """Batches ``start``, ``start + step``, … under ``stop``, in order whatever the number of threads.

        Raises:
            CacheFormatError: if a crop is damaged.
        """
        numbers = range(start, stop, step)
        if self.workers == 0:
            yield from map(self.batch, numbers)
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="pairs")
        waiting: deque[tuple[_Filling, list[Future[list[PairLabels]]]]] = deque()
        try:
            for number in numbers:
                filling = self._empty(number)
                waiting.append((filling, [pool.submit(filling.fill, self.maker, rows) for rows in self._chunks()]))
                if len(waiting) > BATCHES_AHEAD:
                    yield _collect(*waiting.popleft())
            while waiting:
                yield _collect(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _chunks(self) -> list[range]:
        share = self.batch_size // self.rank.count
        count = min(share, self.workers * CHUNKS_PER_WORKER)
        edges = [share * part // count for part in range(count + 1)]
        return [range(first, last) for first, last in pairwise(edges)]

    def _empty(self, number: int) -> _Filling:
        share = self.batch_size // self.rank.count
        first = number * self.batch_size + self.rank.index * share
        template, search = self.maker.crop.template_size, self.maker.crop.search_size
        allocate = self._allocate or _ordinary_memory
        return _Filling(
            np.arange(first, first + share),
            allocate((share, template, template, 3)),
            allocate((share, search, search, 3)),
        )


@dataclass(frozen=True, eq=False)
class _Filling:
    """The images of a batch that threads write into, each its rows."""

    sample_ids: NDArray[np.int64]
    template_images: NDArray[np.uint8]
    search_images: NDArray[np.uint8]

    def fill(self, maker: PairMaker, rows: range) -> list[PairLabels]:
        part = slice(rows.start, rows.stop)
        return maker.make_all(self.sample_ids[part].tolist(), self.template_images[part], self.search_images[part])

    def finished(self, labels: Sequence[PairLabels]) -> PairBatch:
        size, most = len(labels), max(len(pair.objects_xyxy) for pair in labels)
        objects = np.zeros((size, most, 4), np.float32)
        same, valid = np.zeros((size, most), bool), np.zeros((size, most), bool)
        for row, pair in enumerate(labels):
            count = len(pair.objects_xyxy)
            objects[row, :count], same[row, :count], valid[row, :count] = pair.objects_xyxy, pair.same_category, True
        return PairBatch(
            template_images=self.template_images,
            search_images=self.search_images,
            template_boxes_xyxy=_stacked([pair.template_box_xyxy for pair in labels]),
            search_boxes_xyxy=objects[:, 0].copy(),
            kinds=np.array([int(pair.plan.kind) for pair in labels], np.int64),
            positive=np.array([pair.plan.positive for pair in labels]),
            objects_xyxy=objects,
            same_category=same,
            valid=valid,
            sample_ids=self.sample_ids,
            draws=_stacked([pair.draws for pair in labels]),
        )


def _collect(filling: _Filling, parts: Sequence[Future[list[PairLabels]]]) -> PairBatch:
    return filling.finished([label for part in parts for label in part.result()])


def _stacked(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    return np.stack(rows).astype(np.float32)


def _ordinary_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)
