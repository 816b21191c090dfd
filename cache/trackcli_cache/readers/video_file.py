"""Video files, each beside a text file with a box per frame: what ``trackcli track`` writes and other tools export.

Boxes are x, y, w, h, 0-based, as in the ``folder`` layout; a line per frame of the video. One target per video; what
else is in view is not known. Frames are decoded when a cache is built.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import cv2

from trackcli_cache.datasets import AnnotatedObject, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import natural_key
from trackcli_cache.readers.layout import open_root, wrong_root
from trackcli_cache.readers.trees import VIDEO
from trackcli_cache.tables import read_boxes

SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})


class VideoFiles:
    """Reads a folder of videos with box files, or one such video.

    Args:
        root: The folder, or a video file in it.
        split: There are none.

    Raises:
        DatasetError: if there is no video with a box file.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        given = root.expanduser().resolve()
        self._root = open_root(given.parent if given.is_file() else root, VIDEO)
        candidates = (
            [given] if given.is_file() else sorted(self._root.iterdir(), key=lambda path: natural_key(path.name))
        )
        shown = [path for path in candidates if path == given or not path.name.startswith(".")]
        videos = [path for path in shown if path.suffix.lower() in SUFFIXES]
        self._videos = [path for path in videos if path.with_suffix(".txt").is_file()]
        if not self._videos:
            looked_for = videos[0].with_suffix(".txt").name if videos else "a video with a .txt of the same name"
            raise wrong_root(looked_for, self._root, VIDEO)
        _refuse_twins(self._videos)

    @property
    def name(self) -> str:
        """``video``."""
        return "video"

    @property
    def root(self) -> Path:
        """The folder of the videos, absolute."""
        return self._root

    @cached_property
    def _checked(self) -> dict[Path, int]:
        """Videos whose frames have been counted: a box file of another length is most often another video's."""
        return {}

    def images(self) -> Iterator[SourceImage]:
        """All frames, video by video in natural order."""
        for video in self._videos:
            boxes = read_boxes(video.with_suffix(".txt"))
            if self._checked.get(video) != len(boxes):
                _check_length(video, len(boxes))
                self._checked[video] = len(boxes)
            for frame, (x, y, width, height) in enumerate(boxes.tolist()):
                gone = math.isnan(x)
                box = (0.0, 0.0, 0.0, 0.0) if gone else (x, y, x + width, y + height)
                target = AnnotatedObject(box, track_id=0, absent=gone)
                yield SourceImage(video, video.stem, frame, (target,), video_frame=frame)


def count_frames(path: Path, expected: int) -> int:
    """Frames in a video file; they are only counted one by one if the file's own figure is not the expected one.

    Raises:
        DatasetError: if it cannot be opened.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise DatasetError(f"{path} cannot be opened as a video")
        # Containers without an index give an estimate, or nothing.
        if round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == expected:
            return expected
        count = 0
        while capture.grab():
            count += 1
        return count
    finally:
        capture.release()


def _check_length(video: Path, boxes: int) -> None:
    frames = count_frames(video, boxes)
    if frames != boxes:
        raise DatasetError(
            f"{video.with_suffix('.txt')} has {boxes} boxes for the {frames} frames of {video.name}; "
            "expected one line per frame (nan,nan,nan,nan where the target is out of view)"
        )


def _refuse_twins(videos: list[Path]) -> None:
    for first, second in pairwise(videos):
        if first.stem == second.stem:
            raise DatasetError(f"{first.name} and {second.name} share one box file; rename one of them")
