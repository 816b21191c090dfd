"""``trackcli demo``: the main job from end to end, on a sequence that needs no data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trackcli.cli.completion import completion_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trackcli.cli.console import Console
    from trackcli.foreign.loading import VideoTracker
    from trackcli.synth.sequences import SyntheticSequence

DEMO_SEED = 9
SHEET_IMAGES, SHEET_COLUMNS = 12, 4


def demo(
    *,
    output: Path = typer.Option(
        Path("demo-output"), "-o", "--output", metavar="DIR", help="Folder that gets track.mp4 and contact_sheet.png."
    ),
    seed: int = typer.Option(DEMO_SEED, "--seed", min=0, help="Another seed makes another scene."),
    frames: int = typer.Option(120, "--frames", min=2, help="Length of the sequence."),
    tracker: str | None = typer.Option(
        None,
        "--tracker",
        metavar="NAME|FILE",
        autocompletion=completion_of("tracker"),
        help="Which tracker, or a run folder; default: the one that comes with trackcli.",
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu, cuda, cuda:N or mps."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Make a synthetic sequence, track its target and show how well that went.

    The truth is drawn thin and white, the tracker's box bold. The mean overlap leaves out the first frame, whose box
    is given. Files of an earlier demo in the output folder are replaced.
    """
    from trackcli.cli.console import Console
    from trackcli.foreign.loading import load_video_tracker
    from trackcli.host.trackers import default_tracker

    console = Console(quiet=quiet or as_json)
    _prepare(output)
    loaded = load_video_tracker(tracker or default_tracker(), device=device)
    sequence = _sequence(seed, frames)
    tracked = _track(loaded, sequence, output / "track.mp4", console)
    sheet = output / "contact_sheet.png"
    _write_sheet(tracked.shown, sheet)
    overlap = _mean_overlap(tracked.boxes_xyxy, sequence)
    _report(overlap, sequence, tracked, output=output, as_json=as_json)


@dataclass(frozen=True, eq=False)
class _Tracked:
    """What came out of the tracker.

    Attributes:
        boxes_xyxy: ``(T, 4)`` float, image pixels.
        shown: Some of the frames with both boxes, and their captions.
        fps: Frames per second of tracking alone; the first frame left out.
    """

    boxes_xyxy: NDArray[np.float64]
    shown: list[tuple[NDArray[np.uint8], str]]
    fps: float


def _prepare(output: Path) -> None:
    from trackcli.errors import InputDataError, UsageError

    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file; expected a folder; choose another --output")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputDataError(
            f"cannot make --output {output}: {error.strerror or error}; choose a folder you may write to"
        ) from error


def _sequence(seed: int, frames: int) -> SyntheticSequence:
    """A moderately easy scene: one look-alike, one occluder, everything a little calmer than ordinary."""
    from trackcli.synth.sequences import make_sequence
    from trackcli.synth.settings import SceneSettings

    return make_sequence(
        SceneSettings(
            frames=frames,
            size_wh=(640, 360),
            seed=seed,
            look_alikes=1,
            occluders=1,
            target_size=0.28,
            speed=0.8,
            scale_change=0.7,
            rotation=0.5,
            deform=0.6,
            camera_motion=0.6,
            blur=0.4,
            light=0.6,
        )
    )


def _track(tracker: VideoTracker, sequence: SyntheticSequence, path: Path, console: Console) -> _Tracked:
    """Follow the target and write the video on the way."""
    import numpy as np

    from trackcli.tracking.timing import StageTimer
    from trackcli.video.sinks import VideoSink

    settings = sequence.settings
    on_sheet = {round(at) for at in np.linspace(0, settings.frames - 1, SHEET_IMAGES)}
    boxes, shown, timer = [], [], StageTimer()
    with console.progress() as progress, VideoSink(path, settings.fps, settings.size_wh) as sink:
        task = progress.add_task("tracking", total=settings.frames, rate="")
        for index, image in enumerate(sequence.frames):
            if index == 0:
                tracker.start(image, sequence.boxes_xywh[:1])
                box_xyxy, score = _corners(sequence.boxes_xywh[0]), 1.0
            else:
                with timer.stage("update"):
                    result = tracker.update(image)
                box_xyxy, score = result.boxes_xyxy[0], float(result.scores[0])
            boxes.append(box_xyxy)
            drawn = _draw(image, sequence.boxes_xywh[index], box_xyxy, score)
            sink.write(drawn)
            if index in on_sheet:
                shown.append((drawn, f"frame {index}"))
            progress.advance(task)
    fps = (settings.frames - 1) / timer.seconds("update")
    return _Tracked(np.stack(boxes), shown, fps)


def _corners(box_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.concatenate([box_xywh[:2], box_xywh[:2] + box_xywh[2:]])


def _draw(
    image: NDArray[np.uint8], truth_xywh: NDArray[np.float64], box_xyxy: NDArray[np.float64], score: float
) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    from trackcli.video.drawing import draw_boxes

    drawn = draw_boxes(image, box_xyxy[None], ["target"], [score])
    if not np.isnan(truth_xywh).any():
        left, top = np.rint(truth_xywh[:2]).astype(int).tolist()
        right, bottom = np.rint(truth_xywh[:2] + truth_xywh[2:]).astype(int).tolist()
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), (255, 255, 255), 1)
    return drawn


def _write_sheet(shown: list[tuple[NDArray[np.uint8], str]], path: Path) -> None:
    import cv2

    from trackcli.errors import InputDataError
    from trackcli.video.drawing import contact_sheet

    sheet = contact_sheet([image for image, _ in shown], SHEET_COLUMNS, [caption for _, caption in shown])
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InputDataError(
            f"cannot write {path}: {error.strerror or error}; choose an --output you may write to"
        ) from error


def _mean_overlap(boxes_xyxy: NDArray[np.float64], sequence: SyntheticSequence) -> float:
    """Mean intersection over union of the frames with the target present, frame 0 left out."""
    import torch

    from trackcli.geometry.boxes import box_iou, xywh_to_xyxy

    counted = ~sequence.absent
    counted[0] = False
    truth_xyxy = xywh_to_xyxy(torch.from_numpy(sequence.boxes_xywh[counted]))
    return float(box_iou(torch.from_numpy(boxes_xyxy[counted]), truth_xyxy).mean())


def _report(overlap: float, sequence: SyntheticSequence, tracked: _Tracked, *, output: Path, as_json: bool) -> None:
    video, sheet = output / "track.mp4", output / "contact_sheet.png"
    if as_json:
        import json

        result = {
            "mean_overlap": round(overlap, 4),
            "frames": sequence.settings.frames,
            "fps": round(tracked.fps, 1),
            "video": str(video),
            "contact_sheet": str(sheet),
        }
        print(json.dumps(result))
        return
    from trackcli.cli.errors import strip_control_characters

    print(f"tracked {sequence.settings.frames} frames at {tracked.fps:.0f} frames per second")
    print(f"video {strip_control_characters(str(video))}")
    print(f"contact sheet {strip_control_characters(str(sheet))}")
    print(f"mean overlap {overlap:.2f}")
