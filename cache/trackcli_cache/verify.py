"""Compare every byte of a cache with the checksums that were written with it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trackcli_cache.crop_files import CropFiles
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.manifest import Manifest, ShardEntry, read_manifest
from trackcli_cache.reader import open_shard
from trackcli_cache.shard import Shard
from trackcli_cache.shard_job import file_crc32


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written.

    Attributes:
        shard: Name of the file.
        record: Which of its records, from 0; ``None``: the file as a whole.
        source: Path of the record's source image; empty for a file.
        problem: What is wrong.
    """

    shard: str
    record: int | None
    source: str
    problem: str

    def __str__(self) -> str:
        if self.record is None:
            return f"{self.shard}: {self.problem}"
        return f"{self.shard}, record {self.record} ({self.source}): {self.problem}"


@dataclass(frozen=True)
class Verification:
    """What a check of all checksums found.

    Attributes:
        manifest: Of the cache.
        damaged: Everything that is wrong, in order; empty if all is well.
    """

    manifest: Manifest
    damaged: tuple[Damage, ...]


def verify_cache(folder: Path, *, on_shard: Callable[[int, int], None] = lambda done, total: None) -> Verification:
    """Check every shard's and every record's checksum.

    Args:
        folder: A finished cache.
        on_shard: Called after every shard with how many are done, and of how many.

    Raises:
        CacheFormatError: if it is no finished cache, or its manifest cannot be read.
    """
    folder = folder.expanduser().resolve()
    manifest = read_manifest(folder)
    damaged: list[Damage] = []
    for done, entry in enumerate(manifest.shards, start=1):
        damaged.extend(_check_shard(folder, entry, manifest))
        on_shard(done, len(manifest.shards))
    return Verification(manifest, tuple(damaged))


def _check_shard(folder: Path, entry: ShardEntry, manifest: Manifest) -> Iterator[Damage]:
    try:
        shard = open_shard(folder, entry, manifest.shard_context)
        checksum = file_crc32(folder / entry.name)
    except (CacheFormatError, OSError) as error:
        yield Damage(entry.name, None, "", str(error).removeprefix(f"{folder / entry.name}").lstrip(": "))
        return
    records = list(_check_records(folder / entry.name, entry, shard, manifest))
    yield from records
    if checksum != entry.crc32 and not records:
        problem = "its checksum differs from the manifest's, though every crop is as it was written: labels are damaged"
        yield Damage(entry.name, None, "", f"{problem}; build the cache again")


def _check_records(path: Path, entry: ShardEntry, shard: Shard, manifest: Manifest) -> Iterator[Damage]:
    files, columns, settings = CropFiles([path]), shard.columns, manifest.settings
    sides = {"exemplar_crop_side": settings.exemplar_crop_side, "search_crop_side": settings.search_crop_side}
    try:
        for index in range(len(columns)):
            for tier in ("exemplar", "search"):
                start = shard.crops_start + int(getattr(columns, f"{tier}_offset")[index])
                data = files.read(0, start, int(getattr(columns, f"{tier}_length")[index]))
                if zlib.crc32(data) != getattr(columns, f"{tier}_crc32")[index]:
                    source = columns.record(index, **sides).path
                    yield Damage(entry.name, index, source, f"the checksum of the {tier} crop differs")
    finally:
        files.close()
