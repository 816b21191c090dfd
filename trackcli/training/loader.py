"""Batches of pairs, made ahead by threads: decoding and warping release the interpreter's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackcli.config.training import SamplerConfig
from trackcli.contracts.training import Batch
from trackcli.training.color import jitter_colors
from trackcli.training.pairs import Pair, PairMaker

BATCHES_AHEAD = 3


@dataclass(frozen=True)
class HostBatch:
    """A batch as bytes: uint8 images, so that little is copied to the device.

    Attributes:
        batch: Labels, and images as ``(B, 3, S, S)`` uint8.
        grey: ``(B,)`` bool.
    """

    batch: Batch
    grey: Tensor


class PairLoader:
    """Yields batches ``start``, ``start + 1``, …: batch n holds the samples ``n · size`` to ``(n + 1) · size - 1``.

    Args:
        maker: Makes single pairs.
        batch_size: Pairs per batch.
        workers: Threads; 0 makes pairs in the caller's thread.
    """

    def __init__(self, maker: PairMaker, *, batch_size: int, workers: int) -> None:
        self.maker = maker
        self.batch_size = batch_size
        self.workers = workers

    def batches(self, start: int, stop: int) -> Iterator[HostBatch]:
        """Batches ``start`` … ``stop - 1``, in order whatever the number of threads."""
        if self.workers == 0:
            for number in range(start, stop):
                yield collate([self.maker.make(sample) for sample in self._samples(number)])
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="pairs")
        waiting: deque[list[Future[Pair]]] = deque()
        try:
            for number in range(start, stop):
                waiting.append([pool.submit(self.maker.make, sample) for sample in self._samples(number)])
                if len(waiting) > BATCHES_AHEAD:
                    yield collate([future.result() for future in waiting.popleft()])
            while waiting:
                yield collate([future.result() for future in waiting.popleft()])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _samples(self, number: int) -> range:
        return range(number * self.batch_size, (number + 1) * self.batch_size)


def collate(pairs: Sequence[Pair]) -> HostBatch:
    """Stack pairs; objects are padded to the largest number in the batch."""
    most = max(len(pair.objects_xyxy) for pair in pairs)
    objects = np.zeros((len(pairs), most, 4), np.float32)
    same = np.zeros((len(pairs), most), bool)
    valid = np.zeros((len(pairs), most), bool)
    for row, pair in enumerate(pairs):
        count = len(pair.objects_xyxy)
        objects[row, :count], same[row, :count], valid[row, :count] = pair.objects_xyxy, pair.same_category, True
    batch = Batch(
        template_images=_images([pair.template_image for pair in pairs]),
        search_images=_images([pair.search_image for pair in pairs]),
        template_boxes_xyxy=_floats([pair.template_box_xyxy for pair in pairs]),
        search_boxes_xyxy=_floats([pair.search_box_xyxy for pair in pairs]),
        pair_kind=torch.tensor([int(pair.plan.kind) for pair in pairs]),
        positive=torch.tensor([pair.plan.positive for pair in pairs]),
        objects_xyxy=torch.from_numpy(objects),
        same_category=torch.from_numpy(same),
        valid=torch.from_numpy(valid),
        absent=torch.tensor([not pair.plan.positive for pair in pairs]),
        sample_ids=torch.tensor([pair.sample_id for pair in pairs]),
    )
    return HostBatch(batch, torch.tensor([pair.grey for pair in pairs]))


def finish_on_device(host: HostBatch, device: torch.device, config: SamplerConfig) -> Batch:
    """Copy a batch to the device, turn its images into float and change their colours there."""
    batch, grey = host.batch.to(device), host.grey.to(device, non_blocking=True)
    changed = {
        name: jitter_colors(
            getattr(batch, name).float(), host.batch.sample_ids, strength=augment.color, branch=branch, grey=grey
        )
        for branch, (name, augment) in enumerate(
            (("template_images", config.template), ("search_images", config.search))
        )
    }
    return batch.with_images(**changed)


def _images(images: Sequence[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _floats(boxes: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]) -> Tensor:
    return torch.from_numpy(np.stack(boxes).astype(np.float32))
