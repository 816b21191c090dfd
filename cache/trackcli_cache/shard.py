"""One shard: an HDF5 file of plain contiguous arrays, written whole and read with suspicion."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.columns import COLUMNS, Columns, check_columns
from trackcli_cache.crops import Codec, raw_bytes
from trackcli_cache.errors import CacheFormatError, NewerFormatError
from trackcli_cache.settings import TierSettings

FORMAT_VERSION = 2
CROPS = "crops"
SKIPPED = "skipped_json"
MAX_COLUMN_BYTES = 2**31

_BYTES = np.dtype("|u1")


@dataclass(frozen=True)
class ShardContext:
    """What a shard must agree with.

    Attributes:
        build_id: The build that it must belong to.
        codec: How its crops are kept.
        settings: The tiers.
        sequences: How many sequences the cache names.
        categories: How many categories the cache names.
    """

    build_id: str
    codec: Codec
    settings: TierSettings
    sequences: int
    categories: int


@dataclass(frozen=True, eq=False)
class Shard:
    """What is read from a shard: everything but the crops.

    Attributes:
        columns: The metadata; crop offsets count from ``crops_start``.
        crops_start: Where the crops begin, in bytes from the start of the file.
        skipped_json: What was left out while this shard was built, as the builder wrote it.
    """

    columns: Columns
    crops_start: int
    skipped_json: bytes


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.h5"


def encode_shard(columns: Columns, crops: bytes, skipped_json: bytes, *, build_id: str, codec: Codec) -> memoryview:
    """Lay out a shard; the same content always gives the same bytes.

    Args:
        columns: The metadata.
        crops: All crops, one after another.
        skipped_json: What was left out.
        build_id: Ties the shard to the build it belongs to.
        codec: How crops are kept.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["trackcli_cache_version"] = FORMAT_VERSION
        file.attrs["build_id"] = build_id
        file.attrs["codec"] = codec
        file.create_dataset(CROPS, data=np.frombuffer(crops, np.uint8))
        file.create_dataset(SKIPPED, data=np.frombuffer(skipped_json, np.uint8))
        for column in COLUMNS:
            file.create_dataset(column.name, data=getattr(columns, column.name))
    return buffer.getbuffer()


def read_shard(path: Path, context: ShardContext) -> Shard:
    """Read and check a shard's metadata. The file is not trusted.

    Args:
        path: The file.
        context: What it must agree with.

    Raises:
        CacheFormatError: if it is missing, damaged, of another build or version, or reaches outside itself.
    """
    try:
        with h5py.File(path, "r", locking=False) as file, path.open("rb") as content:
            shard, crop_bytes = _read_open_shard(file, content, context)
        check_columns(shard.columns, crop_bytes=crop_bytes, sequences=context.sequences, categories=context.categories)
        if context.codec == "raw":
            _check_raw_lengths(shard.columns, context.settings)
    except NewerFormatError as error:
        raise NewerFormatError(f"{path} {error}") from error
    except CacheFormatError as error:
        raise CacheFormatError(f"{path}: {error}; build the cache again") from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CacheFormatError(
            f"{path} cannot be read ({_first_line(error)}); expected a shard of a crop cache; build the cache again"
        ) from error
    return shard


def check_version(version: object) -> None:
    """Refuse files of another format than this (*Raises* ``CacheFormatError``, ``NewerFormatError``)."""
    if isinstance(version, int | np.integer) and version > FORMAT_VERSION:
        raise NewerFormatError(
            f"has format version {version}; this trackcli-cache reads version {FORMAT_VERSION}: "
            "pip install --upgrade trackcli-cache"
        )
    if version != FORMAT_VERSION:
        raise CacheFormatError(
            f"has format version {version!s:.40}; this trackcli-cache reads version {FORMAT_VERSION}"
        )


def _check_raw_lengths(columns: Columns, settings: TierSettings) -> None:
    for tier, side in (("exemplar", settings.exemplar_crop_side), ("search", settings.search_crop_side)):
        if np.any(getattr(columns, f"{tier}_length") != raw_bytes(side)):
            raise CacheFormatError(f"{tier} crops are not all of the {raw_bytes(side)} bytes of {side}x{side} pixels")


def _read_open_shard(file: Any, content: BinaryIO, context: ShardContext) -> tuple[Shard, int]:
    """Everything but the crops, and how many bytes of crops there are."""
    check_version(file.attrs.get("trackcli_cache_version"))
    if file.attrs.get("build_id") != context.build_id:
        raise CacheFormatError("belongs to another build than the manifest")
    if file.attrs.get("codec") != context.codec:
        raise CacheFormatError(f"has crops of codec {file.attrs.get('codec')!s:.40}; expected {context.codec}")
    file_bytes = os.fstat(content.fileno()).st_size
    arrays = {}
    for column in COLUMNS:
        place = _find_dataset(file, column.name, column.metadata["dtype"], column.metadata["width"], file_bytes)
        arrays[column.name] = _read_array(content, place, column.name)
    crops = _find_dataset(file, CROPS, _BYTES, 0, file_bytes)
    skipped = _read_array(content, _find_dataset(file, SKIPPED, _BYTES, 0, file_bytes), SKIPPED)
    return Shard(Columns(**arrays), crops.start, skipped.tobytes()), crops.shape[0]


class _Place(NamedTuple):
    """Where in the file a dataset's bytes are."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def _find_dataset(file: Any, name: str, dtype: np.dtype[Any], width: int, file_bytes: int) -> _Place:
    """Find a dataset whose bytes all lie inside the file, unfiltered and in one piece; nothing is read yet.

    h5py's plain interface takes four times as long, and a large cache has thousands of shards.
    """
    group, key = file.id, name.encode()
    if not group.links.exists(key) or group.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise CacheFormatError(f"{name} is missing or a link; expected a dataset in this file")
    if h5py.h5o.get_info(group, key).type != h5py.h5o.TYPE_DATASET:
        raise CacheFormatError(f"{name} is not a dataset")
    dataset = h5py.h5d.open(group, key)
    layout = dataset.get_create_plist()
    if layout.get_layout() != h5py.h5d.CONTIGUOUS or layout.get_external_count() or layout.get_nfilters():
        raise CacheFormatError(
            f"{name} is stored outside this file, in chunks or filtered; expected contiguous storage"
        )
    shape = dataset.shape
    if dataset.dtype != dtype or len(shape or ()) != 1 + bool(width) or shape[1:] != ((width,) if width else ()):
        raise CacheFormatError(f"{name} has type {dataset.dtype} and shape {shape}; expected {dtype}")
    stored, wanted = dataset.get_storage_size(), math.prod(shape) * dtype.itemsize
    start = dataset.get_offset() or 0
    if wanted and (stored != wanted or start + wanted > file_bytes):
        raise CacheFormatError(f"{name} reaches beyond the end of the file (truncated?)")
    return _Place(start, shape, dtype)


def _read_array(content: BinaryIO, place: _Place, name: str) -> NDArray[Any]:
    """The dataset's bytes as they are: contiguous storage is the array itself."""
    wanted = math.prod(place.shape) * place.dtype.itemsize
    if wanted > MAX_COLUMN_BYTES:
        raise CacheFormatError(f"column {name} is larger than {MAX_COLUMN_BYTES} bytes")
    content.seek(place.start)
    data = bytearray(content.read(wanted))
    if len(data) != wanted:
        raise CacheFormatError(f"{name} reaches beyond the end of the file (truncated?)")
    return np.frombuffer(data, place.dtype).reshape(place.shape)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
