"""Build a crop cache shard by shard; whatever is interrupted continues where it stopped."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackcli_cache.columns import columns_of
from trackcli_cache.datasets import DatasetReader, SourceImage
from trackcli_cache.encode import encode_image
from trackcli_cache.errors import CacheFormatError
from trackcli_cache.files import LOCK_NAME, PART_SUFFIX, only_writer, write_whole
from trackcli_cache.manifest import MANIFEST_NAME, Manifest, ShardEntry, Skipped, read_json, read_manifest
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import Shard, encode_shard, read_shard, shard_name
from trackcli_cache.survey import Survey, shard_batches, survey_dataset

BUILDING_NAME = "building.json"


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is; handed to the caller after every image.

    Attributes:
        images: Images done, those in kept shards included.
        images_total: Images that there are.
        images_encoded: Images that this call decoded and encoded itself.
    """

    images: int
    images_total: int
    images_encoded: int


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        manifest: The finished cache's manifest.
        built: Shards written by this call.
        kept: Shards found finished and left untouched.
    """

    manifest: Manifest
    built: int
    kept: int


def build_cache(
    reader: DatasetReader,
    output: Path,
    *,
    settings: TierSettings | None = None,
    limit: int | None = None,
    force: bool = False,
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Build a cache, continue a half-built one, or report a finished one as it is.

    Args:
        reader: The dataset.
        output: Folder of the cache; made if missing. It must be empty or hold this very cache.
        settings: The tiers; the papers' limits by default.
        limit: Use only the first so many annotated images.
        force: Remove another cache in ``output`` first. Files that are no cache are never removed.
        on_progress: Called after every image.

    Raises:
        DatasetError: if the annotations cannot be read.
        CacheFormatError: if ``output`` holds another cache or other files.
        CacheError: if another process builds there, or a file cannot be written.
    """
    settings = settings or TierSettings()
    survey = survey_dataset(reader, settings, limit)
    _refuse_foreign_folder(output)
    with only_writer(output):
        if force:
            _remove_cache(output)
        finished = _finished_manifest(output, survey)
        if finished is not None:
            return BuildReport(finished, built=0, kept=len(finished.shards))
        _claim(output, survey)
        builder = _Builder(
            reader=reader,
            output=output,
            settings=settings,
            limit=limit,
            survey=survey,
            on_progress=on_progress or (lambda _: None),
        )
        return builder.run()


@dataclass(frozen=True)
class _Finished:
    """What the manifest needs to know about a finished shard."""

    entry: ShardEntry
    skipped: Skipped
    absent: int


class _Builder:
    """One build whose folder is claimed; counts what it has done so far."""

    def __init__(
        self,
        *,
        reader: DatasetReader,
        output: Path,
        settings: TierSettings,
        limit: int | None,
        survey: Survey,
        on_progress: Callable[[BuildProgress], None],
    ) -> None:
        self.reader = reader
        self.output = output
        self.settings = settings
        self.limit = limit
        self.survey = survey
        self.on_progress = on_progress
        self.images = self.encoded = self.kept = 0

    def run(self) -> BuildReport:
        batches = enumerate(shard_batches(self.reader, self.limit))
        shards = [self._finish_shard(self.output / shard_name(number), batch) for number, batch in batches]
        manifest = self._manifest(shards)
        write_whole(self.output / MANIFEST_NAME, manifest.to_json())
        (self.output / BUILDING_NAME).unlink(missing_ok=True)
        return BuildReport(manifest, built=len(shards) - self.kept, kept=self.kept)

    def _finish_shard(self, path: Path, batch: tuple[SourceImage, ...]) -> _Finished:
        """Keep a shard that an earlier run finished, or build it."""
        shard = self._read_finished(path)
        if shard is None:
            write_whole(path, self._encode_shard(batch))
            shard = self._read(path)
        else:
            self.kept += 1
            self._advance(images=len(batch), encoded=0)
        content = path.read_bytes()
        entry = ShardEntry(path.name, len(shard.columns), len(content), zlib.crc32(content))
        skipped = Skipped.from_dict(json.loads(shard.skipped_json))
        return _Finished(entry, skipped, len(shard.columns.absent_sequence_frame_track))

    def _advance(self, *, images: int, encoded: int) -> None:
        self.images += images
        self.encoded += encoded
        self.on_progress(BuildProgress(self.images, self.survey.images, self.encoded))

    def _read(self, path: Path) -> Shard:
        survey = self.survey
        return read_shard(
            path, build_id=survey.build_id, sequences=len(survey.sequences), categories=len(survey.categories)
        )

    def _read_finished(self, path: Path) -> Shard | None:
        """A shard left by an earlier run, or ``None`` if there is none that is whole."""
        try:
            return self._read(path)
        except CacheFormatError:
            return None

    def _encode_shard(self, batch: tuple[SourceImage, ...]) -> bytes:
        results = []
        for image in batch:
            results.append(encode_image(image, self.reader.root, self.survey, self.settings))
            self._advance(images=1, encoded=1)
        columns, jpeg = columns_of(
            [record for result in results for record in result.records],
            [entry for result in results for entry in result.absent],
        )
        skipped = sum((result.skipped for result in results), Skipped())
        return encode_shard(columns, jpeg, json.dumps(skipped.as_dict()).encode(), build_id=self.survey.build_id)

    def _manifest(self, shards: list[_Finished]) -> Manifest:
        return Manifest(
            build_id=self.survey.build_id,
            dataset=self.reader.name,
            root=str(self.reader.root),
            limit=self.limit,
            settings=self.settings,
            sequences=self.survey.sequences,
            categories=self.survey.categories,
            shards=tuple(shard.entry for shard in shards),
            images=self.survey.images,
            absent=sum(shard.absent for shard in shards),
            skipped=sum((shard.skipped for shard in shards), Skipped()),
        )


def _finished_manifest(output: Path, survey: Survey) -> Manifest | None:
    """The manifest of this very cache if it and all its shards are there."""
    if not (output / MANIFEST_NAME).exists():
        return None
    manifest = read_manifest(output)
    if manifest.build_id != survey.build_id:
        raise _another_cache(output, f"of {manifest.dataset} {manifest.root}")
    whole = all(_size(output / shard.name) == shard.size_bytes for shard in manifest.shards)
    return manifest if whole else None


def _claim(output: Path, survey: Survey) -> None:
    """Mark the folder as being built from this survey, and clear what a killed writer left half-written."""
    path = output / BUILDING_NAME
    if path.exists():
        content: Any = read_json(path, missing="is no cache")
        if not isinstance(content, dict) or content.get("build_id") != survey.build_id:
            raise _another_cache(output, "that is half-built")
    for leftover in _own_files(output):
        if leftover.name.endswith(PART_SUFFIX):
            leftover.unlink()
    if not path.exists():
        write_whole(path, json.dumps({"build_id": survey.build_id}).encode())


def _another_cache(output: Path, which: str) -> CacheFormatError:
    return CacheFormatError(
        f"{output} holds another cache {which}: its images, boxes, settings or --limit differ; "
        "choose another --output, or replace it with --force"
    )


def _refuse_foreign_folder(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise CacheFormatError(f"{output} is a file; expected a folder for the cache")
    own = {path.name for path in _own_files(output)}
    marked = bool(own & {MANIFEST_NAME, BUILDING_NAME, BUILDING_NAME + PART_SUFFIX})
    others = sorted(path.name for path in output.iterdir() if path.name != LOCK_NAME)
    if others and not marked:
        raise CacheFormatError(f"{output} holds other files ({others[0]}, …) and no cache; choose an empty --output")


def _remove_cache(output: Path) -> None:
    for path in _own_files(output):
        path.unlink()


def _own_files(output: Path) -> Iterator[Path]:
    for pattern in (MANIFEST_NAME, BUILDING_NAME, "shard-*.h5"):
        yield from sorted(output.glob(pattern))
        yield from sorted(output.glob(pattern + PART_SUFFIX))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
