"""MOTChallenge text: videos with many objects each, in the format of MOT15 to MOT20, DanceTrack and SportsMOT.

A line is ``frame,id,x,y,w,h,considered,class,visibility``; frames and pixels count from 1, so 1 is subtracted from
x and y (frame numbers stay, as they are in the file names). Objects that are not considered (0 in the seventh
column: vehicles, people behind glass, reflections, distractors) are ``IGNORED``. Less than 90% visible is
``OCCLUDED``, 0 ``FULLY_OCCLUDED``. MOT15 has world coordinates in place of class and visibility: all are pedestrians
there. Without a box an object may have left or be lost: nothing is said about it in that frame.

MOT17 holds every sequence three times (``-DPM``, ``-FRCNN``, ``-SDP``) with the same images and truth: one of them
is read.

Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, arXiv 1603.00831, section 3 and table 4.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.natural import last_number
from trackcli_cache.readers.layout import (
    finite,
    inner_path,
    open_root,
    read_bytes,
    read_lines,
    sub_folders,
    whole,
    wrong_root,
)
from trackcli_cache.readers.trees import MOT
from trackcli_cache.sequences import list_images

TRUTH = "gt/gt.txt"
FEWEST_COLUMNS = 6
CLASSES = {
    1: "pedestrian",
    2: "person on vehicle",
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non-motorized vehicle",
    7: "static person",
    8: "distractor",
    9: "occluder",
    10: "occluder on the ground",
    11: "full occluder",
    12: "reflection",
    13: "crowd",
}
UNOCCLUDED = 0.9
_DETECTOR_COPY = re.compile(r"(MOT17-\d+)-(DPM|FRCNN|SDP)$")


class Mot:
    """Reads the sequences in a folder (such as ``MOT17/train``), or the one sequence that it is.

    Args:
        root: The folder of sequences.
        split: There are none: choose the folder.

    Raises:
        DatasetError: if there is no sequence with truth.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        self._root = open_root(root, MOT)
        self._folders = _find_sequences(self._root)

    @property
    def name(self) -> str:
        """``mot``."""
        return "mot"

    @property
    def root(self) -> Path:
        """The folder of sequences, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All frames with objects, sequence by sequence in natural order."""
        for folder in self._folders:
            images = _frames(folder)
            for frame, objects in sorted(_read_truth(folder / TRUTH).items()):
                if frame not in images:
                    raise DatasetError(f"{folder / TRUTH} has boxes in frame {frame}, for which there is no image")
                yield SourceImage(images[frame], folder.name, frame, tuple(objects))


def _find_sequences(root: Path) -> list[Path]:
    if (root / TRUTH).is_file():
        return [root]
    found: dict[str, Path] = {}
    for folder in sub_folders(root):
        if (folder / TRUTH).is_file():
            found.setdefault(_DETECTOR_COPY.sub(r"\1", folder.name), folder)
    if not found:
        raise wrong_root(f"<sequence>/{TRUTH}", root, MOT)
    return list(found.values())


def _frames(folder: Path) -> dict[int, Path]:
    """Images by the number in their name."""
    images = folder / "img1"
    settings = folder / "seqinfo.ini"
    if settings.is_file():
        images = inner_path(folder, _image_folder(settings), f"{settings}, imDir")
    frames = {number: path for path in list_images(images) if (number := last_number(path.stem)) is not None}
    if not frames:
        raise wrong_root(f"{images.name}/*.jpg", folder, MOT)
    return frames


def _image_folder(path: Path) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_bytes(path, 1 << 16).decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return parser.get("Sequence", "imDir", fallback="img1")


def _read_truth(path: Path) -> dict[int, list[AnnotatedObject]]:
    objects: dict[int, list[AnnotatedObject]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number}"
        parts = [part.strip() for part in line.split(",")]
        if len(parts) < FEWEST_COLUMNS:
            raise DatasetError(f"{where}: {line[:80]!r} is not an object; expected frame,id,x,y,w,h,…")
        objects.setdefault(whole(parts[0], where), []).append(_to_object(parts, where))
    return objects


def _to_object(parts: list[str], where: str) -> AnnotatedObject:
    x, y, width, height = (finite(part, where) for part in parts[2:6])
    columns = parts if _has_classes(parts) else parts[:7]
    considered, kind, visibility = (
        finite(columns[column], where) if column < len(columns) else missing
        for column, missing in ((6, 1.0), (7, -1.0), (8, -1.0))
    )
    marks = Mark.IGNORED if considered == 0 else Mark.NONE
    if visibility == 0:
        marks |= Mark.FULLY_OCCLUDED
    elif 0 < visibility < UNOCCLUDED:
        marks |= Mark.OCCLUDED
    return AnnotatedObject(
        box_xyxy=(x - 1, y - 1, x - 1 + width, y - 1 + height),
        track_id=whole(parts[1], where),
        category=CLASSES.get(int(kind), CLASSES[1]),
        marks=marks,
    )


def _has_classes(parts: list[str]) -> bool:
    """Whether class and visibility follow; MOT15's lines have ten columns, with world coordinates in their place."""
    return 7 < len(parts) < 10
