"""What online updating costs: per frame, per update, per start, and end to end.

Usage::

    python plugins/ibfp/benchmarks/online_cost.py [--tracker default] [--threads 2] [--rounds 3] [--json FILE]

Tracks one synthetic sequence with a tracker as it is, with ``online-update`` and with its ``fast`` setting, round after
round, so that other load meets all alike. Milliseconds per frame are wall-clock time from a frame in memory to its box,
updates included; p95 is over frames. On a machine with other work beside it the last column says more: processor time
of the process per frame, with --threads 1 what one core needs. The start is not part of the mean; it is listed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

import trackcli
from trackcli.composition.build import build_model
from trackcli.composition.defaults import to_recipe
from trackcli.composition.plan import plan
from trackcli.composition.record import recipe_data
from trackcli.host.registry import installed
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.tracking.tracker import Tracker

NAME = "online-update"
ALWAYS: dict[str, object] = {"lost_below": 0.0, "distractor": 1.0}
"""No frame is spared as lost or doubtful: each is remembered, and the filter learns whenever it is time."""

SIDES: dict[str, dict[str, object] | None] = {
    "without": None,
    "online-update": ALWAYS,
    "online-update, fast": {**ALWAYS, "fast": True},
}


@dataclass
class Times:
    """Seconds.

    Attributes:
        frames: Wall-clock time of each frame.
        processor: Processor time of each frame.
        learning: Wall-clock time of frames after which the filter learned.
        start: Wall-clock time of each start.
    """

    frames: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    learning: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tracker", default="default", help="tracker file, run folder or name")
    parser.add_argument("--preset", help="instead of a tracker a preset with random weights: its speed is the same")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = (
        trackcli.compose(preset=arguments.preset, device="cpu")
        if arguments.preset
        else trackcli.load(arguments.tracker, device="cpu")
    )
    trackers = {name: variant(base, settings) for name, settings in SIDES.items()}
    times = measure(trackers, arguments.frames, arguments.rounds)
    print(f"{arguments.preset or arguments.tracker}, {arguments.threads} threads, 640x360, one target")
    print("| | ms/frame | p95 | fps | ms, frames that learn | start ms | processor ms/frame |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, each in times.items():
        mean, p95 = 1000 * float(np.mean(each.frames)), 1000 * float(np.percentile(each.frames, 95))
        learning = f"{1000 * np.mean(each.learning):.1f}" if each.learning else "-"
        start, processor = 1000 * float(np.median(each.start)), 1000 * float(np.mean(each.processor))
        print(f"| {name} | {mean:.1f} | {p95:.1f} | {1000 / mean:.1f} | {learning} | {start:.0f} | {processor:.1f} |")
    if arguments.json is not None:
        content = {"threads": arguments.threads, "seconds": {name: asdict(each) for name, each in times.items()}}
        arguments.json.write_text(json.dumps(content) + "\n", encoding="utf-8")


def variant(base: Tracker, settings: dict[str, object] | None) -> Tracker:
    """The same weights with other online settings, or without."""
    recipe = recipe_data(base.plan)
    others = [part for part in recipe["postprocessor"] if part["name"] != NAME]
    recipe["postprocessor"] = others if settings is None else [{"name": NAME, **settings}, *others]
    planned = plan(to_recipe(recipe), installed())
    model = build_model(planned)
    model.load_state_dict(base.model.state_dict())
    return Tracker("measured", model, planned, device="cpu")


def measure(trackers: dict[str, Tracker], frames: int, rounds: int) -> dict[str, Times]:
    """Every tracker in turns over the same sequence."""
    sequence = make_sequence(SceneSettings(frames=frames, size_wh=(640, 360), seed=1))
    pictures, box_xywh = list(sequence.frames), sequence.boxes_xywh[0]
    times = {name: Times() for name in trackers}
    for _ in range(rounds):
        for name, tracker in trackers.items():
            each = times[name]
            began = time.perf_counter()
            tracker.start(pictures[0], box_xywh)
            each.start.append(time.perf_counter() - began)
            every = learning_interval(tracker)
            for index, picture in enumerate(pictures[1:], start=1):
                began, worked = time.perf_counter(), time.process_time()
                tracker.update(picture)
                each.frames.append(time.perf_counter() - began)
                each.processor.append(time.process_time() - worked)
                if every and index % every == 0:
                    each.learning.append(each.frames[-1])
    return times


def learning_interval(tracker: Tracker) -> int:
    """Frames between updates; 0: it does not learn."""
    for link in tracker.plan.candidate_links:
        if link.spec.name == NAME:
            return int(getattr(link.config, "every", 0))
    return 0


if __name__ == "__main__":
    main()
