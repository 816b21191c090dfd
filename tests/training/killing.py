"""Runs the command line and kills it, as ``kill -9`` does, at a chosen moment: ``python killing.py MOMENT NTH …``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(function: Callable[..., Any], nth: int) -> Callable[..., Any]:
    calls = 0

    def wrapped(*inputs: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            kill()
        return function(*inputs, **named)

    return wrapped


def half_written(save: Callable[..., Any], nth: int) -> Callable[..., Any]:
    """The file has some of its bytes when the end comes."""
    calls = 0

    def wrapped(state: Any, file: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        save(state, file, **named)
        if calls == nth:
            file.flush()
            os.truncate(file.name, os.path.getsize(file.name) // 2)  # noqa: PTH202
            kill()

    return wrapped


def arm(moment: str, nth: int) -> None:
    import torch

    from trackcli.training import checkpoint, engine, run

    if moment == "in a step":
        engine.set_rate = before(engine.set_rate, nth)
    elif moment == "in the optimiser":
        torch.optim.SGD.step = before(torch.optim.SGD.step, nth)  # type: ignore[method-assign]
    elif moment == "writing a checkpoint":
        torch.save = half_written(torch.save, nth)
    elif moment == "before the rename":
        checkpoint.os.fsync = before(checkpoint.os.fsync, 2 * nth - 1)  # type: ignore[attr-defined]
    elif moment == "after the rename":
        checkpoint._sync_folder = before(checkpoint._sync_folder, nth)
    elif moment == "writing the tracker":
        run.save_tracker = before(run.save_tracker, nth)
    else:
        raise ValueError(moment)


if __name__ == "__main__":
    from trackcli.cli.main import main

    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["trackcli", *sys.argv[3:]]
    main()
