"""``trackcli cache``: build, join, check and describe crop caches, the form in which training reads datasets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trackcli.cli.cache_datasets import datasets
from trackcli.cli.cache_inspect import info, verify
from trackcli.cli.completion import completion_of

if TYPE_CHECKING:
    from trackcli_cache.build import BuildReport
    from trackcli_cache.crops import Codec
    from trackcli_cache.settings import TierSettings

    from trackcli.cli.console import Console

EXAMPLE = "trackcli cache build --dataset folder --root my-videos -o my-cache"

app = typer.Typer(
    help="Turn datasets into caches of crops that training reads at speed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("datasets")(datasets)


@app.command("build")
def build(
    *,
    dataset: str | None = typer.Option(
        None,
        "--dataset",
        metavar="NAME",
        autocompletion=completion_of("dataset"),
        help="Layout of the dataset; trackcli cache datasets lists them.  [default: folder]",
    ),
    root: Path | None = typer.Option(
        None, "--root", metavar="DIR", help="The dataset; trackcli cache datasets NAME shows the expected tree."
    ),
    split: str | None = typer.Option(
        None, "--split", metavar="NAME", help="One of the dataset's own splits; by default its first."
    ),
    output: Path | None = typer.Option(None, "-o", "--output", metavar="DIR", help="Folder for the cache."),
    jobs: int | None = typer.Option(None, "--jobs", min=1, metavar="N", help="Processes.  [default: one per core]"),
    shard: str | None = typer.Option(
        None,
        "--shard",
        metavar="I/N",
        help="Build only the I-th of N parts, for a cluster's job array; cache merge joins parts in different folders.",
    ),
    codec: str = typer.Option(
        "jpeg", "--codec", metavar="NAME", help="jpeg, or raw: crops that need no decoding, 15 times as large."
    ),
    template_size: int | None = typer.Option(
        None,
        "--template-size",
        min=16,
        metavar="PX",
        help="Side of the largest template that training will cut; a larger one is enlarged.  [default: 127]",
    ),
    search_size: int | None = typer.Option(
        None,
        "--search-size",
        min=32,
        metavar="PX",
        help="Side of the search region that goes with it.  [default: 255, or as much larger as the template]",
    ),
    limit: int | None = typer.Option(None, "--limit", min=1, metavar="N", help="Only the first N annotated images."),
    force: bool = typer.Option(False, "--force", help="Replace the cache that is in the output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="List every image that was skipped, not only ten."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Cut two crops per annotated object into a cache; run it again after an interruption to continue.

    Without --root: a small cache of seeded synthetic sequences, the one that training uses without --data.

    Example: trackcli cache build --dataset got10k --root GOT-10k --split train -o got10k-cache
    """
    from trackcli.cli.cache_report import note_skipped, print_built
    from trackcli.cli.console import Console
    from trackcli.errors import UsageError

    console = Console(quiet=quiet or as_json, verbose=verbose)
    checked_codec, part = _codec(codec), _part(shard)
    if root is None:
        given = {
            "--dataset": dataset,
            "--split": split,
            "--shard": shard,
            "--template-size": template_size,
            "--search-size": search_size,
            "--limit": limit,
        }
        for option, value in given.items():
            if value is not None:
                raise UsageError(
                    f"{option} {value} without --root; expected a dataset to take images from, as in: {EXAMPLE}"
                )
        report, output = _build_synthetic(output, checked_codec, force, console)
    elif output is None:
        raise UsageError(f"--output is missing; expected a folder for the cache of {root}, as in: {EXAMPLE}")
    else:
        from trackcli_cache.build import build_cache

        from trackcli.cli.cache_progress import show_images
        from trackcli.host.datasets import open_dataset

        name = dataset or "folder"
        reader = open_dataset(name, root, split)
        with show_images(console) as on_progress:
            report = build_cache(
                reader,
                output,
                settings=_tiers(template_size, search_size),
                codec=checked_codec,
                split=split or _first_split(name),
                limit=limit,
                jobs=jobs or _cores(),
                shard=part,
                force=force,
                on_progress=on_progress,
            )
    note_skipped(report.manifest, console)
    print_built(report, output, shard, as_json=as_json)


@app.command("merge")
def merge(
    parts: list[Path] = typer.Argument(..., metavar="DIR…", help="Folders that cache build --shard filled."),
    *,
    output: Path = typer.Option(..., "-o", "--output", metavar="DIR", help="Folder for the whole cache."),
    force: bool = typer.Option(False, "--force", help="Replace the cache that is in the output folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Join the parts of one build into a cache. Hard links where they are possible, so that nothing is copied.

    Example: trackcli cache merge part-1 part-2 part-3 -o whole
    """
    from trackcli_cache.merge import merge_caches

    from trackcli.cli.cache_progress import show_shards
    from trackcli.cli.cache_report import print_merged
    from trackcli.cli.console import Console

    with show_shards(Console(quiet=quiet or as_json), "joining shards") as on_shard:
        report = merge_caches(parts, output, force=force, on_shard=on_shard)
    print_merged(report, output, as_json=as_json)


app.command("info")(info)
app.command("verify")(verify)


def _build_synthetic(output: Path | None, codec: Codec, force: bool, console: Console) -> tuple[BuildReport, Path]:
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
            codec=codec,
            force=force,
            on_sequence=lambda done, total: progress.update(task, completed=done, total=total),
        )
    return report, output or synth_cache_path(folder, codec)


def _first_split(dataset: str) -> str | None:
    """The split that a dataset is read as unless another is asked for."""
    from trackcli.host.data_specs import DatasetSpec
    from trackcli.host.registry import installed

    spec = installed().find_provided(DatasetSpec, dataset).spec
    assert isinstance(spec, DatasetSpec)
    return spec.splits[0] if spec.splits else None


def _tiers(template_size: int | None, search_size: int | None) -> TierSettings:
    """The tiers that hold such crops. What the augmentation needs around them grows with the scale."""
    from trackcli_cache.settings import TierSettings

    usual = TierSettings()
    template = template_size or usual.template_size
    scale = template / usual.template_size
    return TierSettings(
        template_size=template,
        template_shift=math.ceil(usual.template_shift * scale),
        search_size=search_size or math.ceil(usual.search_size * scale),
        search_shift=math.ceil(usual.search_shift * scale),
    )


def _codec(name: str) -> Codec:
    from trackcli_cache.crops import CODECS

    from trackcli.config.suggestions import did_you_mean
    from trackcli.errors import UsageError

    for codec in CODECS:
        if name == codec:
            return codec
    raise UsageError(f"--codec {name!r} is unknown; {did_you_mean(name, CODECS)}")


def _part(given: str | None) -> tuple[int, int] | None:
    """``--shard 2/8`` as numbers."""
    from trackcli.errors import UsageError

    if given is None:
        return None
    number, slash, count = given.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= 99_999:
        return int(number), int(count)
    raise UsageError(f"--shard {given!r} is no part; expected I/N with I from 1 to N, as in --shard 1/8 … --shard 8/8")


def _cores() -> int:
    """How many cores this process may use."""
    import os

    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
