"""Any dataset described by a list in pysot's form: ``{video: {video_dir, init_rect, img_names, gt_rect, attr}}``.

Boxes are x, y, width and height, kept as they are (pysot's lists are 0-based), or the eight numbers of VOT's polygons;
see :mod:`trackcli_cache.readers.vot` for these. ``init_rect`` is not read: it repeats the first entry of ``gt_rect``.
``absent``, in the list of LaSOT, is 1 where the target is *there* (pysot evaluates the frames in which it is 1).
``occlusion``, in the lists of VOT, is ``OCCLUDED``; VOT's tags also become attributes.

Source: pysot's and pysot-toolkit's readers of such lists.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import AnnotatedSequence, Mark
from trackcli_cache.errors import DatasetError
from trackcli_cache.readers.layout import MEBIBYTE, files_with, inner_path, open_root, read_json_object, wrong_root
from trackcli_cache.readers.sequence_reader import SequenceReader, mark_where
from trackcli_cache.readers.trees_tracking import PYSOT_JSON
from trackcli_cache.readers.vot import POLYGON, regions_of
from trackcli_cache.sequences import annotated_sequence
from trackcli_cache.tables import MAX_MAGNITUDE

LIST_LIMIT = 1024 * MEBIBYTE
"""Larger than the list of any known dataset."""

VOT_TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")


class PysotJson(SequenceReader):
    """Reads the sequences of one list, in its order.

    Args:
        root: The folder that holds the list and the images, or the list itself.
        split: There are none.

    Raises:
        DatasetError: if there is no list, more than one, or it is none of this form.
    """

    def __init__(self, root: Path, split: str | None = None) -> None:
        del split
        self._list = _find_list(root)
        self._videos = read_json_object(self._list, LIST_LIMIT)
        for name, video in self._videos.items():
            _check_video(name, video, self._list)
        if not self._videos:
            raise DatasetError(f"{self._list} names no video; expected\n{PYSOT_JSON}")
        super().__init__("pysot-json", self._list.parent, list(self._videos))

    def _read(self, name: str) -> AnnotatedSequence:
        video, where = self._videos[name], f"{self._list}, video {name!r}"
        frames = self._frames(video, where)
        polygons_xy, boxes_xywh = regions_of(
            [_read_region(row, f"{where}, gt_rect[{index}]") for index, row in enumerate(video["gt_rect"])]
        )
        if len(frames) != len(boxes_xywh):
            raise DatasetError(
                f"{where}: gt_rect has {len(boxes_xywh)} entries for the {len(frames)} images of img_names; "
                "expected one per image"
            )
        tags = {tag: _read_flags(video, tag, len(frames), where) for tag in VOT_TAGS if video.get(tag)}
        marks = np.zeros(len(frames), np.uint8)
        mark_where(marks, tags.get("occlusion", np.zeros(len(frames), np.bool_)), Mark.OCCLUDED)
        return annotated_sequence(
            name,
            frames,
            boxes_xywh,
            absent=~_read_flags(video, "absent", len(frames), where) if "absent" in video else None,
            marks=marks,
            attributes=(*_read_attributes(video, where), *(tag for tag, values in tags.items() if values.any())),
            polygons_xy=None if np.isnan(polygons_xy).all() else polygons_xy,
        )

    def _frames(self, video: dict[str, Any], where: str) -> list[Path]:
        """Images lie where the list's folder says; where their names are short, in ``video_dir``."""
        names = video["img_names"]
        folders = [self.root]
        if video.get("video_dir"):
            folders.append(inner_path(self.root, video["video_dir"], where))
        for folder in folders:
            frames = [inner_path(folder, image, where) for image in names]
            if frames and frames[0].is_file():
                return frames
        raise DatasetError(
            f"{where}: its first image {str(names[0]) if names else '(none)'!r:.80} is not in "
            f"{' or '.join(map(str, folders))}; put the list beside the sequences' folders"
        )


def _find_list(root: Path) -> Path:
    if root.expanduser().is_file():
        return root.expanduser().resolve()
    folder = open_root(root, PYSOT_JSON)
    found = [path for path in files_with(folder, ".json") if path.name[0] != "."]
    if not found:
        raise wrong_root("<name>.json", folder, PYSOT_JSON)
    if len(found) > 1:
        raise DatasetError(
            f"{folder} holds {len(found)} JSON files ({', '.join(path.name for path in found[:5])}); "
            f"name the one to read: --root {found[0]}"
        )
    return found[0]


def _check_video(name: str, video: Any, path: Path) -> None:
    lists = ("img_names", "gt_rect")
    if not isinstance(video, dict) or any(not isinstance(video.get(key), list) for key in lists):
        raise DatasetError(f"{path}: {name!r:.80} has no lists img_names and gt_rect; expected\n{PYSOT_JSON}")


def _read_region(row: Any, where: str) -> list[float]:
    if isinstance(row, list) and len(row) == 1 and isinstance(row[0], list):
        row = row[0]
    if not isinstance(row, list) or len(row) not in {1, 4, POLYGON} or not all(_is_number(value) for value in row):
        raise DatasetError(f"{where}: {row!r:.80} is not a box; expected [x, y, w, h] or eight numbers of a polygon")
    return [float(value) for value in row]


def _is_number(value: Any) -> bool:
    """NaN passes: it means absent."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > MAX_MAGNITUDE


def _read_flags(video: dict[str, Any], key: str, length: int, where: str) -> NDArray[np.bool_]:
    values = video[key]
    if not isinstance(values, list) or len(values) != length or any(value not in (0, 1) for value in values):
        raise DatasetError(f"{where}: {key} is not a list of {length} values of 0 or 1, one per image")
    return np.array(values, dtype=np.bool_)


def _read_attributes(video: dict[str, Any], where: str) -> tuple[str, ...]:
    values = video.get("attr") or []
    if not isinstance(values, list) or any(not isinstance(value, str) for value in values):
        raise DatasetError(f"{where}: attr {values!r:.80} is not a list of texts")
    return tuple(values)
