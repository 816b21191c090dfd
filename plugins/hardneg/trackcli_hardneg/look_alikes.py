"""The command ``look-alikes``: do a tracker's features tell the target from others of its category?"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trackcli_hardneg.separation import Similarities


class Measure(StrEnum):
    """What is compared."""

    FEATURES = "features"
    EMPHASIS = "emphasis"


def look_alikes(
    *,
    data: Annotated[Path, typer.Option("--data", help="Crop cache of held-back data with categories.")],
    a: Annotated[list[str], typer.Option("--a", help="Tracker file, run folder or name; once per seed.")],
    b: Annotated[
        list[str] | None, typer.Option("--b", help="What to compare with, at the same crop sizes; once per seed.")
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=2, max=20_000, help="Pairs with a look-alike in view.")] = 400,
    by: Annotated[
        Measure, typer.Option("--by", help="Cosine of the tracker's features, or distance of the emphasis's vectors.")
    ] = Measure.FEATURES,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Area under the ROC curve of target against look-alike; A minus B with an interval.

    ``--by emphasis`` needs run folders trained with the emphasis or, without its influence, with its setting probe.
    Example: trackcli look-alikes --data held --a runs/with --b runs/without
    """
    from trackcli_cache.reader import CropCache

    from trackcli import load
    from trackcli.errors import InputDataError, UsageError
    from trackcli_hardneg.separation import auroc, auroc_difference, emphasis_of, similarities

    def measured_of(name: str) -> Similarities:
        emphasis = emphasis_of(Path(name)) if by is Measure.EMPHASIS else None
        return similarities(load(name, device=device), cache, pairs, emphasis=emphasis)

    sides = {"a": a, "b": b or []}
    cache = CropCache.open(data)
    found = {side: [measured_of(name) for name in sides[side]] for side in sides}
    every = [each for measured in found.values() for each in measured]
    count = len(every[0].targets)
    if count < 2:
        raise InputDataError(
            f"{data} shows {count} look-alikes of the target's category; expected a cache with categories and several "
            "objects of one in a picture"
        )
    values = {side: [auroc(each.targets, each.look_alikes) for each in found[side]] for side in sides}
    result: dict[str, object] = {"pairs": count, "auroc": values}
    lines = [
        f"{side.upper()}  AUROC {value:.3f}  {name}"
        for side in sides
        for name, value in zip(sides[side], values[side], strict=True)
    ]
    if found["b"]:
        try:
            difference, interval = auroc_difference(found["a"], found["b"])
        except ValueError as error:
            raise UsageError(f"{error}; compare trackers with the same crop sizes") from error
        result |= {"difference": difference, "interval": [interval.low, interval.high]}
        said = "excludes 0" if interval.excludes_zero else "includes 0: this may be chance"
        lines.append(f"A − B {difference:+.3f}, 95% interval {interval.low:+.3f} … {interval.high:+.3f}, {said}")
    if count < pairs:
        lines.append(f"only {count} of {pairs} pairs: the data shows no more look-alikes")
    typer.echo(json.dumps(result) if as_json else "\n".join([*lines, f"{count} pairs"]))
