"""Join the parts that the jobs of a cluster built in folders of their own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from trackcli_cache.claim import another_cache, refuse_foreign_folder, remove_cache
from trackcli_cache.errors import CacheError, CacheFormatError
from trackcli_cache.files import PART_SUFFIX, only_writer, publish, write_whole
from trackcli_cache.manifest import BUILDING_NAME, MANIFEST_NAME, Manifest, ShardEntry, read_json
from trackcli_cache.parts import PART_PATTERN, PartManifest, join_manifests, missing_parts, read_parts
from trackcli_cache.shard import ShardContext, read_shard
from trackcli_cache.shard_job import file_crc32


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    Attributes:
        manifest: Of the whole cache.
        linked: Shards that share their bytes with the parts' (hard links).
        copied: Shards that had to be copied, to another disk for example.
        kept: Shards that were there already.
    """

    manifest: Manifest
    linked: int
    copied: int
    kept: int


def merge_caches(
    folders: Sequence[Path],
    output: Path,
    *,
    force: bool = False,
    on_shard: Callable[[int, int], None] = lambda done, total: None,
) -> MergeReport:
    """Make one cache of all the parts of a build; the parts stay as they are.

    Interrupted, the same call continues. The result has the bytes of a build in one go.

    Args:
        folders: Where the parts are; a folder may hold several.
        output: Folder of the whole cache; made if missing. It may be one of ``folders``.
        force: Replace another cache in ``output``.
        on_shard: Called after every shard with how many are done, and of how many.

    Raises:
        CacheFormatError: if the folders do not hold every part of one build exactly once, or a shard is damaged.
        CacheError: if another process writes to ``output``, or a file cannot be written.
    """
    folders = [folder.expanduser().resolve() for folder in folders]  # one folder may have several names
    output = output.expanduser().resolve()
    parts = _collect(folders)
    manifest = join_manifests(parts)
    refuse_foreign_folder(output)
    with only_writer(output):
        _claim(output, manifest, force=force and output not in folders)
        made = {"linked": 0, "copied": 0, "kept": 0}
        total = len(manifest.shards)
        for part in parts:
            for entry in part.manifest.shards:
                made[_bring(entry, part.folder, output, manifest.shard_context)] += 1
                on_shard(sum(made.values()), total)
        write_whole(output / MANIFEST_NAME, manifest.to_json())
        for path in output.glob(PART_PATTERN):
            path.unlink(missing_ok=True)
        (output / BUILDING_NAME).unlink(missing_ok=True)
    return MergeReport(manifest, **made)


def _collect(folders: Sequence[Path]) -> list[PartManifest]:
    parts: list[PartManifest] = []
    for folder in folders:
        found = read_parts(folder)
        if not found:
            raise _no_parts(folder)
        parts += found
    parts.sort(key=lambda item: item.part)
    for first, other in pairwise(parts):
        _check_pair(first, other)
    missing = missing_parts(parts)
    if missing:
        names = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise CacheFormatError(
            f"{len(missing)} of {parts[0].part.of} parts are missing: {names}; build them with --shard, or name their "
            "folders too"
        )
    return parts


def _check_pair(first: PartManifest, other: PartManifest) -> None:
    if first.manifest.build_id != other.manifest.build_id:
        raise CacheFormatError(
            f"{first.folder} and {other.folder} are parts of different caches: their images, boxes, settings, codec or "
            "--limit differ; merge the parts of one build"
        )
    if first.part.of != other.part.of:
        raise CacheFormatError(
            f"{first.folder} holds part {first.part} and {other.folder} part {other.part}; expected parts of one number"
        )
    if first.part == other.part:
        raise CacheFormatError(f"part {first.part} is in {first.folder} and in {other.folder}; name one of them")


def _no_parts(folder: Path) -> CacheFormatError:
    if not folder.is_dir():
        return CacheFormatError(f"{folder} is not a folder; expected one that holds a part of a cache")
    if (folder / MANIFEST_NAME).is_file():
        return CacheFormatError(
            f"{folder} is a whole cache; only parts made with --shard are merged (training uses several caches with "
            "--data A=1.0 --data B=0.5)"
        )
    if (folder / BUILDING_NAME).is_file():
        return CacheFormatError(f"{folder} holds an unfinished part; run its cache build --shard again")
    return CacheFormatError(f"{folder} holds no part of a cache; expected what cache build --shard i/n makes")


def _claim(output: Path, manifest: Manifest, *, force: bool) -> None:
    if force:
        remove_cache(output)
    for name in (MANIFEST_NAME, BUILDING_NAME):
        path = output / name
        if path.exists():
            content = read_json(path, missing="is no cache")
            if not isinstance(content, dict) or content.get("build_id") != manifest.build_id:
                raise another_cache(output, "already")
    for leftover in output.glob(f"*{PART_SUFFIX}"):
        if leftover.name.startswith(("shard-", "manifest.json", "building.json")):
            leftover.unlink(missing_ok=True)
    write_whole(output / BUILDING_NAME, json.dumps({"build_id": manifest.build_id}).encode())


def _bring(entry: ShardEntry, folder: Path, output: Path, context: ShardContext) -> str:
    """Bring one shard into the output, and say how."""
    source, target = folder / entry.name, output / entry.name
    if not source.is_file():
        raise CacheFormatError(f"{source} is missing; run that part's cache build --shard again")
    size = source.stat().st_size
    if size != entry.size_bytes:
        raise CacheFormatError(
            f"{source} has {size} bytes; expected {entry.size_bytes}; run that part's cache build --shard again"
        )
    if len(read_shard(source, context).columns) != entry.records:
        raise CacheFormatError(
            f"{source} does not hold {entry.records} records; run that part's cache build --shard again"
        )
    if target.exists() and (target.samefile(source) or file_crc32(target) == entry.crc32):
        return "kept"
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without hard links
        _copy(source, target)
        return "copied"
    return "linked"


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(target.name + PART_SUFFIX)
    try:
        shutil.copyfile(source, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CacheError(
            f"cannot write {target}: {error.strerror}; free some space or choose another --output"
        ) from error
    publish(part, target)
