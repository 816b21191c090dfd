"""Build a crop cache shard by shard, in one process or many; whatever is interrupted continues where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from trackcli_cache.claim import PATIENCE_SECONDS, claim_folder, remove_leftovers
from trackcli_cache.crops import Codec, objects_per_shard
from trackcli_cache.datasets import DatasetReader
from trackcli_cache.division import ShardTask
from trackcli_cache.encode import EncodeSettings
from trackcli_cache.errors import CacheError
from trackcli_cache.files import only_writer, publish, write_whole
from trackcli_cache.frames import FrameReader
from trackcli_cache.manifest import BUILDING_NAME, MANIFEST_NAME, Manifest, Skipped
from trackcli_cache.parts import Part, PartManifest, join_manifests, missing_parts, read_parts
from trackcli_cache.settings import TierSettings
from trackcli_cache.shard import ShardContext
from trackcli_cache.shard_job import BuildPlan, ShardResult, finish_shard
from trackcli_cache.survey import BuildOptions, Survey, shard_tasks, survey_dataset
from trackcli_cache.workers import Workers


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is; handed to the caller after every image, or every few.

    Attributes:
        images: Images done, those in kept shards included.
        images_total: Images that there are to do.
        images_encoded: Images that this call decoded and encoded itself.
    """

    images: int
    images_total: int
    images_encoded: int


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        manifest: The finished cache's manifest; of a part, with the part's own shards.
        built: Shards written by this call.
        kept: Shards found finished and left untouched.
        complete: The folder now holds the whole cache, ready to be read.
    """

    manifest: Manifest
    built: int
    kept: int
    complete: bool = True


def build_cache(
    reader: DatasetReader,
    output: Path,
    *,
    settings: TierSettings | None = None,
    codec: Codec = "jpeg",
    split: str | None = None,
    limit: int | None = None,
    jobs: int = 1,
    shard: tuple[int, int] | None = None,
    force: bool = False,
    max_objects_per_shard: int | None = None,
    on_progress: Callable[[BuildProgress], None] | None = None,
) -> BuildReport:
    """Build a cache, continue a half-built one, or report a finished one as it is.

    The bytes do not depend on ``jobs``, nor on ``shard`` once all parts are there.

    Args:
        reader: The dataset.
        output: Folder of the cache; made if missing. It must be empty or hold this very cache.
        settings: The tiers; the papers' limits by default.
        codec: ``jpeg``, or ``raw`` for crops that need no decoding and 15 times the space.
        split: Which of the dataset's splits the reader reads, for the manifest.
        limit: Use only the first so many annotated images.
        jobs: Processes; 1 encodes in this one.
        shard: ``(i, n)``, from ``(1, n)`` to ``(n, n)``: build only this part. Jobs may share a folder, which is
            complete when the last of them ends, or each have its own, joined by
            :func:`trackcli_cache.merge.merge_caches`.
        force: Remove another cache in ``output`` first. Files that are no cache are never removed.
        max_objects_per_shard: Make shards smaller than 64 MiB.
        on_progress: Called as images get done.

    Raises:
        DatasetError: if the annotations cannot be read.
        CacheFormatError: if ``output`` holds another cache or other files.
        CacheError: if another process builds there, a file cannot be written, or a worker process died.
    """
    if jobs < 1:
        raise CacheError(f"jobs is {jobs}; expected at least 1")
    part = Part(*(shard or (1, 1)))
    settings = settings or TierSettings()
    capacity = min(max_objects_per_shard or 2**31, objects_per_shard(settings, codec))
    options = BuildOptions(settings, codec, limit, capacity)
    output = output.expanduser().absolute()
    survey = survey_dataset(reader, options)
    with claim_folder(output, survey, part, force=force) as finished:
        if finished is not None:
            return BuildReport(finished, built=0, kept=len(finished.shards))
        build = _Build(
            reader=reader,
            output=output,
            options=options,
            survey=survey,
            part=part,
            split=split,
            jobs=jobs,
            on_progress=on_progress or (lambda _: None),
        )
        return build.run()


class _Build:
    """One build whose folder is claimed; counts what it has done so far."""

    def __init__(
        self,
        *,
        reader: DatasetReader,
        output: Path,
        options: BuildOptions,
        survey: Survey,
        part: Part,
        split: str | None,
        jobs: int,
        on_progress: Callable[[BuildProgress], None],
    ) -> None:
        self.reader = reader
        self.output = output
        self.options = options
        self.survey = survey
        self.part = part
        self.split = split
        self.on_progress = on_progress
        self.shards = part.shards(survey.shards)
        self.jobs = min(jobs, max(1, len(self.shards)))
        self.images_total = sum(survey.shard_images[number] for number in self.shards)
        self.images = self.encoded = 0

    def run(self) -> BuildReport:
        try:
            with closing(self._results()) as finished:  # ends the workers before the lock goes, whatever happens
                results = sorted(map(self._publish, finished), key=lambda result: result.number)
        finally:
            remove_leftovers(self.output, self.survey, self.part)
        manifest = self._manifest(results)
        kept = sum(result.part is None for result in results)
        report = BuildReport(manifest, built=len(results) - kept, kept=kept)
        if self.part.of == 1:
            _finish(self.output, manifest)
            return report
        return self._leave_part(report)

    def _publish(self, result: ShardResult) -> ShardResult:
        """Only the builder, who holds the lock, gives a shard its name: a worker that outlives it cannot."""
        if result.part is None:
            self._advance(images=result.images, encoded=0)
        else:
            publish(result.part, self.output / result.entry.name)
        return result

    def _results(self) -> Generator[ShardResult]:
        tasks = shard_tasks(self.reader, self.options, self.survey, self.shards)
        if self.jobs == 1:
            yield from self._encode_here(tasks)
            return
        with Workers(self._plan(), self.jobs) as workers:
            yield from workers.run(tasks, lambda images: self._advance(images=images, encoded=images))

    def _encode_here(self, tasks: Iterator[ShardTask]) -> Iterator[ShardResult]:
        plan, frames = self._plan(), FrameReader()
        for task in tasks:
            yield finish_shard(plan, task, frames, lambda: self._advance(images=1, encoded=1))

    def _advance(self, *, images: int, encoded: int) -> None:
        self.images += images
        self.encoded += encoded
        self.on_progress(BuildProgress(self.images, self.images_total, self.encoded))

    def _plan(self) -> BuildPlan:
        survey, options = self.survey, self.options
        names = len(survey.sequences), len(survey.categories)
        context = ShardContext(survey.build_id, options.codec, options.settings, *names)
        encode = EncodeSettings(self.reader.root, options.settings, options.codec, dict(survey.category_ids))
        return BuildPlan(self.output, context, encode)

    def _manifest(self, results: list[ShardResult]) -> Manifest:
        return Manifest(
            build_id=self.survey.build_id,
            dataset=self.reader.name,
            root=str(self.reader.root),
            limit=self.options.limit,
            settings=self.options.settings,
            codec=self.options.codec,
            sequences=self.survey.sequences,
            categories=self.survey.categories,
            shards=tuple(result.entry for result in results),
            images=self.survey.images,
            absent=sum(result.absent for result in results),
            skipped=Skipped.join(result.skipped for result in results),
            split=self.split,
        )

    def _leave_part(self, report: BuildReport) -> BuildReport:
        """Say that this part is done; whoever is last makes the cache complete."""
        mine = PartManifest(self.part, self.output, report.manifest)
        write_whole(self.output / self.part.name, mine.to_json())
        with only_writer(self.output, wait=PATIENCE_SECONDS):
            parts = [
                item
                for item in read_parts(self.output)
                if item.part.of == self.part.of and item.manifest.build_id == self.survey.build_id
            ]
            if missing_parts(parts):
                return replace(report, complete=False)
            manifest = join_manifests(parts)
            _finish(self.output, manifest)
            return replace(report, manifest=manifest)


def _finish(output: Path, manifest: Manifest) -> None:
    write_whole(output / MANIFEST_NAME, manifest.to_json())
    for item in read_parts(output):
        (output / item.part.name).unlink(missing_ok=True)
    (output / BUILDING_NAME).unlink(missing_ok=True)
