"""Runs ``trackcli train`` again and again, killing it as ``kill -9`` does at a chosen moment, and resumes it each time.

A program of its own, so that all runs share one import of torch: each is forked off before torch has done anything.
Input (JSON, stdin): ``options`` of the command, and ``cases``: ``{name: [moment, nth]}``. Every case gets the run
folder ``name``, and ``name.json`` with what became of both processes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from trackcli.cli.main import main
from trackcli.training import checkpoint, engine, loader, run, setup, validate  # noqa: F401  # imported once for all

Nth = Callable[[], bool]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def counter(nth: int) -> Nth:
    """True at the nth call."""
    calls = iter(range(1, nth))
    return lambda: next(calls, None) is None


def before(function: Callable[..., Any], is_now: Nth) -> Callable[..., Any]:
    def wrapped(*inputs: Any, **named: Any) -> Any:
        if is_now():
            kill()
        return function(*inputs, **named)

    return wrapped


def half_written(save: Callable[..., Any], is_now: Nth) -> Callable[..., Any]:
    """The file has some of its bytes when the end comes."""

    def wrapped(state: Any, file: Any, **named: Any) -> Any:
        save(state, file, **named)
        if is_now():
            file.flush()
            os.truncate(file.name, Path(file.name).stat().st_size // 2)
            kill()

    return wrapped


def before_rename(replace: Callable[..., Any], is_now: Nth) -> Callable[..., Any]:
    def wrapped(path: Path, target: Path) -> Any:
        if path.name.endswith(".pt.part") and is_now():
            kill()
        return replace(path, target)

    return wrapped


def arm(moment: str, nth: int) -> None:
    is_now = counter(nth)
    if moment == "in a step":
        engine.set_rate = before(engine.set_rate, is_now)
    elif moment == "in the optimiser":
        torch.optim.SGD.step = before(torch.optim.SGD.step, is_now)  # type: ignore[method-assign]
    elif moment == "writing a checkpoint":
        torch.save = half_written(torch.save, is_now)
    elif moment == "before the rename":
        Path.replace = before_rename(Path.replace, is_now)  # type: ignore[method-assign,assignment]
    elif moment == "after the rename":
        checkpoint._sync_folder = before(checkpoint._sync_folder, is_now)
    elif moment == "writing the tracker":
        run.save_tracker = before(run.save_tracker, is_now)
    elif moment != "never":
        raise ValueError(moment)


def forked(arguments: list[str], log: Path, moment: str = "never", nth: int = 1) -> int:
    """Run the command in a child; its exit code, or the negative number of the signal that ended it."""
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, sys.stdout.fileno())
        os.dup2(descriptor, sys.stderr.fileno())
        arm(moment, nth)
        sys.argv = ["trackcli", *arguments]
        main()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for lazy in ("torch._dynamo", "torch.utils.tensorboard", "trackcli.cli.train"):
        with suppress(ImportError):
            import_module(lazy)  # what the command imports late, every time anew in each child
    order = json.load(sys.stdin)
    for name, (moment, nth) in order["cases"].items():
        options, log = [*order["options"], "-o", name], Path(f"{name}.log")
        ended = forked(options, log, moment, nth)
        if "damage" in name:  # a bit of the newest checkpoint flips
            newest = max(Path(name).glob("checkpoint-*.pt"))
            content = bytearray(newest.read_bytes())
            content[len(content) // 2] ^= 1
            newest.write_bytes(content)
        resumed = 0 if moment == "never" else forked([*options, "--resume"], log)
        Path(f"{name}.json").write_text(json.dumps({"ended": ended, "resumed": resumed, "said": log.read_text()}))
