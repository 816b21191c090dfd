"""One shard from its task: found finished, or encoded and written beside its place. Runs in any process."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trackcli_cache.columns import columns_of
from trackcli_cache.division import ShardTask
from trackcli_cache.encode import EncodeSettings, encode_image
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.files import write_beside
from trackcli_cache.frames import FrameReader
from trackcli_cache.manifest import ShardEntry, Skipped
from trackcli_cache.shard import ShardContext, encode_shard, read_shard, shard_name

_CHUNK = 2**20


@dataclass(frozen=True)
class BuildPlan:
    """What all shards of a build have in common; small enough to be sent to every worker.

    Attributes:
        output: Folder of the cache.
        context: What marks a finished shard of this build.
        encode: What all images have in common.
    """

    output: Path
    context: ShardContext
    encode: EncodeSettings


@dataclass(frozen=True)
class ShardResult:
    """A shard that is there.

    Attributes:
        number: Its place among the cache's shards.
        entry: For the manifest.
        skipped: What was left out.
        absent: How many objects are out of view.
        images: How many images begin in it.
        part: File that holds it and waits for its name; ``None``: an earlier run finished it.
    """

    number: int
    entry: ShardEntry
    skipped: Skipped
    absent: int
    images: int
    part: Path | None


def finish_shard(plan: BuildPlan, task: ShardTask, frames: FrameReader, on_image: Callable[[], None]) -> ShardResult:
    """Keep a shard that an earlier run finished, or encode it and write it under a passing name.

    Args:
        plan: The build.
        task: The shard.
        frames: Reads the images.
        on_image: Called after every image that was encoded.

    Raises:
        CacheError: if it cannot be written.
    """
    return _find_finished(plan, task) or _make(plan, task, frames, on_image)


def _find_finished(plan: BuildPlan, task: ShardTask) -> ShardResult | None:
    path = plan.output / shard_name(task.number)
    try:
        shard = read_shard(path, plan.context)
        skipped = Skipped.from_dict(json.loads(shard.skipped_json))
        crc32 = file_crc32(path)
    except (CacheFormatError, ValueError, OSError):
        return None
    entry = ShardEntry(path.name, len(shard.columns), path.stat().st_size, crc32)
    return ShardResult(task.number, entry, skipped, len(shard.columns.absent_marks), task.images, part=None)


def _make(plan: BuildPlan, task: ShardTask, frames: FrameReader, on_image: Callable[[], None]) -> ShardResult:
    results = []
    for part in task.parts:
        results.append(encode_image(part, frames, plan.encode))
        if part.first == 0:
            on_image()
    records = [record for result in results for record in result.records]
    absent = [item for result in results for item in result.absent]
    skipped = Skipped.join(result.skipped for result in results)
    columns, crops = columns_of(records, absent)
    del results, records  # a raw shard's crops are 64 MiB; once is enough
    skipped_json = json.dumps(skipped.as_dict()).encode()
    content = encode_shard(columns, crops, skipped_json, build_id=plan.context.build_id, codec=plan.context.codec)
    path = plan.output / shard_name(task.number)
    entry = ShardEntry(path.name, len(columns), len(content), zlib.crc32(content))
    return ShardResult(task.number, entry, skipped, len(absent), task.images, write_beside(path, content))


def file_crc32(path: Path) -> int:
    """CRC-32 of a file's bytes, read piece by piece."""
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
