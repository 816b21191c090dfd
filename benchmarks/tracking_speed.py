"""How fast the shipped tracker runs here: the engine, also in bf16, against the plain module, and the time per stage.

Run: python benchmarks/tracking_speed.py [--threads N]

Only the ratios travel between machines; all sides are measured in turns in one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

import trackcli
from trackcli.engines.eager import optimised
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.tracking.inputs import Image
from trackcli.tracking.session import Session
from trackcli.tracking.timing import StageTimer
from trackcli.tracking.tracker import Tracker

ROUNDS = 5
FRAMES = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tracker", default="default")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tracker = trackcli.load(arguments.tracker, device="cpu")
    sequence = make_sequence(SceneSettings(frames=FRAMES, size_wh=(640, 360), seed=1))
    frames = list(sequence.frames)
    box_xywh = sequence.boxes_xywh[0]
    sides = {
        "plain module": Session(tracker.model, StageTimer()),
        "engine": tracker.session,
        "engine, bf16": Session(optimised(tracker.model, "bf16"), StageTimer()),
    }
    medians = {name: statistics.median(times) for name, times in _in_turns(sides, frames, box_xywh).items()}
    print(f"{tracker.name}, {arguments.threads} threads, 640x360, one target")
    for name, seconds in medians.items():
        ratio = medians["plain module"] / seconds
        print(
            f"  {name:13} {1000 * seconds:7.1f} ms/frame  {1 / seconds:6.1f} fps  {ratio:5.2f} times the plain module"
        )
    _print_stages(tracker)


def _in_turns(
    sides: dict[str, Session], frames: list[Image], box_xywh: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> dict[str, list[float]]:
    """Seconds per frame of each side, round after round, so that a busy minute hits both."""
    box_xyxy = np.concatenate((box_xywh[:2], box_xywh[:2] + box_xywh[2:]))[None]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for name, session in _rounds(sides):
        session.start([frames[0]], [0], box_xyxy)
        began = time.perf_counter()
        for frame in frames[1:]:
            session.update([frame], [0])
        times[name].append((time.perf_counter() - began) / (len(frames) - 1))
    return times


def _rounds(sides: dict[str, Session]) -> Iterator[tuple[str, Session]]:
    for _ in range(ROUNDS):
        yield from sides.items()


def _print_stages(tracker: Tracker) -> None:
    for stage, milliseconds in tracker.timer.milliseconds().items():
        print(f"  {stage:13} {milliseconds:7.2f} ms")


if __name__ == "__main__":
    main()
