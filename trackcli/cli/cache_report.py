"""Words and JSON about caches, for the person or program that called ``trackcli cache``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trackcli.cli.listing import print_json, print_lines

if TYPE_CHECKING:
    from trackcli_cache.build import BuildReport
    from trackcli_cache.manifest import Manifest
    from trackcli_cache.merge import MergeReport
    from trackcli_cache.reader import CropCache
    from trackcli_cache.verify import Verification

    from trackcli.cli.console import Console

SKIPPED_SHOWN = 10


def summarise(manifest: Manifest, path: Path) -> dict[str, Any]:
    """A cache as JSON."""
    return {
        "path": str(path),
        "dataset": manifest.dataset,
        "root": manifest.root,
        "split": manifest.split,
        "limit": manifest.limit,
        "images": manifest.images,
        "objects": manifest.records,
        "sequences": len(manifest.sequences),
        "categories": len(manifest.categories),
        "absent": manifest.absent,
        "skipped": manifest.skipped.count,
        "skipped_images": [list(item) for item in manifest.skipped.images],
        "skipped_objects": dict(manifest.skipped.objects),
        "shards": len(manifest.shards),
        "bytes": manifest.size_bytes,
        "codec": manifest.codec,
        "settings": manifest.settings.as_dict(),
    }


def describe(cache: CropCache) -> list[str]:
    """A cache as lines of text."""
    manifest, settings = cache.manifest, cache.settings
    videos = sum(not sequence.still for sequence in cache.sequences)
    return [
        f"cache       {cache.path}",
        f"from        {manifest.dataset} {manifest.root}{_split_text(manifest)}{_limit_text(manifest)}",
        f"objects     {len(cache)} in {manifest.images} images, {int(cache.has_polygon.sum())} with an outline",
        f"sequences   {_counted(videos, 'video')}, {_counted(len(cache.sequences) - videos, 'collection')} of stills",
        f"categories  {len(cache.categories)}",
        f"marked      {_marks_text(cache)}",
        f"absent      {manifest.absent}",
        f"skipped     {_skipped_text(manifest)}",
        *(f"            {line}" for line in _skipped_images(manifest, SKIPPED_SHOWN)),
        f"crops       {settings.exemplar_crop_side} px exemplar, {settings.search_crop_side} px search, {cache.codec}",
        f"shards      {len(manifest.shards)}, {manifest.size_bytes / 2**20:.1f} MiB",
    ]


def note_skipped(manifest: Manifest, console: Console) -> None:
    """List images that could not be used, all of them if the person wants details."""
    images = manifest.skipped.images
    shown = images if console.verbose else images[:SKIPPED_SHOWN]
    for path, reason in shown:
        console.note(f"skipped {path}: {reason}")
    if len(shown) < len(images):
        console.note(f"… and {len(images) - len(shown)} more; -v lists all, and manifest.json does")


def print_built(report: BuildReport, output: Path, part: str | None, *, as_json: bool) -> None:
    """What a build did."""
    manifest = report.manifest
    if as_json:
        done = {"shards_built": report.built, "shards_kept": report.kept, "complete": report.complete}
        print_json(summarise(manifest, output) | done | ({"shard": part} if part else {}))
        return
    state = f"{_counted(report.built, 'shard')} built, {report.kept} kept" if report.built else "already complete"
    objects, images = _counted(manifest.records, "object"), _counted(manifest.images, "image")
    if report.complete:
        print_lines([f"{objects} of {images} in {output} ({state})"])
    else:
        print_lines([f"part {part}: {objects} in {output} ({state})"])
        print_lines(["the last part completes the cache; parts in several folders: trackcli cache merge DIR… -o DIR"])
    if manifest.skipped.count:
        remedy = "" if report.built else "; if they were repaired since, build again with --force"
        print_lines([f"skipped {_skipped_text(manifest)}{remedy}"])


def print_merged(report: MergeReport, output: Path, *, as_json: bool) -> None:
    """What a merge did."""
    if as_json:
        done = {"shards_linked": report.linked, "shards_copied": report.copied, "shards_kept": report.kept}
        print_json(summarise(report.manifest, output) | done)
        return
    how = f"{_counted(report.linked, 'shard')} linked, {report.copied} copied, {report.kept} kept"
    print_lines([f"{_counted(report.manifest.records, 'object')} in {output} ({how})"])


def print_verified(found: Verification, path: Path, *, as_json: bool) -> None:
    """What a check of all checksums found."""
    manifest = found.manifest
    if as_json:
        damaged = [
            {"shard": item.shard, "record": item.record, "source": item.source, "problem": item.problem}
            for item in found.damaged
        ]
        counts = {"objects": manifest.records, "shards": len(manifest.shards), "bytes": manifest.size_bytes}
        print_json({"path": str(path), "intact": not damaged, **counts, "damaged": damaged})
        return
    objects, shards = _counted(manifest.records, "object"), _counted(len(manifest.shards), "shard")
    print_lines([f"damaged: {item}" for item in found.damaged])
    places = _counted(len(found.damaged), "place")
    repair = "delete the shards named above and run the same cache build again"
    print_lines(
        [
            f"{path}: {places} damaged in {shards}; {repair}"
            if found.damaged
            else f"{path}: {objects} in {shards}, all intact"
        ]
    )


def _marks_text(cache: CropCache) -> str:
    from trackcli_cache.datasets import Mark

    counts = {mark.name or "": int((cache.marks & mark != 0).sum()) for mark in Mark if mark}
    named = [f"{count} {name.lower().replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(named) or "none"


def _split_text(manifest: Manifest) -> str:
    return "" if manifest.split is None else f", split {manifest.split}"


def _limit_text(manifest: Manifest) -> str:
    return "" if manifest.limit is None else f", only the first {_counted(manifest.limit, 'image')} (--limit)"


def _skipped_images(manifest: Manifest, most: int) -> list[str]:
    images = manifest.skipped.images
    lines = [f"{path}: {reason}" for path, reason in images[:most]]
    return [*lines, f"… and {len(images) - most} more; --json lists all"] if len(images) > most else lines


def _skipped_text(manifest: Manifest) -> str:
    skipped = manifest.skipped
    reasons = [f"{_counted(count, 'object')} ({reason})" for reason, count in skipped.objects.items()]
    return ", ".join([_counted(len(skipped.images), "image"), *reasons])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
