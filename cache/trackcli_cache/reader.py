"""Read a finished cache: metadata from memory, crops by positioned reads, from any thread and any process."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.columns import join_columns
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.jpeg import decode_crop
from trackcli_cache.manifest import Manifest, SequenceEntry, ShardEntry, read_manifest
from trackcli_cache.records import Record
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import Shard, read_shard

_READ_ONLY = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_SEEKING = threading.Lock()


class CropCache:
    """A finished cache. Everything but the crops is in memory; opening reads each shard's metadata once.

    Indices run over all records of all shards. The cache may be shared by threads, survives ``fork``, and pickles as
    its path (a spawned process opens it again).

    Example:
        >>> with CropCache.open(Path("my-cache")) as cache:
        ...     record = cache.record(0)
        ...     crop = cache.search_crop(0)
        >>> crop.shape
        (432, 432, 3)
    """

    def __init__(self, path: Path, manifest: Manifest, shards: list[Shard]) -> None:
        self._path = path
        self._manifest = manifest
        self._columns = join_columns([shard.columns for shard in shards])
        self._jpeg_starts = [shard.jpeg_start for shard in shards]
        self._first_records = np.cumsum([0] + [entry.records for entry in manifest.shards])
        self._descriptors: dict[int, int] = {}
        self._finalizer = weakref.finalize(self, _close_all, self._descriptors)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a cache folder.

        Raises:
            CacheFormatError: if it is no finished cache, or a shard is missing, truncated, damaged or hostile.
        """
        path = Path(path).expanduser().resolve()
        manifest = read_manifest(path)
        return cls(path, manifest, [_open_shard(path, entry, manifest) for entry in manifest.shards])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).open, (self._path,)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's files; metadata stays readable, crops open them again."""
        _close_all(self._descriptors)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def path(self) -> Path:
        """The cache's folder, absolute."""
        return self._path

    @property
    def manifest(self) -> Manifest:
        """Where the cache came from, its shards, and what was left out."""
        return self._manifest

    @property
    def settings(self) -> TierSettings:
        """The tiers; ``settings.search_crop_side`` is the side of every search crop."""
        return self._manifest.settings

    @property
    def sequences(self) -> tuple[SequenceEntry, ...]:
        """Videos and collections of stills that ``sequence_ids`` point into."""
        return self._manifest.sequences

    @property
    def categories(self) -> tuple[str, ...]:
        """Names that ``category_ids`` point into."""
        return self._manifest.categories

    @property
    def sequence_ids(self) -> NDArray[np.int32]:
        """``(N,)`` sequence of each record."""
        return self._columns.sequence_id

    @property
    def frame_numbers(self) -> NDArray[np.int64]:
        """``(N,)`` frame number of each record, in frames of the original video."""
        return self._columns.frame_number

    @property
    def category_ids(self) -> NDArray[np.int32]:
        """``(N,)`` category of each record's target, -1 where there is none."""
        return self._columns.category_id

    @property
    def track_ids(self) -> NDArray[np.int64]:
        """``(N,)`` track of each record; with the sequence it tells which object this is."""
        return self._columns.track_id

    @property
    def target_sizes(self) -> NDArray[np.float64]:
        """``(N, 2)`` width and height of each target in source pixels."""
        boxes_xyxy, windows_xyxy = self._columns.box_xyxy, self._columns.search_window_xyxy
        source_per_crop = (windows_xyxy[:, 2:] - windows_xyxy[:, :2]) / self.settings.search_crop_side
        return (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * source_per_crop

    @property
    def has_polygon(self) -> NDArray[np.bool_]:
        """``(N,)`` whether the target's outline is known."""
        return np.diff(self._columns.target_polygon_offsets) > 0

    @property
    def absent_frames(self) -> NDArray[np.int64]:
        """``(K, 3)`` sequence, frame number and track of objects marked as out of view (they have no record)."""
        return self._columns.absent_sequence_frame_track

    def record(self, index: int) -> Record:
        """Everything about one record but its pixels; nothing is decoded.

        Raises:
            IndexError: if there is no such record.
        """
        return self._columns.record(
            self._checked(index),
            exemplar_crop_side=self.settings.exemplar_crop_side,
            search_crop_side=self.settings.search_crop_side,
        )

    def search_crop(self, index: int) -> NDArray[np.uint8]:
        """``(432, 432, 3)`` uint8 RGB (by default): the target in its wider surroundings.

        Raises:
            IndexError: if there is no such record.
            CacheFormatError: if the crop is damaged.
        """
        index = self._checked(index)
        columns = self._columns
        side = self.settings.search_crop_side
        return self._crop(index, int(columns.search_offset[index]), int(columns.search_length[index]), side)

    def exemplar_crop(self, index: int) -> NDArray[np.uint8]:
        """``(144, 144, 3)`` uint8 RGB (by default): the target and its close context.

        Raises:
            IndexError: if there is no such record.
            CacheFormatError: if the crop is damaged.
        """
        index = self._checked(index)
        columns = self._columns
        side = self.settings.exemplar_crop_side
        return self._crop(index, int(columns.exemplar_offset[index]), int(columns.exemplar_length[index]), side)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}; expected 0 to {len(self) - 1}")
        return int(index)

    def _crop(self, index: int, offset: int, length: int, side: int) -> NDArray[np.uint8]:
        shard = int(np.searchsorted(self._first_records, index, side="right")) - 1
        name = self._manifest.shards[shard].name
        try:
            data = _read_at(self._descriptor(shard), self._jpeg_starts[shard] + offset, length)
            return decode_crop(data, side)
        except CacheFormatError as error:
            record = index - int(self._first_records[shard])
            raise CacheFormatError(f"{self._path / name}, record {record}: {error}; build the cache again") from error

    def _descriptor(self, shard: int) -> int:
        """This process's file descriptor of a shard. Threads that race for it agree without a lock."""
        known = self._descriptors.get(shard)
        if known is not None:
            return known
        path = self._path / self._manifest.shards[shard].name
        try:
            opened = os.open(path, _READ_ONLY)
        except OSError as error:
            raise CacheFormatError(f"cannot be opened: {error.strerror}") from error
        agreed = self._descriptors.setdefault(shard, opened)
        if agreed != opened:
            os.close(opened)
        return agreed


def _open_shard(folder: Path, entry: ShardEntry, manifest: Manifest) -> Shard:
    path = folder / entry.name
    if not path.is_file():
        raise CacheFormatError(f"{path} is missing; run the same cache build again to make it")
    if path.stat().st_size != entry.size_bytes:
        raise CacheFormatError(
            f"{path} has {path.stat().st_size} bytes; expected {entry.size_bytes}; run the same cache build again"
        )
    shard = read_shard(
        path, build_id=manifest.build_id, sequences=len(manifest.sequences), categories=len(manifest.categories)
    )
    if len(shard.columns) != entry.records:
        raise CacheFormatError(
            f"{path} has {len(shard.columns)} records; expected {entry.records}; build the cache again"
        )
    return shard


def _seek_and_read(descriptor: int, length: int, offset: int) -> bytes:
    """``os.pread`` for systems without it: one reader at a time."""
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)


_positioned_read = getattr(os, "pread", _seek_and_read)


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    data = _positioned_read(descriptor, length, offset)
    while len(data) < length:  # a read may return less than was asked for
        more = _positioned_read(descriptor, length - len(data), offset + len(data))
        if not more:
            raise CacheFormatError("the file ends before the crop does")
        data += more
    return data


def _close_all(descriptors: dict[int, int]) -> None:
    while descriptors:
        _, descriptor = descriptors.popitem()
        os.close(descriptor)
