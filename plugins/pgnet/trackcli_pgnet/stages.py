"""The command ``single-stages``: a trained tracker's stages as trackers of their own, for the rows of Table 1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OFF = -60.0
"""A fusion weight before the softmax: e⁻⁶⁰ of a stage is nothing beside another, and fp16 can hold it."""


def single_stages(
    tracker: Annotated[str, typer.Argument(help="Tracker file, run folder or name; with a head that adds its levels.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for one tracker per stage.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files.")] = False,
) -> None:
    """Write a tracker per stage: the same weights, but only that stage counts in the fusion.

    Example: trackcli single-stages runs/pg-net -o stages
    """
    import torch

    from trackcli import load
    from trackcli.builtin.heads.rpn import RpnHead
    from trackcli.errors import UsageError

    loaded = load(tracker, device="cpu")
    head = loaded.model.head
    if not isinstance(head, RpnHead) or len(head.levels) < 2:
        raise UsageError(
            f"{tracker} has no head that adds several levels; expected a tracker with head rpn and two levels or more"
        )
    names = list(head.levels)
    targets = [output / f"{name}.safetensors" for name in names]
    taken = [path for path in targets if path.exists()]
    if taken and not force:
        raise UsageError(f"{taken[0]} exists; add --force to replace it, or choose another folder with -o")
    output.mkdir(parents=True, exist_ok=True)
    for index, (name, path) in enumerate(zip(names, targets, strict=True)):
        for weights in (head.classification_weights, head.regression_weights):
            with torch.no_grad():
                weights.fill_(OFF)[index] = 0.0
        loaded.save(path, provenance={"single_stage": name})
        typer.echo(str(path))
