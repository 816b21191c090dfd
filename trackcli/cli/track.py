"""``trackcli track``: follow targets through a video and write down where they are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trackcli.cli.boxes import InitBox, check_boxes, parse_inits
from trackcli.cli.console import Console
from trackcli.cli.errors import Terminated
from trackcli.cli.streams import silence
from trackcli.errors import UsageError
from trackcli.tracking.timing import StageTimer

if TYPE_CHECKING:
    from trackcli.foreign.loading import VideoTracker
    from trackcli.tracking.run import TrackedFrame
    from trackcli.video.sources import FrameSource

    FrameWriter = Callable[[TrackedFrame], None]


def track(
    *,
    source: str = typer.Argument(
        metavar="SOURCE", help="Video file, image, folder of images, or a pattern in quotes such as 'frames/*.jpg'."
    ),
    init: list[str] = typer.Option(
        [],
        "--init",
        metavar="BOX",
        help="The target in the first frame: x,y,w,h in pixels, top-left corner first, 0-based. NAME=x,y,w,h names it; "
        "repeat for several targets; a file (groundtruth.txt) gives its first line.",
    ),
    tracker: str = typer.Option("default", "--tracker", metavar="NAME|FILE", help="Which tracker, or a run folder."),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:N or mps."),
    start: int = typer.Option(0, "--start", metavar="FRAME", help="First frame; the box belongs to it."),
    end: int | None = typer.Option(None, "--end", metavar="FRAME", help="Frame to stop before (exclusive)."),
    output: Path | None = typer.Option(
        None,
        "-o",
        "--output",
        metavar="FILE",
        help="Boxes: .txt (x,y,w,h per frame, one target), .csv or .jsonl (frame, time, target, box, score); or what "
        "plugins write (`trackcli plugins list --kind sink`). Without it CSV goes to stdout.",
    ),
    save_video: Path | None = typer.Option(
        None, "--save-video", metavar="FILE", help="Video with the boxes drawn: .mp4, .m4v, .mov or .mkv, H.264."
    ),
    strict: bool = typer.Option(False, "--strict", help="Stop at an unreadable frame instead of holding the last box."),
    force: bool = typer.Option(False, "--force", help="Overwrite outputs that exist."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object with counts and times, nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress and no notes."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="More about what is going on."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Follow one or several targets through a video.

    Frame numbers count from the source's frame 0, also with --start. Example:
    trackcli track clip.mp4 --init 120,80,60,90 -o boxes.csv --save-video tracked.mp4
    """
    console = Console(quiet=quiet or as_json, verbose=verbose)
    targets = parse_inits(init, console.note)
    outputs = _Outputs(output, save_video, csv_on_stdout=output is None and not as_json)
    outputs.check(source, len(targets), overwrite=force)

    from trackcli.foreign.loading import load_video_tracker
    from trackcli.video.sources import open_source

    with open_source(source, start=start, end=end, warn=console.warn) as frames:
        check_boxes(targets, frames.size_wh, console.warn)
        console.detail(f"'{frames.name}': {frames.size_wh[0]}x{frames.size_wh[1]}, {frames.frame_count or '?'} frames")
        loaded = load_video_tracker(tracker, device=device)
        console.detail(f"tracker '{loaded.name}' on {loaded.device}")
        run = _Run(loaded, targets, StageTimer())
        try:
            _follow(run, frames, outputs, console, strict=strict)
            if as_json:
                print(json.dumps(run.summary(outputs)), flush=True)
        except BrokenPipeError:
            silence(sys.stdout)
            return
        except (KeyboardInterrupt, Terminated):
            console.note(f"stopped early; what was tracked so far: {outputs.describe()}")
            raise
    noun = "frame" if run.frames == 1 else "frames"
    console.note(f"tracked {run.frames} {noun} at {run.fps:.1f} fps: {outputs.describe()}")


@dataclass(frozen=True)
class _Outputs:
    """Where results go.

    Attributes:
        results: File for boxes.
        video: File for the video.
        csv_on_stdout: Whether boxes go to stdout.
    """

    results: Path | None
    video: Path | None
    csv_on_stdout: bool

    def check(self, source: str, target_count: int, *, overwrite: bool) -> None:
        """Refuse names that cannot be written, before any work is done.

        Raises:
            UsageError: for a file that exists, a folder, an unknown suffix, a missing folder, the source itself, or a
                stdout that is closed.
        """
        from trackcli.video.outputs import find_sink

        if self.csv_on_stdout and sys.stdout is None:
            raise UsageError(
                "stdout is closed and there is no -o; expected a place for the boxes, such as -o boxes.csv"
            )
        if self.results is not None:
            find_sink(self.results, target_count)
        if self.video is not None:
            from trackcli.video.sinks import check_video_path

            check_video_path(self.video)
        for path in filter(None, (self.results, self.video)):
            if not path.parent.is_dir():
                raise UsageError(f"output '{path}' has no folder to be in; create '{path.parent}' first")
            if path.exists() and Path(source).exists() and path.samefile(source):
                raise UsageError(f"output '{path}' is the source itself; choose another name")
            if path.is_dir():
                raise UsageError(
                    f"output '{path}' is a folder; expected the name of a file, such as '{path / path.name}'"
                )
            if path.exists() and not overwrite:
                raise UsageError(f"output '{path}' exists; choose another name, or add --force to overwrite it")

    def describe(self) -> str:
        """Name the outputs in a line."""
        boxes = str(self.results) if self.results else "boxes on stdout" if self.csv_on_stdout else None
        return ", ".join(filter(None, (boxes, str(self.video) if self.video else None))) or "nothing was to be written"


class _Run:
    """What is known about the run so far."""

    def __init__(self, tracker: VideoTracker, targets: Sequence[InitBox], timer: StageTimer) -> None:
        self.tracker = tracker
        self.targets = targets
        self.timer = timer
        self.frames = 0
        self.unreadable = 0
        self.latest: TrackedFrame | None = None
        self._began = time.perf_counter()
        self._ended = self._began

    @property
    def names(self) -> list[str]:
        """The targets' names."""
        return [target.name for target in self.targets]

    @property
    def fps(self) -> float:
        """Frames per second of the whole loop: reading, tracking, drawing and writing."""
        return self.frames / max(self._ended - self._began, 1e-9)

    def count(self, frame: TrackedFrame) -> None:
        """Note a finished frame."""
        self.frames += 1
        self.unreadable += frame.image is None
        self.latest = frame
        self._ended = time.perf_counter()

    def milliseconds(self) -> dict[str, float]:
        """Mean milliseconds per stage, in the order of the work."""
        around = self.timer.milliseconds()
        stages = {"decode": around.pop("decode", 0.0), **self.tracker.timer.milliseconds(), **around}
        return {stage: round(duration, 3) for stage, duration in stages.items()}

    def summary(self, outputs: _Outputs) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "frames": self.frames,
            "unreadable_frames": self.unreadable,
            "fps": round(self.fps, 2),
            "milliseconds": self.milliseconds(),
            "tracker": self.tracker.name,
            "device": str(self.tracker.device),
            "targets": list(self._final_boxes()),
            "output": str(outputs.results) if outputs.results else None,
            "video": str(outputs.video) if outputs.video else None,
        }

    def _final_boxes(self) -> Iterator[dict[str, Any]]:
        assert self.latest is not None  # a source without a frame is refused when it is opened
        boxes, scores = self.latest.boxes_xywh.tolist(), self.latest.scores.tolist()
        for name, box, score in zip(self.names, boxes, scores, strict=True):
            yield {"target": name, "box": [round(number, 3) for number in box], "score": round(score, 4)}


def _follow(run: _Run, source: FrameSource, outputs: _Outputs, console: Console, *, strict: bool) -> None:
    """Track every frame and write it down; outputs are closed however this ends."""
    import numpy as np

    from trackcli.tracking.run import track_source

    boxes_xywh = np.array([target.box_xywh for target in run.targets])
    with ExitStack() as stack:
        writers = _open_writers(run, source, outputs, stack)
        progress = stack.enter_context(console.progress())
        task = progress.add_task("tracking", total=source.frame_count, rate="")
        for frame in track_source(source, run.tracker, boxes_xywh, strict=strict, timer=run.timer):
            for writer in writers:
                writer(frame)
            run.count(frame)
            progress.update(task, advance=1, rate=f"{run.fps:.1f} fps")


def _open_writers(run: _Run, source: FrameSource, outputs: _Outputs, stack: ExitStack) -> list[FrameWriter]:
    """Functions that take a tracked frame, one per output; ``stack`` closes what is behind them."""
    from trackcli.video.images import IMAGES_PER_SECOND
    from trackcli.video.outputs import SinkContext, open_output
    from trackcli.video.results import results_to

    context = SinkContext(tuple(run.names), source.size_wh, source.fps or IMAGES_PER_SECOND, run.timer)
    writers: list[FrameWriter] = []
    if outputs.results is not None:
        writers.append(stack.enter_context(open_output(outputs.results, context)).write)
    elif outputs.csv_on_stdout:
        sys.stdout.flush()
        writers.append(stack.enter_context(results_to(sys.stdout.fileno(), run.names)).write)
    if outputs.video is not None:
        from trackcli.video.drawn import DrawnVideo

        writers.append(stack.enter_context(DrawnVideo(outputs.video, context)).write)
    return writers
