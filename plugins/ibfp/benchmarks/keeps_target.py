"""Sequences on which one tracker keeps a target that another loses, and pictures of the best one.

Usage::

    trackcli with-online runs/small -o online.safetensors --fast
    trackcli with-online runs/small -o offline.safetensors --off
    python plugins/ibfp/benchmarks/keeps_target.py --root SEQUENCES --keeps online.safetensors \\
        --loses offline.safetensors -o kept.jpg [--sequences 'otb_*'] [--panels 5] [--plot kept.png]

``SEQUENCES`` holds folders with ``img/*.jpg`` and ``groundtruth.txt``. A target counts as lost where it is hardly
overlapped in the last quarter of the frames, and as kept where it is by more than ``--overlap`` on average. All
sequences are listed, those on which it is the other way round too. The picture shows frames of the sequence with the
largest difference: green the truth, blue the tracker that keeps, red the one that loses. The plot shows the same
without pixels, for where those of a dataset may not be shown: overlap by frame, and where the boxes went.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import trackcli
from trackcli.errors import TrackcliError
from trackcli.evaluation.datasets import load_folder_sequences
from trackcli.evaluation.overlaps import iou_xywh, is_box_xywh
from trackcli.tracking.tracker import Tracker
from trackcli.video.images import read_image

Floats = NDArray[np.float64]
LOST = 0.1
"""Mean overlap in the last quarter under which a target is lost."""


@dataclass(frozen=True)
class Followed:
    """What both trackers did on a sequence.

    Attributes:
        name: Of the sequence.
        boxes_xywh: ``(T, 4)`` by tracker, ``keeps`` and ``loses``.
        overlap: ``(T,)`` by tracker; NaN where the target has no box.
    """

    name: str
    boxes_xywh: dict[str, Floats]
    overlap: dict[str, Floats]

    def end(self, tracker: str) -> float:
        """Mean overlap in the last quarter."""
        values = self.overlap[tracker]
        return float(np.nanmean(values[-max(1, len(values) // 4) :]))


def main() -> None:
    """Track, list, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--keeps", required=True, help="tracker file, run folder or name")
    parser.add_argument("--loses", required=True, help="the other")
    parser.add_argument("--sequences", default="*", help="pattern of names")
    parser.add_argument("--overlap", type=float, default=0.4, help="from which on a target is kept")
    parser.add_argument("--panels", type=int, default=5, help="frames in the picture")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--plot", type=Path, help="a plot of the same sequence, without its pixels")
    arguments = parser.parse_args()
    try:
        trackers = {name: trackcli.load(getattr(arguments, name), device="cpu") for name in ("keeps", "loses")}
    except TrackcliError as error:
        raise SystemExit(f"error: {error}") from error
    names = sorted(path.parent.name for path in arguments.root.glob("*/groundtruth.txt"))
    chosen = [name for name in names if fnmatch(name, arguments.sequences)]
    if not chosen:
        raise SystemExit(
            f"error: {arguments.root} holds no sequence {arguments.sequences!r}; it holds: {', '.join(names)}"
        )
    best: Followed | None = None
    for name in chosen:
        found = follow(arguments.root, name, trackers)
        kept, lost = found.end("keeps"), found.end("loses")
        says = ""
        if kept > arguments.overlap and lost < LOST:
            says = "  kept, lost by the other"
            if best is None or kept - lost > best.end("keeps") - best.end("loses"):
                best = found
        elif lost > arguments.overlap and kept < LOST:
            says = "  the other way round"
        means = "  ".join(f"{side} {np.nanmean(found.overlap[side]):.3f}" for side in trackers)
        print(f"{name:24} mean overlap: {means}   last quarter: {kept:.2f} {lost:.2f}{says}", flush=True)
    if best is None:
        raise SystemExit(f"no sequence is kept by {arguments.keeps} and lost by {arguments.loses}")
    draw(arguments.root, best, arguments.panels, arguments.output)
    print(f"{arguments.output}: {best.name}")
    if arguments.plot is not None:
        plot(arguments.root, best, arguments.plot)


def follow(root: Path, name: str, trackers: dict[str, Tracker]) -> Followed:
    """Both trackers over a sequence, from the same first box."""
    (truth,) = load_folder_sequences(root, [name])
    boxes = {side: [truth.boxes_xywh[0]] for side in trackers}
    for index, path in enumerate(truth.image_paths):
        image = read_image(path)
        for side, tracker in trackers.items():
            if index == 0:
                tracker.start(image, truth.boxes_xywh[0])
            else:
                boxes[side].append(tracker.update(image).boxes_xywh[0])
    stacked = {side: np.stack(rows) for side, rows in boxes.items()}
    known = is_box_xywh(truth.boxes_xywh)
    overlap = {side: np.where(known, iou_xywh(rows, truth.boxes_xywh), np.nan) for side, rows in stacked.items()}
    return Followed(name, stacked, overlap)


def draw(root: Path, found: Followed, panels: int, output: Path) -> None:
    """Frames from before the loss to the end, side by side."""
    (truth,) = load_folder_sequences(root, [found.name])
    lost = np.flatnonzero(np.nan_to_num(found.overlap["loses"], nan=1.0) < LOST)
    first = max(1, (int(lost[0]) if len(lost) else 1) - 5)
    pictures = []
    for number in np.linspace(first, len(truth) - 1, panels).round().astype(int).tolist():
        picture = cv2.imread(str(truth.image_paths[number]))
        assert picture is not None  # it was read before
        for box, color in (
            (truth.boxes_xywh[number], (60, 220, 60)),
            (found.boxes_xywh["loses"][number], (50, 50, 235)),
            (found.boxes_xywh["keeps"][number], (235, 140, 30)),
        ):
            if np.isfinite(box).all():
                x, y, width, height = box.round().astype(int).tolist()
                cv2.rectangle(picture, (x, y), (x + width, y + height), color, 2)
        cv2.putText(picture, str(number), (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
        pictures.append(picture)
    if not cv2.imwrite(str(output), np.hstack(pictures)):
        raise SystemExit(f"error: {output} cannot be written; expected a .jpg or .png in a folder that exists")


def plot(root: Path, found: Followed, output: Path) -> None:
    """Overlap by frame, and the horizontal place of the boxes' centres."""
    (truth,) = load_folder_sequences(root, [found.name])
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.5, 4.5), sharex=True, layout="constrained")
    above.set(title=found.name, ylabel="overlap with the truth", ylim=(0, 1))
    below.set(xlabel="frame", ylabel="centre x (pixels)")
    below.plot(truth.boxes_xywh[:, 0] + truth.boxes_xywh[:, 2] / 2, color="tab:green", label="truth", linewidth=3)
    for side, label, color in (("loses", "without", "tab:red"), ("keeps", "with online update", "tab:blue")):
        boxes = found.boxes_xywh[side]
        above.plot(found.overlap[side], color=color, label=label)
        below.plot(boxes[:, 0] + boxes[:, 2] / 2, color=color)
    above.legend(loc="lower left")
    below.legend(loc="best")
    figure.savefig(output, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
