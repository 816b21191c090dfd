"""One shard: an HDF5 file of plain contiguous arrays, written whole and read with suspicion."""

from __future__ import annotations

import io
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trackcli_cache.columns import COLUMNS, Columns, check_columns
from trackcli_cache.crops import Codec, raw_bytes
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.settings import TierSettings

FORMAT_VERSION = 2
CROPS = "crops"
SKIPPED = "skipped_json"
MAX_COLUMN_BYTES = 2**31


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
        with h5py.File(path, "r", locking=False) as file:
            shard = _read_open_shard(file, path.stat().st_size, context)
            crop_bytes = file[CROPS].shape[0]
        check_columns(shard.columns, crop_bytes=crop_bytes, sequences=context.sequences, categories=context.categories)
        if context.codec == "raw":
            _check_raw_lengths(shard.columns, context.settings)
    except CacheFormatError as error:
        raise CacheFormatError(f"{path}: {error}; build the cache again") from error
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CacheFormatError(
            f"{path} cannot be read ({_first_line(error)}); expected a shard of a crop cache; build the cache again"
        ) from error
    return shard


def _check_raw_lengths(columns: Columns, settings: TierSettings) -> None:
    for tier, side in (("exemplar", settings.exemplar_crop_side), ("search", settings.search_crop_side)):
        if np.any(getattr(columns, f"{tier}_length") != raw_bytes(side)):
            raise CacheFormatError(f"{tier} crops are not all of the {raw_bytes(side)} bytes of {side}x{side} pixels")


def _read_open_shard(file: Any, file_bytes: int, context: ShardContext) -> Shard:
    version = file.attrs.get("trackcli_cache_version")
    if version != FORMAT_VERSION:
        raise CacheFormatError(f"format version {version!s:.40}; this trackcli reads version {FORMAT_VERSION}")
    if file.attrs.get("build_id") != context.build_id:
        raise CacheFormatError("belongs to another build than the manifest")
    if file.attrs.get("codec") != context.codec:
        raise CacheFormatError(f"has crops of codec {file.attrs.get('codec')!s:.40}; expected {context.codec}")
    arrays = {column.name: _read_column(file, column, file_bytes) for column in COLUMNS}
    crops = _plain_dataset(file, CROPS, np.dtype("|u1"), (), file_bytes)
    skipped = _plain_dataset(file, SKIPPED, np.dtype("|u1"), (), file_bytes)
    return Shard(Columns(**arrays), crops.id.get_offset() or 0, skipped[()].tobytes())


def _read_column(file: Any, column: Field[Any], file_bytes: int) -> NDArray[Any]:
    width = column.metadata["width"]
    dataset = _plain_dataset(file, column.name, column.metadata["dtype"], (width,) if width else (), file_bytes)
    if dataset.id.get_storage_size() > MAX_COLUMN_BYTES:
        raise CacheFormatError(f"column {column.name} is larger than {MAX_COLUMN_BYTES} bytes")
    array: NDArray[Any] = dataset[()]
    return array


def _plain_dataset(file: Any, name: str, dtype: np.dtype[Any], row_shape: tuple[int, ...], file_bytes: int) -> Any:
    """Return a dataset whose bytes all lie inside the file, unfiltered and in one piece; nothing is read yet."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise CacheFormatError(f"{name} is missing or a link; expected a dataset in this file")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise CacheFormatError(f"{name} is not a dataset")
    layout = dataset.id.get_create_plist()
    if layout.get_layout() != h5py.h5d.CONTIGUOUS or layout.get_external_count() or layout.get_nfilters():
        raise CacheFormatError(
            f"{name} is stored outside this file, in chunks or filtered; expected contiguous storage"
        )
    if dataset.dtype != dtype or dataset.ndim != 1 + len(row_shape) or dataset.shape[1:] != row_shape:
        raise CacheFormatError(f"{name} has type {dataset.dtype} and shape {dataset.shape}; expected {dtype}")
    stored, wanted = dataset.id.get_storage_size(), dataset.size * dtype.itemsize
    start = dataset.id.get_offset() or 0
    if wanted and (stored != wanted or start + wanted > file_bytes):
        raise CacheFormatError(f"{name} reaches beyond the end of the file (truncated?)")
    return dataset


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
