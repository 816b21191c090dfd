"""YouTube-BoundingBoxes: videos of which one frame a second has a box, of one or a few objects of 23 classes.

The dataset is a CSV file (no header: youtube_id, timestamp_ms, class_id, class_name, object_id, object_presence,
xmin, xmax, ymin, ymax, the last four in fractions of the image) and a list of videos. Frames are expected where
``youtube-bb-utility`` writes them, the tool that pysot's instructions name: ``<split>/<class
id>/<video>_<ms>_<class id>_<object id>.jpg``, once per object; or as ``<split>/<video>/<ms>.jpg``. Frames that are
not there (many videos no longer are) are passed over. Fractions become pixels with the size in the header of the
video's first frame.

``absent`` is absent. ``uncertain`` is ``IGNORED`` if it has a box and left out otherwise. Frames are numbered in
seconds, the dataset's own step, so "a gap under 3" means three annotated frames. Only the objects followed are
boxed, nothing else.

Source: Real et al., YouTube-BoundingBoxes: A Large High-Precision Human-Annotated Data Set for Object Detection in
Video, CVPR 2017; https://research.google.com/youtube-bb/download.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.image_size import read_image_size
from trackcli_cache.readers.layout import finite, open_root, require_folders, whole, wrong_root
from trackcli_cache.readers.line_runs import LineRuns
from trackcli_cache.readers.trees import YOUTUBE_BB

COLUMNS = 10
_SAFE_NAME = re.compile(r"[\w-]{1,64}\Z", re.ASCII)


class YouTubeBB:
    """Reads one split; a video is a sequence.

    Args:
        root: The folder that holds the CSV file and the frames.
        split: ``train`` or ``validation``.

    Raises:
        DatasetError: if these are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        base = f"yt_bb_detection_{split or 'train'}"
        self._root = open_root(root, YOUTUBE_BB)
        self._file = self._root / f"{base}.csv"
        if not self._file.is_file():
            raise wrong_root(f"{base}.csv (unpacked with gzip -d)", self._root, YOUTUBE_BB)
        require_folders(self._root, (base,), YOUTUBE_BB)
        self._frames = self._root / base

    @property
    def name(self) -> str:
        """``youtube-bb``."""
        return "youtube-bb"

    @property
    def root(self) -> Path:
        """The folder that holds the CSV file, absolute."""
        return self._root

    @cached_property
    def _videos(self) -> LineRuns:
        return LineRuns(self._file)

    def images(self) -> Iterator[SourceImage]:
        """All frames that are there, video by video in the file's order, in order of time."""
        empty = True
        for video, lines in self._videos:
            for image in self._read_video(video, lines):
                empty = False
                yield image
        if empty:
            raise wrong_root("frames of any video in the CSV file", self._frames, YOUTUBE_BB)

    def _read_video(self, video: str, lines: list[str]) -> Iterator[SourceImage]:
        rows = [_read_row(line, f"{self._file}, video {video}") for line in lines]
        tracks: dict[tuple[str, str], int] = {}
        frames: dict[int, list[_Row]] = {}
        for row in rows:
            tracks.setdefault((row.class_id, row.object_id), len(tracks))
            frames.setdefault(row.timestamp_ms, []).append(row)
        paths = {time: path for time in sorted(frames) if (path := self._find(video, frames[time])) is not None}
        size_wh = _first_size(paths)
        for time, path in paths.items():
            objects = tuple(item for row in frames[time] if (item := _to_object(row, tracks, size_wh)) is not None)
            if objects:
                yield SourceImage(path, video, round(time / 1000), objects)

    def _find(self, video: str, rows: list[_Row]) -> Path | None:
        """One frame is saved once for each of its objects; any will do."""
        candidates = [
            self._frames / row.class_id / f"{video}_{row.timestamp_ms}_{row.class_id}_{row.object_id}.jpg"
            for row in rows
        ]
        candidates.append(self._frames / video / f"{rows[0].timestamp_ms}.jpg")
        return next((path for path in candidates if path.is_file()), None)


@dataclass(frozen=True)
class _Row:
    timestamp_ms: int
    class_id: str
    category: str | None
    object_id: str
    presence: str
    fractions: tuple[float, float, float, float]
    """xmin, xmax, ymin, ymax; -1 where there is no box."""


def _read_row(line: str, where: str) -> _Row:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != COLUMNS or not all(_SAFE_NAME.match(parts[index]) for index in (0, 2, 4)):
        raise DatasetError(f"{where}: {line[:120]!r} is not a row of the detection CSV; expected {COLUMNS} columns")
    xmin, xmax, ymin, ymax = (finite(part, where) for part in parts[6:])
    category = None if parts[3] in {"", "none"} else parts[3]
    return _Row(whole(parts[1], where), parts[2], category, parts[4], parts[5], (xmin, xmax, ymin, ymax))


def _to_object(row: _Row, tracks: Mapping[tuple[str, str], int], size_wh: tuple[int, int]) -> AnnotatedObject | None:
    width, height = size_wh
    xmin, xmax, ymin, ymax = row.fractions
    track_id = tracks[row.class_id, row.object_id]
    has_box = xmax > xmin >= 0 and ymax > ymin >= 0
    if row.presence == "absent":
        return AnnotatedObject((0.0, 0.0, 0.0, 0.0), track_id, row.category, absent=True)
    if not has_box:
        return None
    marks = Mark.NONE if row.presence == "present" else Mark.IGNORED
    return AnnotatedObject(
        (xmin * width, ymin * height, xmax * width, ymax * height), track_id, row.category, marks=marks
    )


def _first_size(paths: Mapping[int, Path]) -> tuple[int, int]:
    for path in paths.values():
        try:
            return read_image_size(path)
        except DatasetError:
            continue
    return 1, 1  # No frame can be read, so none will be used; building a cache counts them as unreadable.
