"""Responses of several trackers in the same frames, one below the other, as in the paper's figure 5.

Usage::

    trackcli track clip.mp4 --init X,Y,W,H --tracker runs/pg-corr --save-response responses/pg-corr
    trackcli track clip.mp4 --init X,Y,W,H --tracker runs/dw-xcorr --save-response responses/dw-xcorr
    python plugins/pgnet/benchmarks/figure_5.py pg-corr=responses/pg-corr dw-xcorr=responses/dw-xcorr \\
        --frames 10 40 80 -o figure_5.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
LABEL_HEIGHT = 24


def main() -> None:
    """Read, put together, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="NAME=DIR", help="Folders of --save-response.")
    parser.add_argument("--frames", nargs="+", type=int, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    for text in arguments.folders:
        name, equals, folder = text.partition("=")
        if not equals:
            raise SystemExit(f"error: {text!r} is not NAME=DIR; expected e.g. pg-corr=responses/pg-corr")
        rows.append(labelled(np.hstack([read(Path(folder), frame) for frame in arguments.frames]), name))
    width = max(row.shape[1] for row in rows)
    same = [cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT) for row in rows]
    if not cv2.imwrite(str(arguments.output), np.vstack(same)):
        raise SystemExit(
            f"error: {arguments.output} cannot be written; expected a .jpg or .png in a folder that exists"
        )


def read(folder: Path, frame: int) -> Picture:
    """The picture of a frame.

    Raises:
        SystemExit: if it is not there.
    """
    path = folder / f"{frame:06d}.png"
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"error: {path} is no picture; expected a folder of `trackcli track … --save-response`")
    return np.asarray(picture, dtype=np.uint8)


def labelled(row: Picture, name: str) -> Picture:
    """A row under its name."""
    bar = np.zeros((LABEL_HEIGHT, row.shape[1], 3), dtype=np.uint8)
    cv2.putText(bar, name, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack((bar, row))


if __name__ == "__main__":
    main()
