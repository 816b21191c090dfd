"""``trackcli track``: follow targets through a video and write down where they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trackcli.cli.boxes import InitBox, check_boxes, parse_inits
from trackcli.cli.completion import completion_of
from trackcli.cli.console import Console
from trackcli.cli.errors import Terminated
from trackcli.cli.listing import print_json
from trackcli.cli.streams import silence
from trackcli.errors import InputDataError, UsageError
from trackcli.tracking.timing import StageTimer

if TYPE_CHECKING:
    from trackcli.foreign.loading import VideoTracker
    from trackcli.tracking.run import TrackedFrame
    from trackcli.video.sources import FrameSource

    FrameWriter = Callable[[TrackedFrame], None]


def track(
    *,
    source: str = typer.Argument(
        metavar="SOURCE",
        help="Video file, image, folder of images, a pattern in quotes such as 'frames/*.jpg', an address (rtsp://…, "
        "https://…, …), or the number of a camera: 0 is the first.",
    ),
    init: list[str] = typer.Option(
        [],
        "--init",
        metavar="BOX",
        help="The target in the first frame: x,y,w,h in pixels, top-left corner first, 0-based. NAME=x,y,w,h names it; "
        "repeat for several targets; a file (groundtruth.txt) gives its first line.",
    ),
    tracker: str | None = typer.Option(
        None,
        "--tracker",
        metavar="NAME|FILE",
        autocompletion=completion_of("tracker"),
        help="Which tracker, or a run folder; default: the one that comes with trackcli.",
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:N or mps."),
    precision: str = typer.Option(
        "fp32", "--precision", help="What the network computes in: fp32, or bf16 (faster where the processor has it)."
    ),
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
    save_response: Path | None = typer.Option(
        None,
        "--save-response",
        metavar="DIR",
        help="Per frame a picture of the search region and, beside it, of the head's scores over it (0..1): "
        "DIR/<frame>.png, or DIR/<target>/<frame>.png for several targets.",
    ),
    response_data: bool = typer.Option(
        False, "--response-data", help="With --save-response: the scores and where they lie too, as <frame>.npz."
    ),
    timeout: float = typer.Option(
        10.0, "--timeout", metavar="SECONDS", help="Wait so long for an address to answer, and for its next frame."
    ),
    reconnects: int = typer.Option(
        3, "--reconnects", metavar="N", help="How often to connect again to an address or camera that breaks off."
    ),
    strict: bool = typer.Option(False, "--strict", help="Stop at an unreadable frame instead of holding the last box."),
    force: bool = typer.Option(False, "--force", help="Overwrite outputs that exist."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object with counts and times, nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress and no notes."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="More about what is going on."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Follow one or several targets through a video.

    Frame numbers count from the source's frame 0, also with --start. A live source starts with its first frame, so its
    target has to be where --init says at that moment; Ctrl-C ends it, and everything up to there is kept. Example:
    trackcli track clip.mp4 --init 120,80,60,90 -o boxes.csv --save-video tracked.mp4
    """
    console = Console(quiet=quiet or as_json, verbose=verbose)
    targets = parse_inits(init, console.note)
    responses = _responses(save_response, with_data=response_data)
    outputs = Outputs(output, save_video, responses, csv_on_stdout=output is None and not as_json)
    outputs.check(source, targets, overwrite=force)

    from trackcli.foreign.loading import load_video_tracker
    from trackcli.host.trackers import default_tracker
    from trackcli.video.frames import StreamSettings
    from trackcli.video.sources import open_source

    patience = StreamSettings(timeout_s=timeout, reconnects=reconnects)
    with open_source(source, start=start, end=end, warn=console.warn, stream=patience) as frames:
        check_boxes(targets, frames.size_wh, console.warn)
        console.detail(f"'{frames.name}': {frames.size_wh[0]}x{frames.size_wh[1]}, {frames.frame_count or '?'} frames")
        loaded = load_video_tracker(tracker or default_tracker(), device=device, precision=precision)
        console.detail(f"tracker '{loaded.name}' on {loaded.device}")
        outputs.check_tracker(loaded)
        outputs.refuse_existing(overwrite=force)
        run = _Run(loaded, targets, StageTimer())
        try:
            _follow(run, frames, outputs, console, strict=strict)
            if as_json:
                print_json(run.summary(outputs))
                sys.stdout.flush()
        except BrokenPipeError:
            silence(sys.stdout)
            return
        except (KeyboardInterrupt, Terminated, InputDataError):
            if run.frames:
                console.note(f"stopped early; what was tracked so far: {outputs.describe()}")
            raise
    noun = "frame" if run.frames == 1 else "frames"
    console.note(f"tracked {run.frames} {noun} at {run.fps:.1f} fps: {outputs.describe()}")


@dataclass(frozen=True)
class _Responses:
    """Where responses go.

    Attributes:
        folder: For pictures.
        with_data: Whether the numbers are written too.
    """

    folder: Path
    with_data: bool


def _responses(folder: Path | None, *, with_data: bool) -> _Responses | None:
    if folder is None and with_data:
        raise UsageError("--response-data adds to --save-response, which is not given; add --save-response DIR")
    return None if folder is None else _Responses(folder, with_data)


@dataclass(frozen=True)
class Outputs:
    """Where results go.

    Attributes:
        results: File for boxes.
        video: File for the video.
        responses: Folder for responses.
        csv_on_stdout: Whether boxes go to stdout.
    """

    results: Path | None
    video: Path | None
    responses: _Responses | None
    csv_on_stdout: bool

    def check(self, source: str, targets: Sequence[InitBox], *, overwrite: bool) -> None:
        """Refuse names that cannot be written, before any work is done.

        Raises:
            UsageError: for a file that exists, a folder, an unknown suffix, a missing folder, what is read from, one
                name for two outputs, or a stdout that is closed.
        """
        from trackcli.video.outputs import find_sink
        from trackcli.video.sources import is_read_by, is_read_from

        if self.csv_on_stdout and sys.stdout is None:
            raise UsageError(
                "stdout is closed and there is no -o; expected a place for the boxes, such as -o boxes.csv"
            )
        if self.results is not None:
            find_sink(self.results, len(targets))
        if self.video is not None:
            from trackcli.video.sinks import check_video_path

            check_video_path(self.video)
        if self.results is not None and self.video is not None and self.results.resolve() == self.video.resolve():
            raise UsageError(f"output '{self.video}' is given to both -o and --save-video; choose another name for one")
        for path in filter(None, (self.results, self.video)):
            if not path.parent.is_dir():
                raise UsageError(f"output '{path}' has no folder to be in; create '{path.parent}' first")
            if is_read_by(path, source):
                raise UsageError(f"output '{path}' is the source itself; choose another name")
            if any(target.file is not None and _is_same(path, target.file) for target in targets):
                raise UsageError(f"output '{path}' is what --init reads; choose another name")
            if path.is_dir():
                raise UsageError(
                    f"output '{path}' is a folder; expected the name of a file, such as '{path / path.name}'"
                )
        self.refuse_existing(overwrite=overwrite)
        if self.responses is not None:
            if is_read_from(self.responses.folder, source):
                raise UsageError(f"folder '{self.responses.folder}' is where frames are read from; choose another")
            _check_folder(self.responses.folder, overwrite=overwrite)

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Refuse files that are there; asked again before the first frame, since another run may have begun.

        Raises:
            UsageError: for a file that exists.
        """
        for path in filter(None, (self.results, self.video)):
            if path.exists() and not overwrite:
                raise UsageError(f"output '{path}' exists; choose another name, or add --force to overwrite it")

    def check_tracker(self, tracker: VideoTracker) -> None:
        """Refuse what this tracker cannot give.

        Raises:
            UsageError: for responses of a foreign tracker.
        """
        from trackcli.tracking.tracker import Tracker

        if self.responses is not None and not isinstance(tracker, Tracker):
            raise UsageError(
                f"--save-response needs a tracker composed of components; {tracker.name!r} shows no response; "
                "use one with weights here (`trackcli trackers list`)"
            )

    def describe(self) -> str:
        """Name the outputs in a line."""
        boxes = str(self.results) if self.results else "boxes on stdout" if self.csv_on_stdout else None
        folder = f"responses in {self.responses.folder}" if self.responses else None
        named = filter(None, (boxes, str(self.video) if self.video else None, folder))
        return ", ".join(named) or "nothing was to be written"


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output '{folder}' is a file; expected the name of a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"folder '{folder}' is not empty; choose another, or add --force to overwrite what is in it")


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

    def summary(self, outputs: Outputs) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "frames": self.frames,
            "unreadable_frames": self.unreadable,
            "fps": round(self.fps, 2),
            "milliseconds": self.milliseconds(),
            "tracker": self.tracker.name,
            "device": str(self.tracker.device),
            "precision": getattr(self.tracker, "precision", None),
            "targets": list(self._final_boxes()),
            "output": str(outputs.results) if outputs.results else None,
            "video": str(outputs.video) if outputs.video else None,
            "responses": str(outputs.responses.folder) if outputs.responses else None,
        }

    def _final_boxes(self) -> Iterator[dict[str, Any]]:
        assert self.latest is not None  # a source without a frame is refused when it is opened
        boxes, scores = self.latest.boxes_xywh.tolist(), self.latest.scores.tolist()
        for name, box, score in zip(self.names, boxes, scores, strict=True):
            yield {"target": name, "box": [round(number, 3) for number in box], "score": round(score, 4)}


def _follow(run: _Run, source: FrameSource, outputs: Outputs, console: Console, *, strict: bool) -> None:
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


def _open_writers(run: _Run, source: FrameSource, outputs: Outputs, stack: ExitStack) -> list[FrameWriter]:
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
    if outputs.responses is not None:
        from trackcli.tracking.tracker import Tracker
        from trackcli.video.responses import ResponseWriter

        assert isinstance(run.tracker, Tracker)  # check_tracker saw to it
        folder, with_data = outputs.responses.folder, outputs.responses.with_data
        writer = ResponseWriter(folder, run.tracker.session, run.names, with_data=with_data)
        writers.append(stack.enter_context(writer).write)
    return writers
