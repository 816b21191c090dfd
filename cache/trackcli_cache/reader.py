"""Read a finished cache: metadata from memory, crops by positioned reads, from any thread and any process."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from trackcli_cache.columns import Columns, join_columns
from trackcli_cache.crop_files import CropFiles
from trackcli_cache.crops import Codec
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.jpeg import decode_rows
from trackcli_cache.manifest import Manifest, SequenceEntry, ShardEntry, read_manifest
from trackcli_cache.records import Record
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import Shard, ShardContext, read_shard


class _Tier(NamedTuple):
    """Where the crops of one of the two sizes are."""

    name: str
    side: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    checksums: NDArray[np.uint32]


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
        self._columns = columns = join_columns([shard.columns for shard in shards])
        self._crops_starts = [shard.crops_start for shard in shards]
        self._first_records = list(accumulate((entry.records for entry in manifest.shards), initial=0))
        self._is_raw = manifest.codec == "raw"
        sides = manifest.settings
        self._exemplar = _Tier(
            "exemplar",
            sides.exemplar_crop_side,
            columns.exemplar_offset,
            columns.exemplar_length,
            columns.exemplar_crc32,
        )
        self._search = _Tier(
            "search", sides.search_crop_side, columns.search_offset, columns.search_length, columns.search_crc32
        )
        self._files = CropFiles([path / entry.name for entry in manifest.shards])

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a cache folder.

        Raises:
            CacheFormatError: if it is no finished cache, or a shard is missing, truncated, damaged or hostile.
        """
        path = Path(path).expanduser().resolve()
        manifest = read_manifest(path)
        context = manifest.shard_context
        return cls(path, manifest, [open_shard(path, entry, context) for entry in manifest.shards])

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
        self._files.close()

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
    def codec(self) -> Codec:
        """``jpeg``: crops are decoded; ``raw``: they are read as they are."""
        return self._manifest.codec

    @property
    def sequences(self) -> tuple[SequenceEntry, ...]:
        """Videos and collections of stills that ``sequence_ids`` point into."""
        return self._manifest.sequences

    @property
    def categories(self) -> tuple[str, ...]:
        """Names that ``category_ids`` point into."""
        return self._manifest.categories

    @property
    def columns(self) -> Columns:
        """All records' labels as flat arrays; not to be changed."""
        return self._columns

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
    def marks(self) -> NDArray[np.uint8]:
        """``(N,)`` what the dataset says about each target: bits of :class:`~trackcli_cache.datasets.Mark`."""
        return self._columns.marks

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

    @property
    def absent_marks(self) -> NDArray[np.uint8]:
        """``(K,)`` what the dataset says about each of ``absent_frames``: bits of ``Mark``."""
        return self._columns.absent_marks

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
        return self._crop(index, self._search, None)

    def exemplar_crop(self, index: int) -> NDArray[np.uint8]:
        """``(144, 144, 3)`` uint8 RGB (by default): the target and its close context.

        Raises:
            IndexError: if there is no such record.
            CacheFormatError: if the crop is damaged.
        """
        return self._crop(index, self._exemplar, None)

    def read_search_into(self, index: int, out: NDArray[np.uint8]) -> None:
        """Put a search crop into an array that is there already; raw crops are read into it without a copy.

        Args:
            index: Which record.
            out: ``(432, 432, 3)`` (by default) uint8, contiguous and writable.

        Raises:
            IndexError: if there is no such record.
            ValueError: if the array has another shape or type.
            CacheFormatError: if the crop is damaged.
        """
        self._crop(index, self._search, out)

    def read_exemplar_into(self, index: int, out: NDArray[np.uint8]) -> None:
        """Like :meth:`read_search_into` for the exemplar crop, ``(144, 144, 3)`` by default."""
        self._crop(index, self._exemplar, out)

    def search_rows(self, index: int, first: int, stop: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """``(stop - first, 432, 3)`` uint8 RGB: some rows of a search crop; of a raw one nothing else is read.

        Args:
            index: Which record.
            first: The first row.
            stop: The row after the last.
            out: ``(432, 432, 3)`` (by default) uint8, contiguous and writable: memory to be used. The rows are then a
                part of it, somewhere. New memory, for every crop, takes a fifth of the time of decoding one.

        Raises:
            IndexError: if there is no such record, or there are no such rows.
            ValueError: if the array has another shape or type.
            CacheFormatError: if the crop is damaged.
        """
        return self._rows(index, self._search, first, stop, out)

    def exemplar_rows(
        self, index: int, first: int, stop: int, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Like :meth:`search_rows` for the exemplar crop, ``(144, 144, 3)`` by default."""
        return self._rows(index, self._exemplar, first, stop, out)

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}; expected 0 to {len(self) - 1}")
        return int(index)

    def _rows(self, index: int, tier: _Tier, first: int, stop: int, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        if not 0 <= first <= stop <= tier.side:
            raise IndexError(f"rows {first} to {stop} of a crop of {tier.side} rows")
        index = self._checked(index)
        if out is not None:
            _check_buffer(out, tier.side)
        if not self._is_raw:
            return self._decoded(index, tier, first, stop, out)
        rows = np.empty((stop - first, tier.side, 3), np.uint8) if out is None else out[: stop - first]
        self._read_raw(index, tier, first * tier.side * 3, rows)
        return rows

    def _crop(self, index: int, tier: _Tier, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        index = self._checked(index)
        if out is not None:
            _check_buffer(out, tier.side)
        if self._is_raw:
            crop = np.empty((tier.side, tier.side, 3), np.uint8) if out is None else out
            self._read_raw(index, tier, 0, crop)
            return crop
        return self._decoded(index, tier, 0, tier.side, out)

    def _decoded(
        self, index: int, tier: _Tier, first: int, stop: int, out: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        shard, start = self._place(index, tier)
        try:
            data = self._files.read(shard, start, tier.lengths.item(index))
            # It costs a hundredth of decoding; a raw crop's would cost as much as reading it.
            if zlib.crc32(data) != tier.checksums.item(index):
                raise CacheFormatError(f"the {tier.name} crop is damaged: its checksum differs")
            return decode_rows(data, tier.side, first, stop, out)
        except CacheFormatError as error:
            raise self._at(index, shard, error) from error

    def _read_raw(self, index: int, tier: _Tier, skip: int, out: NDArray[np.uint8]) -> None:
        shard, start = self._place(index, tier)
        try:
            self._files.read_into(shard, start + skip, out)
        except CacheFormatError as error:
            raise self._at(index, shard, error) from error

    def _place(self, index: int, tier: _Tier) -> tuple[int, int]:
        """A crop's shard, and where in the file it begins."""
        shard = bisect_right(self._first_records, index) - 1
        return shard, self._crops_starts[shard] + tier.offsets.item(index)

    def _at(self, index: int, shard: int, error: CacheFormatError) -> CacheFormatError:
        record, name = index - self._first_records[shard], self._manifest.shards[shard].name
        return CacheFormatError(f"{self._path / name}, record {record}: {error}; build the cache again")


def open_shard(folder: Path, entry: ShardEntry, context: ShardContext) -> Shard:
    """Read the metadata of one of a cache's shards, and check it against the manifest.

    Raises:
        CacheFormatError: if it is missing, truncated, damaged or hostile.
    """
    path = folder / entry.name
    if not path.is_file():
        raise CacheFormatError(f"{path} is missing; run the same cache build again to make it")
    if path.stat().st_size != entry.size_bytes:
        raise CacheFormatError(
            f"{path} has {path.stat().st_size} bytes; expected {entry.size_bytes}; run the same cache build again"
        )
    shard = read_shard(path, context)
    if len(shard.columns) != entry.records:
        raise CacheFormatError(
            f"{path} has {len(shard.columns)} records; expected {entry.records}; build the cache again"
        )
    return shard


def _check_buffer(out: NDArray[np.uint8], side: int) -> None:
    if out.shape != (side, side, 3) or out.dtype != np.uint8 or not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(
            f"out is {out.dtype} of shape {out.shape}; expected writable, contiguous uint8 of shape {(side, side, 3)}"
        )
