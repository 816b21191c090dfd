"""WIDER FACE: stills with boxes of faces.

Boxes are x, y, w, h, 0-based (a left of 0 is common). ``invalid`` faces are ``IGNORED``; partial and heavy
occlusion (1, 2) are ``OCCLUDED``; blur, expression, illumination and pose have no counterpart. Some faces have a
width or height of 0; a cache leaves them out as too small. An image with 0 faces is followed by one line of zeros
all the same: it is skipped.

Source: Yang et al., WIDER FACE: A Face Detection Benchmark, CVPR 2016; ``wider_face_split/readme.txt``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trackcli_cache.datasets import AnnotatedObject, Mark, SourceImage
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import finite, inner_path, open_root, read_lines, require_folders, whole, wrong_root
from trackcli_cache.readers.trees import WIDER_FACE

NUMBERS = 10
"""In a face's line: x, y, w, h, blur, expression, illumination, invalid, occlusion, pose."""
INVALID, OCCLUSION = 7, 8


class WiderFace:
    """Reads one split as one collection of stills.

    Args:
        root: The folder that holds ``wider_face_split/`` and ``WIDER_train/``.
        split: ``train`` or ``val``.

    Raises:
        DatasetError: if these are not there.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        self._split = split or "train"
        self._root = open_root(root, WIDER_FACE)
        require_folders(self._root, (f"WIDER_{self._split}/images",), WIDER_FACE)
        self._images = self._root / f"WIDER_{self._split}" / "images"
        self._file = self._root / "wider_face_split" / f"wider_face_{self._split}_bbx_gt.txt"
        if not self._file.is_file():
            raise wrong_root(f"wider_face_split/{self._file.name}", self._root, WIDER_FACE)

    @property
    def name(self) -> str:
        """``wider-face``."""
        return "wider-face"

    @property
    def root(self) -> Path:
        """The folder that holds ``WIDER_train/``, absolute."""
        return self._root

    def images(self) -> Iterator[SourceImage]:
        """All images with faces, in the file's order; faces are numbered through the split."""
        lines = read_lines(self._file)
        at = number = track_id = 0
        while at < len(lines):
            where = f"{self._file}, line {at + 1}"
            path = inner_path(self._images, lines[at], where)
            count = whole(lines[at + 1] if at + 1 < len(lines) else "", f"{self._file}, line {at + 2}: number of faces")
            at += 2
            if not 0 <= count <= len(lines) - at:
                raise DatasetError(f"{where}: {count} faces are announced, {len(lines) - at} lines follow")
            faces = tuple(self._face(lines[at + index], at + index, track_id + index) for index in range(count))
            at += count + (count == 0 and at < len(lines) and _is_empty_face(lines[at]))
            track_id += count
            if faces:
                yield SourceImage(path, self._split, number, faces, still=True)
            number += 1

    def _face(self, line: str, at: int, track_id: int) -> AnnotatedObject:
        where = f"{self._file}, line {at + 1}"
        parts = line.split()
        if len(parts) != NUMBERS:
            raise DatasetError(f"{where}: {line[:80]!r} is not a face; expected {NUMBERS} numbers")
        values = [finite(part, where) for part in parts]
        x, y, width, height = values[:4]
        marks = Mark.IGNORED if values[INVALID] else Mark.NONE
        if values[OCCLUSION]:
            marks |= Mark.OCCLUDED
        return AnnotatedObject((x, y, x + width, y + height), track_id, "face", marks=marks)


def _is_empty_face(line: str) -> bool:
    """The line of zeros after an image without faces; file names contain a slash."""
    return "/" not in line and len(line.split()) == NUMBERS
