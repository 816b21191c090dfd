"""The processes that train together, as ``torchrun`` starts them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trackcli.errors import UsageError

PATIENCE = timedelta(hours=4)
"""How long a process waits for the others: the first one validates by tracking while they wait."""


@dataclass(frozen=True)
class World:
    """One process among those that train together. The first one, rank 0, alone prints and writes.

    Attributes:
        rank: Which one this is.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    @property
    def is_shared(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; every process gets it."""
        total = tensor.detach().clone()
        if self.is_shared:
            dist.all_reduce(total)
        return total

    def from_first(self, value: Any) -> Any:
        """The first process's value, in every process."""
        return self.from_rank(0, value)

    def from_rank(self, rank: int, value: Any) -> Any:
        """The value of one process, in every process."""
        if not self.is_shared:
            return value
        box = [value if self.rank == rank else None]
        dist.broadcast_object_list(box, src=rank)
        return box[0]

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.is_shared:
            self.sum(torch.zeros(()))


ALONE = World()


@contextmanager
def joined_world(device: str, environment: Mapping[str, str] = os.environ) -> Iterator[tuple[World, str]]:
    """Join the processes that ``torchrun`` started; alone without it.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``: each process takes the GPU of its number on its machine.
        environment: Where ``torchrun`` says who is who.

    Yields:
        The world, and the device of this process.

    Raises:
        UsageError: for a device that several processes cannot share, or fewer GPUs than processes.
    """
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    own = _own_device(device, int(environment["LOCAL_RANK"]), int(environment.get("LOCAL_WORLD_SIZE", size)))
    # Both at once: gradients go over nccl, the small things that processes tell one another over gloo.
    backend = "gloo" if own == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size()), own
    finally:
        gc.collect()  # what still holds the group, such as a DistributedDataParallel, must not outlive it
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group()


def _own_device(device: str, local_rank: int, local_size: int) -> str:
    if device not in {"auto", "cpu", "cuda"}:
        raise UsageError(
            f"--device {device} with several processes; expected cpu or cuda (torchrun gives each its own GPU)"
        )
    if device == "cpu" or not torch.cuda.is_available():
        if device == "cuda":
            raise UsageError("--device cuda, but torch sees no GPU; use --device cpu, or install a CUDA build of torch")
        return "cpu"
    count = torch.cuda.device_count()
    if local_size > count:
        raise UsageError(
            f"torchrun starts {local_size} processes here, but there are {count} GPUs; use --nproc-per-node {count}"
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"
