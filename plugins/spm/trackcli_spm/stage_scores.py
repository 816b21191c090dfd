"""The command ``stage-scores``: coarse and fine scores of a target and its look-alike (figure 5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def stage_scores(
    *,
    data: Annotated[Path, typer.Option("--data", help="Crop cache of held-back data with categories.")],
    tracker: Annotated[
        list[str], typer.Option("--tracker", help="Tracker file, run folder or name; repeatable, each by itself.")
    ],
    pairs: Annotated[int, typer.Option("--pairs", min=2, max=20_000, help="Pairs with a look-alike in view.")] = 400,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture of some pairs, of the first tracker: *.png or *.jpg.")
    ] = None,
    shown: Annotated[int, typer.Option("--shown", min=1, max=64, help="Pairs in the picture.")] = 6,
    force: Annotated[bool, typer.Option("--force", help="Replace the picture.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Do both stages do their part? The coarse one shall like target and look-alike, the fine one the target.

    Of each object the coarse box counts that scores highest among those that overlap it by more than 0.5. "wins" is the
    share of pairs in which the target scores higher than the look-alike.

    Example: trackcli stage-scores --data held/cache --tracker runs/spm -o figure_5.png
    """
    from trackcli_cache.reader import CropCache

    from trackcli import load
    from trackcli.errors import InputDataError, UsageError
    from trackcli_spm.look_alikes import draw_examples, measure, summarise

    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} exists; add --force to replace it, or choose another with -o")
    if output is not None and output.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UsageError(f"{output} is no picture; expected a name that ends in .png or .jpg")
    cache = CropCache.open(data)
    result, lines = {}, []
    for number, name in enumerate(tracker):
        wanted = shown if output is not None and number == 0 else 0
        found = measure(load(name, device=device), cache, pairs, examples=wanted)
        if len(found) < 2:
            raise InputDataError(
                f"{data} shows {len(found)} look-alikes of the target's category; expected a cache with categories and "
                "several objects of one in a picture"
            )
        summary = summarise(found)
        result[name] = {"pairs": len(found), **summary}
        lines += [f"{name}, {len(found)} pairs", f"{'':14}{'target':>8}{'look-alike':>12}{'wins':>8}  95% interval"]
        for stage, values in summary.items():
            means = f"{values['target']:8.3f}{values['look_alike']:12.3f}" if "target" in values else " " * 20
            lines.append(f"{stage:14}{means}{values['wins']:8.3f}  {values['low']:.3f} … {values['high']:.3f}")
        if wanted and output is not None:
            draw_examples(found.examples, output)
            lines.append(f"{output}: template, then the search region with coarse (C) and fine (F) scores")
    typer.echo(json.dumps(result) if as_json else "\n".join(lines))
