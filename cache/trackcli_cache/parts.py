"""Parts of one build, made by different jobs of a cluster: what each leaves behind, and how they become one cache."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trackcli_cache.errors import CacheError, CacheFormatError
from trackcli_cache.manifest import Manifest, Skipped, json_bytes, parse_manifest, read_json
from trackcli_cache.shard import shard_name

PART_FORMAT = "trackcli crop cache part"
PART_PATTERN = "part-*.json"
PART_LOCK_PATTERN = ".part-*.lock"

_NAME = re.compile(r"\.?part-([0-9]+)-of-([0-9]+)\.(?:json|lock)")


@dataclass(frozen=True, order=True)
class Part:
    """One of the equal parts that a build is divided into.

    Attributes:
        number: From 1 to ``of``.
        of: How many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise CacheError(
                f"part {self.number}/{self.of} does not exist; expected 1/{self.of} to {self.of}/{self.of}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """File of its manifest."""
        return f"part-{self.number:05d}-of-{self.of:05d}.json"

    @property
    def lock_name(self) -> str:
        """File of its lock."""
        return f".part-{self.number:05d}-of-{self.of:05d}.lock"

    def shards(self, total: int) -> range:
        """Numbers of its shards: neighbours, so that a video is read by few jobs."""
        return range(total * (self.number - 1) // self.of, total * self.number // self.of)


@dataclass(frozen=True)
class PartManifest:
    """What a finished part holds.

    Attributes:
        part: Which one it is.
        folder: Where its shards are.
        manifest: Of the whole cache, but with the part's own shards, absent objects and skipped images.
    """

    part: Part
    folder: Path
    manifest: Manifest

    def to_json(self) -> bytes:
        """The file's content."""
        content = {"format": PART_FORMAT, "part": [self.part.number, self.part.of], "cache": self.manifest.as_dict()}
        return json_bytes(content)


def part_of_name(name: str) -> Part | None:
    """The part that a file belongs to, by its name."""
    found = _NAME.fullmatch(name)
    return Part(int(found[1]), int(found[2])) if found and 1 <= int(found[1]) <= int(found[2]) else None


def read_parts(folder: Path) -> list[PartManifest]:
    """The finished parts in a folder, in order. The files are not trusted.

    Raises:
        CacheFormatError: if one of them is damaged or of another version.
    """
    return [_read_part(path) for path in sorted(folder.glob(PART_PATTERN))]


def _read_part(path: Path) -> PartManifest:
    content = read_json(path, missing="has no such part")
    part = part_of_name(path.name)
    try:
        if not isinstance(content, dict) or content.get("format") != PART_FORMAT or part is None:
            raise CacheFormatError("is not the manifest of a part")
        if content.get("part") != [part.number, part.of]:
            raise CacheFormatError(f"is of part {content.get('part')!r:.40} by its content")
        return PartManifest(part, path.parent, parse_manifest(content.get("cache")))
    except CacheFormatError as error:
        raise CacheFormatError(f"{path}: {error}; build that part again") from error


def missing_parts(parts: Sequence[PartManifest]) -> list[Part]:
    """Which parts are not there, of the number that the first of these is a part of."""
    known = {item.part for item in parts}
    of = parts[0].part.of
    return [part for number in range(1, of + 1) if (part := Part(number, of)) not in known]


def join_manifests(parts: Iterable[PartManifest]) -> Manifest:
    """The manifest of the whole cache.

    Args:
        parts: Every part of one build once.

    Raises:
        CacheFormatError: if their shards are not all there are.
    """
    ordered = [item.manifest for item in sorted(parts, key=lambda item: item.part)]
    shards = tuple(entry for manifest in ordered for entry in manifest.shards)
    for number, entry in enumerate(shards):
        if entry.name != shard_name(number):
            raise CacheFormatError(f"{shard_name(number)} belongs to no part; build the parts again")
    return replace(
        ordered[0],
        shards=shards,
        absent=sum(manifest.absent for manifest in ordered),
        skipped=Skipped.join(manifest.skipped for manifest in ordered),
    )
