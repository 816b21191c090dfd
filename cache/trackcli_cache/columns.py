"""The arrays of a shard: every column's type, shape and meaning, stated once for the writer and the reader.

Lists of different lengths ("ragged") are kept as one flat array and offsets into it: the parts of item ``i`` are
``flat[offsets[i] : offsets[i + 1]]``. An outline belongs to a target or to another object, and has points:

    record ─target_polygon_offsets→ polygon of the target ─target_point_offsets→ target_points_xy
    record ─other_offsets→ other object ─other_polygon_offsets→ its polygon ─other_point_offsets→ other_points_xy
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.datasets import Mark
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.records import AbsentObject, EncodedRecord, Polygons, Record


def _rows(dtype: str, axis: str, *, width: int = 0) -> dict[str, Any]:
    """Describe a column of one row per item of ``axis``; ``width`` numbers a row (0: a plain number)."""
    return {"dtype": np.dtype(dtype), "axis": axis, "width": width, "offsets_into": ""}


def _offsets(axis: str, into: str) -> dict[str, Any]:
    """Describe offsets: one more than there are items of ``axis``, growing from 0 to the number of ``into``."""
    return {"dtype": np.dtype("<i8"), "axis": f"{axis} + 1", "width": 0, "offsets_into": into}


@dataclass(frozen=True, eq=False)
class Columns:
    """All arrays of one shard, or of several one after another. The declarations are the format."""

    exemplar_offset: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    exemplar_length: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    exemplar_crc32: NDArray[np.uint32] = field(metadata=_rows("<u4", "record"))
    search_offset: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    search_length: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    search_crc32: NDArray[np.uint32] = field(metadata=_rows("<u4", "record"))
    box_xyxy: NDArray[np.float64] = field(metadata=_rows("<f8", "record", width=4))
    search_window_xyxy: NDArray[np.int64] = field(metadata=_rows("<i8", "record", width=4))
    exemplar_window_xyxy: NDArray[np.int64] = field(metadata=_rows("<i8", "record", width=4))
    image_size_wh: NDArray[np.int32] = field(metadata=_rows("<i4", "record", width=2))
    sequence_id: NDArray[np.int32] = field(metadata=_rows("<i4", "record"))
    frame_number: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    video_frame: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    category_id: NDArray[np.int32] = field(metadata=_rows("<i4", "record"))
    track_id: NDArray[np.int64] = field(metadata=_rows("<i8", "record"))
    marks: NDArray[np.uint8] = field(metadata=_rows("|u1", "record"))
    path_offsets: NDArray[np.int64] = field(metadata=_offsets("record", "path_byte"))
    path_utf8: NDArray[np.uint8] = field(metadata=_rows("|u1", "path_byte"))
    target_polygon_offsets: NDArray[np.int64] = field(metadata=_offsets("record", "target_polygon"))
    target_point_offsets: NDArray[np.int64] = field(metadata=_offsets("target_polygon", "target_point"))
    target_points_xy: NDArray[np.float32] = field(metadata=_rows("<f4", "target_point", width=2))
    other_offsets: NDArray[np.int64] = field(metadata=_offsets("record", "other"))
    other_box_xyxy: NDArray[np.float64] = field(metadata=_rows("<f8", "other", width=4))
    other_category_id: NDArray[np.int32] = field(metadata=_rows("<i4", "other"))
    other_track_id: NDArray[np.int64] = field(metadata=_rows("<i8", "other"))
    other_marks: NDArray[np.uint8] = field(metadata=_rows("|u1", "other"))
    other_polygon_offsets: NDArray[np.int64] = field(metadata=_offsets("other", "other_polygon"))
    other_point_offsets: NDArray[np.int64] = field(metadata=_offsets("other_polygon", "other_point"))
    other_points_xy: NDArray[np.float32] = field(metadata=_rows("<f4", "other_point", width=2))
    absent_sequence_frame_track: NDArray[np.int64] = field(metadata=_rows("<i8", "absent", width=3))
    absent_marks: NDArray[np.uint8] = field(metadata=_rows("|u1", "absent"))

    def __len__(self) -> int:
        return len(self.sequence_id)

    def record(self, index: int, *, exemplar_crop_side: int, search_crop_side: int) -> Record:
        """Put one row together; the crop sides are the cache's."""
        first, last = self.other_offsets[index : index + 2]
        path = self.path_utf8[slice(*self.path_offsets[index : index + 2])].tobytes()
        width, height = self.image_size_wh[index]
        video_frame = int(self.video_frame[index])
        return Record(
            box_xyxy=self.box_xyxy[index],
            search_window_xyxy=self.search_window_xyxy[index],
            exemplar_window_xyxy=self.exemplar_window_xyxy[index],
            search_crop_side=search_crop_side,
            exemplar_crop_side=exemplar_crop_side,
            image_size_wh=(int(width), int(height)),
            sequence_id=int(self.sequence_id[index]),
            frame_number=int(self.frame_number[index]),
            category_id=int(self.category_id[index]),
            video_frame=None if video_frame == NO_VIDEO else video_frame,
            track_id=int(self.track_id[index]),
            marks=Mark(int(self.marks[index])),
            path=path.decode("utf-8", errors="replace"),
            target_polygons=self._target_polygons(index),
            other_boxes_xyxy=self.other_box_xyxy[first:last],
            other_category_ids=self.other_category_id[first:last],
            other_track_ids=self.other_track_id[first:last],
            other_marks=self.other_marks[first:last],
            other_polygons=tuple(self._other_polygons(other) for other in range(first, last)),
        )

    def _target_polygons(self, index: int) -> Polygons:
        first, last = self.target_polygon_offsets[index : index + 2]
        return _pieces(self.target_points_xy, self.target_point_offsets[first : last + 1])

    def _other_polygons(self, other: int) -> Polygons:
        first, last = self.other_polygon_offsets[other : other + 2]
        return _pieces(self.other_points_xy, self.other_point_offsets[first : last + 1])


NO_VIDEO = -1
ALL_MARKS = sum(Mark)

COLUMNS: tuple[Field[Any], ...] = fields(Columns)


def columns_of(encoded: Sequence[EncodedRecord], absent: Sequence[AbsentObject]) -> tuple[Columns, bytes]:
    """Turn records into columns and one string of bytes with all crops, exemplar before search, record by record.

    Args:
        encoded: The records in order.
        absent: Objects that are out of view.

    Returns:
        The columns and the crops' bytes that their offsets point into.
    """
    records = [item.record for item in encoded]
    lengths = np.array([[len(item.exemplar), len(item.search)] for item in encoded], np.int64).reshape(-1, 2)
    starts = _running_total(lengths.reshape(-1))[:-1].reshape(-1, 2)
    paths = [record.path.encode("utf-8") for record in records]
    targets = [record.target_polygons for record in records]
    target_outlines = [points for polygons in targets for points in polygons]
    others = [polygons for record in records for polygons in record.other_polygons]
    other_outlines = [points for polygons in others for points in polygons]
    raw: dict[str, Any] = {
        "exemplar_offset": starts[:, 0],
        "exemplar_length": lengths[:, 0],
        "exemplar_crc32": [zlib.crc32(item.exemplar) for item in encoded],
        "search_offset": starts[:, 1],
        "search_length": lengths[:, 1],
        "search_crc32": [zlib.crc32(item.search) for item in encoded],
        "box_xyxy": [record.box_xyxy for record in records],
        "search_window_xyxy": [record.search_window_xyxy for record in records],
        "exemplar_window_xyxy": [record.exemplar_window_xyxy for record in records],
        "image_size_wh": [record.image_size_wh for record in records],
        "sequence_id": [record.sequence_id for record in records],
        "frame_number": [record.frame_number for record in records],
        "video_frame": [NO_VIDEO if record.video_frame is None else record.video_frame for record in records],
        "category_id": [record.category_id for record in records],
        "track_id": [record.track_id for record in records],
        "marks": [int(record.marks) for record in records],
        "path_offsets": _offsets_of(paths),
        "path_utf8": np.frombuffer(b"".join(paths), np.uint8),
        "target_polygon_offsets": _offsets_of(targets),
        "target_point_offsets": _offsets_of(target_outlines),
        "target_points_xy": _joined(target_outlines),
        "other_offsets": _offsets_of([record.other_track_ids for record in records]),
        "other_box_xyxy": _joined([record.other_boxes_xyxy for record in records]),
        "other_category_id": _joined([record.other_category_ids for record in records]),
        "other_track_id": _joined([record.other_track_ids for record in records]),
        "other_marks": _joined([record.other_marks for record in records]),
        "other_polygon_offsets": _offsets_of(others),
        "other_point_offsets": _offsets_of(other_outlines),
        "other_points_xy": _joined(other_outlines),
        "absent_sequence_frame_track": [(item.sequence_id, item.frame_number, item.track_id) for item in absent],
        "absent_marks": [item.marks for item in absent],
    }
    arrays = {column.name: _as_column(raw[column.name], column) for column in COLUMNS}
    return Columns(**arrays), b"".join(crop for item in encoded for crop in (item.exemplar, item.search))


def join_columns(parts: Sequence[Columns]) -> Columns:
    """Put the columns of several shards one after another; crop offsets stay relative to their own shard."""
    arrays: dict[str, NDArray[Any]] = {}
    for column in COLUMNS:
        pieces = [getattr(part, column.name) for part in parts]
        join = _join_offsets if column.metadata["offsets_into"] else _joined
        arrays[column.name] = _as_column(join(pieces), column)
    return Columns(**arrays)


def check_columns(columns: Columns, *, crop_bytes: int, sequences: int, categories: int) -> None:
    """Check that arrays read from a file point only to where there is something.

    Types and shapes are checked when the arrays are read.

    Args:
        columns: What to check.
        crop_bytes: How many bytes of crops there are.
        sequences: How many sequences the cache names.
        categories: How many categories the cache names.

    Raises:
        CacheFormatError: naming the column that is wrong.
    """
    rows = {column.metadata["axis"]: len(getattr(columns, column.name)) for column in reversed(COLUMNS)}
    rows["target_polygon"] = len(columns.target_point_offsets) - 1
    rows["other_polygon"] = len(columns.other_point_offsets) - 1
    for column in COLUMNS:
        _check_column(getattr(columns, column.name), column, rows)
    for tier in ("exemplar", "search"):
        _check_crops(getattr(columns, f"{tier}_offset"), getattr(columns, f"{tier}_length"), crop_bytes, tier)
        _check_windows(getattr(columns, f"{tier}_window_xyxy"), tier)
    _check_range(columns.sequence_id, 0, sequences, "sequence_id")
    _check_range(columns.category_id, -1, categories, "category_id")
    _check_range(columns.other_category_id, -1, categories, "other_category_id")
    for name in ("marks", "other_marks", "absent_marks"):
        if np.any(getattr(columns, name) & ~np.uint8(ALL_MARKS)):
            raise CacheFormatError(f"column {name} holds bits that are no marks")
    _check_range(columns.absent_sequence_frame_track[:, 0], 0, sequences, "absent_sequence_frame_track")


def _check_column(values: NDArray[Any], column: Field[Any], rows: dict[str, int]) -> None:
    name, axis, target = column.name, column.metadata["axis"], column.metadata["offsets_into"]
    expected = rows[axis.removesuffix(" + 1")] + axis.endswith(" + 1")
    if len(values) != expected:
        raise CacheFormatError(f"column {name} has {len(values)} rows; expected {expected}")
    if target and (values[0] != 0 or values[-1] != rows[target] or np.any(values[1:] < values[:-1])):
        raise CacheFormatError(f"column {name} does not grow from 0 to {rows[target]}")
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise CacheFormatError(f"column {name} holds numbers that are not finite")


def _check_crops(offsets: NDArray[np.int64], lengths: NDArray[np.int64], crop_bytes: int, tier: str) -> None:
    # Compared without adding, so that huge numbers cannot wrap around.
    if np.any(offsets < 0) or np.any(lengths < 1) or np.any(lengths > crop_bytes - np.minimum(offsets, crop_bytes)):
        raise CacheFormatError(f"{tier} crops lie outside the {crop_bytes} bytes of crops")


def _check_windows(windows_xyxy: NDArray[np.int64], tier: str) -> None:
    limit = 2**31
    small = np.all((windows_xyxy > -limit) & (windows_xyxy < limit))
    sides = windows_xyxy[:, 2:] - windows_xyxy[:, :2]
    if not small or np.any(sides < 1) or np.any(sides[:, 0] != sides[:, 1]):
        raise CacheFormatError(f"{tier}_window_xyxy holds windows that are no squares")


def _check_range(values: NDArray[Any], low: int, high: int, name: str) -> None:
    if np.any((values < low) | (values >= high)):
        raise CacheFormatError(f"column {name} points outside the {high} names in the manifest")


def _as_column(values: Any, column: Field[Any]) -> NDArray[Any]:
    width = column.metadata["width"]
    return np.asarray(values, dtype=column.metadata["dtype"]).reshape((-1, width) if width else (-1,))


def _pieces(points_xy: NDArray[np.float32], offsets: NDArray[np.int64]) -> Polygons:
    return tuple(points_xy[first:last] for first, last in pairwise(offsets))


def _offsets_of(items: Sequence[Any]) -> NDArray[np.int64]:
    return _running_total(np.array([len(item) for item in items], np.int64))


def _running_total(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _joined(pieces: Sequence[NDArray[Any]]) -> Any:
    return np.concatenate(pieces) if pieces else []


def _join_offsets(pieces: Sequence[NDArray[np.int64]]) -> Any:
    return _running_total(_joined([np.diff(piece) for piece in pieces]))
