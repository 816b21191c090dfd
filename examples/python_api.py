"""Follow one object through a video from Python, print where it is, and save a video with its box.

Usage::

    python examples/python_api.py clip.mp4 120,80,60,90 followed.mp4

The box is x,y,w,h in the first frame: pixels, top-left corner first, 0-based.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import trackcli
from trackcli.video.drawing import draw_boxes
from trackcli.video.sinks import VideoSink
from trackcli.video.sources import open_source


def follow(source: str, box_xywh: list[float], output: Path, tracker_name: str) -> None:
    """Track, print one line per frame, and write the video."""
    tracker = trackcli.load(tracker_name)
    with (
        open_source(source, warn=print) as frames,
        VideoSink(output, fps=frames.fps or 25.0, size_wh=frames.size_wh) as video,
    ):
        images = ((frame.index, frame.image) for frame in frames if frame.image is not None)
        _, first = next(images)
        tracker.start(first, box_xywh)
        video.write(first)
        for index, image in images:
            result = tracker.update(image)
            x, y, w, h = result.boxes_xywh[0]
            print(f"frame {index}: {x:.1f},{y:.1f},{w:.1f},{h:.1f} score {result.scores[0]:.2f}")
            video.write(draw_boxes(image, result.boxes_xyxy, scores=result.scores))


def box(text: str) -> list[float]:
    """Read x,y,w,h."""
    x, y, w, h = map(float, text.split(","))
    return [x, y, w, h]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Follow one object through a video.")
    parser.add_argument("source", help="video file, folder of images, or a pattern")
    parser.add_argument("box", type=box, help="the object in the first frame: x,y,w,h")
    parser.add_argument("output", type=Path, help="video to write")
    parser.add_argument("--tracker", default="default", help="name, file or run folder")
    options = parser.parse_args()
    follow(options.source, options.box, options.output, options.tracker)


if __name__ == "__main__":
    main()
