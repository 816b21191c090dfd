"""``trackcli cache``: build and describe crop caches, the form in which training reads datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from trackcli_cache.build import BuildReport
    from trackcli_cache.datasets import DatasetReader
    from trackcli_cache.manifest import Manifest
    from trackcli_cache.reader import CropCache

    from trackcli.cli.console import Console

EXAMPLE = "trackcli cache build --dataset folder --root my-videos -o my-cache"

app = typer.Typer(
    help="Turn datasets into caches of crops that training reads at speed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command("build")
def build(
    *,
    dataset: str = typer.Option("folder", "--dataset", help="Layout of the dataset: folder."),
    root: Path | None = typer.Option(
        None, "--root", metavar="DIR", help="The dataset: DIR/<name>/img/*.jpg beside groundtruth.txt or boxes.json."
    ),
    output: Path | None = typer.Option(None, "-o", "--output", metavar="DIR", help="Folder for the cache."),
    limit: int | None = typer.Option(None, "--limit", min=1, metavar="N", help="Only the first N annotated images."),
    force: bool = typer.Option(False, "--force", help="Replace the cache that is in the output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="Also list the images that were skipped."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Cut two crops per annotated object into a cache; run it again after an interruption to continue.

    Without --root: a small cache of seeded synthetic sequences, the one that training uses without --data.

    Example: trackcli cache build --dataset folder --root my-videos -o my-cache
    """
    from trackcli_cache.catalogue import open_dataset

    from trackcli.cli.console import Console
    from trackcli.errors import UsageError

    console = Console(quiet=quiet or as_json, verbose=verbose)
    if root is None:
        if limit is not None:
            raise UsageError(
                f"--limit {limit} without --root; expected a dataset to take images from, as in: {EXAMPLE}"
            )
        report, output = _build_synthetic(output, force, console)
    elif output is None:
        raise UsageError(f"--output is missing; expected a folder for the cache of {root}, as in: {EXAMPLE}")
    else:
        report = _build_with_progress(open_dataset(dataset, root), output, limit, force, console)
    for path, reason in report.manifest.skipped.images:
        console.detail(f"skipped {path}: {reason}")
    _print_report(report, output, as_json=as_json)


@app.command("info")
def info(
    cache: Path = typer.Argument(..., metavar="DIR", help="Folder of a finished cache."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Say what a cache holds and what was left out."""
    from trackcli_cache.reader import CropCache

    with CropCache.open(cache) as opened:
        if as_json:
            _print_json(_summary(opened.manifest, opened.path))
        else:
            _print_lines(_description(opened))


def _build_with_progress(
    reader: DatasetReader, output: Path, limit: int | None, force: bool, console: Console
) -> BuildReport:
    import time

    from trackcli_cache.build import BuildProgress, build_cache

    with console.progress() as progress:
        task = progress.add_task("reading annotations", total=None, rate="")
        began = time.perf_counter()

        def show(state: BuildProgress) -> None:
            rate = state.images_encoded / max(time.perf_counter() - began, 1e-3)
            progress.update(
                task,
                description="cutting crops",
                completed=state.images,
                total=state.images_total,
                rate=f"{rate:.0f} images/s",
            )

        return build_cache(reader, output, limit=limit, force=force, on_progress=show)


def _build_synthetic(output: Path | None, force: bool, console: Console) -> tuple[BuildReport, Path]:
    """The cache of synthetic sequences, and where it is."""
    import os

    from trackcli.config.folders import user_cache_folder
    from trackcli.synth.cache import build_synth_cache, synth_cache_path

    folder = user_cache_folder(os.environ)
    console.note(f"no --root given: building the cache of seeded synthetic sequences; for your own data: {EXAMPLE}")
    with console.progress() as progress:
        task = progress.add_task("making sequences", total=None, rate="")
        report = build_synth_cache(
            folder,
            output=output,
            force=force,
            on_sequence=lambda done, total: progress.update(task, completed=done, total=total),
        )
    return report, output or synth_cache_path(folder)


def _print_report(report: BuildReport, output: Path, *, as_json: bool) -> None:
    manifest = report.manifest
    if as_json:
        _print_json(_summary(manifest, output) | {"shards_built": report.built, "shards_kept": report.kept})
        return
    built = _counted(report.built, "shard")
    state = f"{built} built, {report.kept} kept" if report.built else "already complete"
    objects, images = _counted(manifest.records, "object"), _counted(manifest.images, "image")
    _print_lines([f"{objects} of {images} in {output} ({state})"])
    if manifest.skipped.count:
        _print_lines([f"skipped {_skipped_text(manifest)}"])


def _summary(manifest: Manifest, path: Path) -> dict[str, Any]:
    return {
        "path": str(path),
        "dataset": manifest.dataset,
        "root": manifest.root,
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
        "settings": manifest.settings.as_dict(),
    }


def _description(cache: CropCache) -> list[str]:
    manifest, settings = cache.manifest, cache.settings
    videos = sum(not sequence.still for sequence in cache.sequences)
    return [
        f"cache       {cache.path}",
        f"from        {manifest.dataset} {manifest.root}",
        f"objects     {len(cache)} in {manifest.images} images, {int(cache.has_polygon.sum())} with an outline",
        f"sequences   {videos} videos, {len(cache.sequences) - videos} collections of stills",
        f"categories  {len(cache.categories)}",
        f"absent      {manifest.absent}",
        f"skipped     {_skipped_text(manifest)}",
        f"crops       {settings.exemplar_crop_side} px exemplar, {settings.search_crop_side} px search",
        f"shards      {len(manifest.shards)}, {manifest.size_bytes / 2**20:.1f} MiB",
    ]


def _skipped_text(manifest: Manifest) -> str:
    skipped = manifest.skipped
    reasons = [f"{_counted(count, 'object')} ({reason})" for reason, count in skipped.objects.items()]
    return ", ".join([_counted(len(skipped.images), "image"), *reasons])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print_json(content: dict[str, Any]) -> None:
    import json

    print(json.dumps(content))


def _print_lines(lines: list[str]) -> None:
    from trackcli.cli.errors import strip_control_characters

    for line in lines:
        print(strip_control_characters(line))
