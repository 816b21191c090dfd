"""Checkpoints: everything a run needs to go on, written beside and renamed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trackcli.errors import InputDataError, TrackcliError

PATTERN = f"checkpoint-{'[0-9]' * 8}.pt"
PART_SUFFIX = ".part"
CHECKSUM = "checksum"


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / f"checkpoint-{step:08d}.pt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], *, keep: int, best: int | None = None) -> Path:
    """Write ``checkpoint-<step>.pt`` and drop all but it, the last ``keep`` and the one of the ``best`` step.

    Raises:
        TrackcliError: if it cannot be written; the ones before stand.
    """
    path = checkpoint_path(folder, step)
    write_state(path, {"step": step, **state})
    # A damaged one of a later step, which the run did not resume from, must not push this one out.
    kept = {path, *sorted(folder.glob(PATTERN))[-keep:]}
    if best is not None:
        kept.add(checkpoint_path(folder, best))
    for old in folder.glob(PATTERN):
        if old not in kept:
            old.unlink()
    return path


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data with a checksum: under the name there is nothing, the old file, or all of the new.

    Raises:
        TrackcliError: if it cannot be written.
    """
    partial = path.with_name(path.name + PART_SUFFIX)
    try:
        with partial.open("wb") as file:
            torch.save({**state, CHECKSUM: _checksum(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch turns a full disk into a RuntimeError
        partial.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else "the disk is full, or files may not grow so large"
        raise TrackcliError(f"cannot write {path}: {reason}; make room, then go on with --resume") from error


def read_state(path: Path) -> dict[str, Any]:
    """Read what :func:`write_state` wrote; only tensors and plain data are unpickled.

    Raises:
        ValueError: if the contents are not what was written.
        Exception: whatever reading a damaged file leads to.
    """
    state = dict(torch.load(path, map_location="cpu", weights_only=True))
    if state.pop(CHECKSUM, None) != _checksum(state):
        raise ValueError("its checksum is wrong")
    return state


def load_latest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest readable checkpoint of a run, and a line for each newer one that was damaged.

    Raises:
        InputDataError: if there are checkpoints but none can be read.
    """
    complaints: list[str] = []
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for path in paths:
        try:
            return read_state(path), complaints
        except Exception as error:  # a damaged file fails in many ways; the one before it is as good
            complaints.append(f"{path.name} is damaged ({type(error).__name__}); using the one before")
    if paths:
        raise InputDataError(f"no checkpoint in {folder} can be read; start again with another -o")
    return None, complaints


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed run had half written."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        part.unlink(missing_ok=True)


def _checksum(value: Any, so_far: int = 0) -> int:
    """CRC-32 over everything: torch itself does not notice a flipped bit in the numbers."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        so_far = zlib.crc32(f"{value.dtype}{tuple(value.shape)}".encode(), so_far)
        return zlib.crc32(flat.view(torch.uint8).numpy().data, so_far) if flat.numel() else so_far
    if isinstance(value, Mapping):
        for key, item in value.items():
            so_far = _checksum(item, zlib.crc32(repr(key).encode(), so_far))
        return so_far
    if isinstance(value, list | tuple):
        for item in value:
            so_far = _checksum(item, so_far)
        return so_far
    return zlib.crc32(repr(value).encode(), so_far)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
