"""How fast a preset trains here: bfloat16 channels-last against float32 NCHW, and how long steps wait for data.

Run: python benchmarks/training_speed.py [--preset NAME] [--data CACHE] [--batch N] [--steps N] [--device cuda]

Without --data it trains on the synthetic cache. Only the ratios travel between machines; both sides are measured in
turns in one run. On a GPU it also prints model FLOPs utilisation, with --peak TFLOPS the card's dense bf16 peak.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode
from trackcli_cache.reader import CropCache

from trackcli.composition.defaults import complete
from trackcli.composition.plan import plan
from trackcli.config.folders import user_cache_folder
from trackcli.host.registry import installed
from trackcli.synth.cache import build_synth_cache, synth_cache_path
from trackcli.training.loader import make_loader
from trackcli.training.report import StepReport
from trackcli.training.run import TrainingRun

ROUNDS = 3
SIDES = {
    "fp32 NCHW": ("train.precision=fp32", "train.channels_last=false"),
    "bf16 channels-last": ("train.precision=bf16", "train.channels_last=true"),
}
GPU_PEAKS_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}
"""Dense bf16 peaks by part of the name, from the vendor's data sheets."""


@dataclass(frozen=True)
class Speed:
    """Medians over rounds.

    Attributes:
        seconds: Per step.
        waiting: Share of the step spent waiting for data.
    """

    seconds: float
    waiting: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=5, help="per round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak", type=float, help="of the GPU in TFLOPS")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    cache = CropCache.open(arguments.data or _synthetic_cache())
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            name: _make_run(arguments, cache, Path(folder) / str(number), device, settings)
            for number, (name, settings) in enumerate(SIDES.items())
        }
        speeds = _in_turns(runs, arguments.steps, device)
        batch = next(iter(runs.values())).config.batch
        print(f"{arguments.preset}, batch {batch}, {_machine(device)}")
        for name, speed in speeds.items():
            print(
                f"  {name:20} {1000 * speed.seconds:8.0f} ms/step  {batch / speed.seconds:7.1f} pairs/s  "
                f"waiting {speed.waiting:.1%}"
            )
        slow, fast = (speed.seconds for speed in speeds.values())
        print(f"  ratio                {slow / fast:8.2f}")
        if device.type == "cuda":
            _print_utilisation(next(reversed(runs.values())), fast, arguments.peak or _peak(device))


def _synthetic_cache() -> Path:
    folder = user_cache_folder(os.environ)
    build_synth_cache(folder)
    return synth_cache_path(folder)


def _make_run(
    arguments: argparse.Namespace, cache: CropCache, folder: Path, device: torch.device, settings: tuple[str, ...]
) -> TrainingRun:
    registry = installed()
    # All that the preset ever trains, trained: the slower half of its schedule.
    always = ["train.steps=1000000", "train.unfreeze={}", "train.phases=[]", *arguments.settings, *settings]
    if arguments.batch:
        always.append(f"train.batch={arguments.batch}")
    unfreeze = complete({"preset": arguments.preset}, registry).recipe.train.unfreeze
    always += [f"train.unfreeze.{stage}=0.0" for stage in unfreeze]
    planned = plan(complete({"preset": arguments.preset}, registry, always).recipe, registry)
    loader = make_loader(planned, [cache], [1.0], warn=lambda text: None, pin_memory=device.type == "cuda")
    folder.mkdir()
    return TrainingRun(planned, loader, folder, device, registry, note=print)


def _in_turns(runs: dict[str, TrainingRun], steps: int, device: torch.device) -> dict[str, Speed]:
    """Each side in turn, round after round, so that a busy minute hits both; the first round only warms up."""
    reports: dict[str, Iterator[StepReport]] = {name: run.steps() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    waiting: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(ROUNDS + 1):
        for name, stream in reports.items():
            next(stream)  # the pause while the other side ran counts for nobody
            began = time.perf_counter()
            taken = list(islice(stream, steps))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if round_number:
                seconds[name].append((time.perf_counter() - began) / steps)
                waiting[name].append(statistics.mean(report.waiting for report in taken))
    return {name: Speed(statistics.median(seconds[name]), statistics.median(waiting[name])) for name in runs}


def _print_utilisation(run: TrainingRun, seconds: float, peak_tflops: float | None) -> None:
    """Model FLOPs of forward and backward, as PyTorch counts them, over what the card could do."""
    assert run.last_batch is not None
    with FlopCounterMode(display=False) as counter:
        run.engine.learn([run.last_batch], run.step)
    rate = counter.get_total_flops() / seconds / 1e12
    share = (
        f"  MFU {rate / peak_tflops:.1%} of {peak_tflops:g} TFLOPS" if peak_tflops else "  (name its peak with --peak)"
    )
    print(f"  {rate:.1f} TFLOPS{share}")


def _peak(device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in GPU_PEAKS_TFLOPS.items() if part in name), None)


def _machine(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
