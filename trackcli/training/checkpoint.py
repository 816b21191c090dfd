"""Checkpoints: everything a run needs to go on, written beside and renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from trackcli.errors import InputDataError

PATTERN = "checkpoint-*.pt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], *, keep: int) -> Path:
    """Write ``checkpoint-<step>.pt`` and drop all but the last ``keep``."""
    path = folder / f"checkpoint-{step:08d}.pt"
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        torch.save({"step": step, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    for old in sorted(folder.glob(PATTERN))[:-keep]:
        old.unlink()
    return path


def load_latest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest readable checkpoint of a run, and a line for each newer one that was damaged.

    Only tensors and plain data are unpickled.

    Raises:
        InputDataError: if there are checkpoints but none can be read.
    """
    complaints: list[str] = []
    paths = sorted(folder.glob(PATTERN), reverse=True)
    for path in paths:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file fails in many ways; the one before it is as good
            complaints.append(f"{path.name} is damaged ({type(error).__name__}); using the one before")
            continue
        return dict(state), complaints
    if paths:
        raise InputDataError(f"no checkpoint in {folder} can be read; start again with another -o")
    return None, complaints
