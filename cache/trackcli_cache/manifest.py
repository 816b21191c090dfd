"""The manifest: one JSON file that names everything in a cache; written last, so its presence means "finished"."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackcli_cache.crops import Codec, checked_codec
from trackcli_cache.errors import CacheFormatError, NewerFormatError
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import FORMAT_VERSION, ShardContext, check_version

MANIFEST_NAME = "manifest.json"
BUILDING_NAME = "building.json"
FORMAT_NAME = "trackcli crop cache"
MAX_MANIFEST_BYTES = 2**29

_SHARD_NAME = re.compile(r"shard-[0-9]{5,}\.h5")


@dataclass(frozen=True)
class SequenceEntry:
    """A video, or a collection of stills.

    Attributes:
        name: The reader's name for it.
        still: Its images are unrelated: no two show the same object.
    """

    name: str
    still: bool


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard file.

    Attributes:
        name: File name beside the manifest.
        records: How many records it holds.
        size_bytes: Size of the file.
        crc32: CRC-32 of the file's bytes.
    """

    name: str
    records: int
    size_bytes: int
    crc32: int


@dataclass(frozen=True)
class Skipped:
    """What was left out of a cache.

    Attributes:
        images: ``(path relative to the root, reason)`` of images that could not be used.
        objects: How many objects of readable images were left out, by reason.
    """

    images: tuple[tuple[str, str], ...] = ()
    objects: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Images and objects together."""
        return len(self.images) + sum(self.objects.values())

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"images": [list(item) for item in self.images], "objects": dict(sorted(self.objects.items()))}

    @classmethod
    def join(cls, parts: Iterable[Skipped]) -> Skipped:
        """Everything that the parts left out, in their order."""
        images: list[tuple[str, str]] = []
        objects: Counter[str] = Counter()
        for part in parts:
            images.extend(part.images)
            objects.update(part.objects)
        return cls(tuple(images), dict(objects))

    @classmethod
    def from_dict(cls, content: Any) -> Skipped:
        """Read back (*Raises* ``CacheFormatError``)."""
        entries = _get(content, "images", list)
        if not all(isinstance(entry, list) and len(entry) == 2 and _all_of(entry, str) for entry in entries):
            raise CacheFormatError("skipped images are not [path, reason] pairs")
        objects = _get(content, "objects", dict)
        if not _all_of(objects.values(), int):
            raise CacheFormatError("skipped objects are not counts")
        return cls(tuple((path, reason) for path, reason in entries), objects)


@dataclass(frozen=True)
class Manifest:
    """Everything about a cache but its records.

    Attributes:
        build_id: Digest of the annotations, settings and limit that the cache was built from.
        dataset: Name of the reader.
        root: Where the dataset was, for information.
        limit: The cache holds only the first so many images, or ``None``.
        settings: The tiers.
        codec: How crops are kept.
        sequences: Names that ``sequence_id`` points into.
        categories: Names that ``category_id`` points into.
        shards: The files, in record order.
        images: How many annotated images were read.
        absent: How many object-frames are marked as out of view.
        skipped: What was left out.
        split: Which of the dataset's splits this is, for information; ``None`` if it has none.
    """

    build_id: str
    dataset: str
    root: str
    limit: int | None
    settings: TierSettings
    codec: Codec
    sequences: tuple[SequenceEntry, ...]
    categories: tuple[str, ...]
    shards: tuple[ShardEntry, ...]
    images: int
    absent: int
    skipped: Skipped
    split: str | None = None

    @property
    def records(self) -> int:
        """How many records there are in all shards."""
        return sum(shard.records for shard in self.shards)

    @property
    def size_bytes(self) -> int:
        """Size of all shards together."""
        return sum(shard.size_bytes for shard in self.shards)

    @property
    def shard_context(self) -> ShardContext:
        """What the shards must agree with."""
        return ShardContext(self.build_id, self.codec, self.settings, len(self.sequences), len(self.categories))

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "build_id": self.build_id,
            "dataset": self.dataset,
            "root": self.root,
            "split": self.split,
            "limit": self.limit,
            "codec": self.codec,
            "settings": self.settings.as_dict(),
            "exemplar_crop_side": self.settings.exemplar_crop_side,
            "search_crop_side": self.settings.search_crop_side,
            "sequences": [{"name": entry.name, "still": entry.still} for entry in self.sequences],
            "categories": list(self.categories),
            "shards": [
                {"name": shard.name, "records": shard.records, "bytes": shard.size_bytes, "crc32": shard.crc32}
                for shard in self.shards
            ],
            "images": self.images,
            "absent": self.absent,
            "skipped": self.skipped.as_dict(),
        }

    def to_json(self) -> bytes:
        """The manifest's file content."""
        return json_bytes(self.as_dict())


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a finished cache. The file is not trusted.

    Raises:
        CacheFormatError: if there is none, or it is not one that this version writes.
    """
    path = folder / MANIFEST_NAME
    content = read_json(path, missing=_state_without_manifest(folder))
    try:
        return parse_manifest(content)
    except NewerFormatError as error:
        raise NewerFormatError(f"{path} {error}") from error
    except CacheFormatError as error:
        raise CacheFormatError(f"{path}: {error}; build the cache again") from error


def parse_manifest(content: Any) -> Manifest:
    """Check what a manifest's JSON holds.

    Raises:
        CacheFormatError: if it is of something else, of another version, or incomplete.
    """
    if _get(content, "format", str) != FORMAT_NAME:
        raise CacheFormatError("is the manifest of something else")
    check_version(_get(content, "version", int))
    return _parse(content)


def json_bytes(content: dict[str, Any]) -> bytes:
    """A JSON file's content, for people too."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8", errors="replace")


def read_json(path: Path, *, missing: str) -> Any:
    """Read a JSON file of a cache.

    Args:
        path: The file.
        missing: What to say about its folder if there is no such file.

    Raises:
        CacheFormatError: if it is missing, too large or no JSON.
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise CacheFormatError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes; that is no manifest")
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CacheFormatError(f"{path.parent} {missing}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CacheFormatError(f"{path} cannot be read as JSON ({error}); build the cache again") from error


def _state_without_manifest(folder: Path) -> str:
    """What to say about a folder that has no manifest."""
    if any(folder.glob("part-*.json")):
        return "holds parts of a crop cache; build the missing ones and join them with trackcli cache merge"
    if (folder / BUILDING_NAME).is_file():
        return "is no finished crop cache: it is being built, or that was interrupted; run the same cache build again"
    return "is no finished crop cache: it has no manifest.json; run trackcli cache build"


def _parse(content: Any) -> Manifest:
    limit, split = content.get("limit"), content.get("split")
    if not isinstance(limit, int | None):
        raise CacheFormatError("limit is not a number")
    if not isinstance(split, str | None):
        raise CacheFormatError("split is not a name")
    categories = _get(content, "categories", list)
    if not _all_of(categories, str):
        raise CacheFormatError("categories are not names")
    return Manifest(
        build_id=_get(content, "build_id", str),
        dataset=_get(content, "dataset", str),
        root=_get(content, "root", str),
        limit=limit,
        settings=TierSettings.from_dict(_get(content, "settings", dict)),
        codec=checked_codec(content.get("codec")),
        sequences=tuple(
            SequenceEntry(_get(entry, "name", str), _get(entry, "still", bool))
            for entry in _get(content, "sequences", list)
        ),
        categories=tuple(categories),
        shards=tuple(_parse_shard(entry) for entry in _get(content, "shards", list)),
        images=_get(content, "images", int),
        absent=_get(content, "absent", int),
        skipped=Skipped.from_dict(content.get("skipped")),
        split=split,
    )


def _parse_shard(entry: Any) -> ShardEntry:
    name = _get(entry, "name", str)
    if not _SHARD_NAME.fullmatch(name):
        raise CacheFormatError(f"shard name {name!r:.80} is not like shard-00000.h5")
    return ShardEntry(name, _get(entry, "records", int), _get(entry, "bytes", int), _get(entry, "crc32", int))


def _get(content: Any, key: str, expected: type) -> Any:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise CacheFormatError(f"{key} is missing or not of type {expected.__name__}")
    return value


def _all_of(values: Any, expected: type) -> bool:
    return all(isinstance(value, expected) for value in values)
