"""``trackcli cache info`` and ``trackcli cache verify``: what a cache holds, and whether its bytes are as written."""

from __future__ import annotations

from pathlib import Path

import typer


def info(
    cache: Path = typer.Argument(..., metavar="DIR", help="Folder of a finished cache."),
    *,
    picture: Path | None = typer.Option(
        None, "--picture", metavar="FILE", help="Also draw a contact sheet: crops with boxes and outlines (.png, .jpg)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Say what a cache holds and what was left out.

    Example: trackcli cache info my-cache --picture sheet.png
    """
    from trackcli_cache.reader import CropCache

    from trackcli.cli.cache_report import describe, summarise
    from trackcli.cli.listing import print_json, print_lines

    with CropCache.open(cache) as opened:
        drawn = None if picture is None else _draw(opened, picture)
        if as_json:
            print_json(summarise(opened.manifest, opened.path) | ({"picture": str(drawn)} if drawn else {}))
        else:
            print_lines([*describe(opened), *([f"picture     {drawn}"] if drawn else [])])


def verify(
    cache: Path = typer.Argument(..., metavar="DIR", help="Folder of a finished cache."),
    *,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object and nothing else."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No progress."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Compare every shard and every crop with its checksum; name what is damaged (exit code 3).

    Example: trackcli cache verify my-cache
    """
    from trackcli_cache.verify import verify_cache

    from trackcli.cli.cache_progress import show_shards
    from trackcli.cli.cache_report import print_verified
    from trackcli.cli.console import Console
    from trackcli.cli.errors import EXIT_INPUT

    with show_shards(Console(quiet=quiet or as_json), "checking shards") as on_shard:
        found = verify_cache(cache, on_shard=on_shard)
    print_verified(found, cache, as_json=as_json)
    if found.damaged:
        raise typer.Exit(EXIT_INPUT)


def _draw(cache: object, path: Path) -> Path:
    import cv2
    from trackcli_cache.files import write_whole
    from trackcli_cache.picture import draw_contact_sheet
    from trackcli_cache.reader import CropCache

    from trackcli.errors import UsageError

    assert isinstance(cache, CropCache)
    suffix = path.suffix.lower()
    if suffix not in {".png", ".jpg", ".jpeg", ".webp"}:
        raise UsageError(f"--picture {path} is no picture file; expected a name that ends in .png, .jpg or .webp")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--picture {path}: there is no folder {path.absolute().parent}; make it first")
    sheet = cv2.cvtColor(draw_contact_sheet(cache), cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(suffix, sheet)
    write_whole(path, content.tobytes())
    return path
