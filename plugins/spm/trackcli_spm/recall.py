"""The command ``proposal-recall``: how often the target is among the K best boxes of the coarse stage (figure 6 b)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trackcli.evaluation.datasets import EvaluationSequence
    from trackcli.reporting.charts import LineChart
    from trackcli.tracking.tracker import Tracker

MEAN_OVER = (0.5, 0.55, 0.6, 0.65, 0.7)
"""Overlaps over which the paper averages."""

SHOWN = tuple(round(0.5 + 0.02 * step, 2) for step in range(26))
"""Overlaps of the curves."""


def proposal_recall(
    *,
    root: Annotated[Path, typer.Option("--root", help="Sequences, as for trackcli eval.")],
    tracker: Annotated[
        list[str], typer.Option("--tracker", help="[LABEL=]TRACKER: file, run folder or name; repeatable.")
    ],
    dataset: Annotated[str, typer.Option("--dataset", help="Layout of the dataset, as for trackcli eval.")] = "folder",
    proposals: Annotated[str, typer.Option("--proposals", help="Numbers of boxes K, with commas.")] = "1,3,5,7,9,11,15",
    sequences: Annotated[
        list[str] | None, typer.Option("--sequences", help="Only sequences of this name or pattern; repeatable.")
    ] = None,
    last_box: Annotated[
        bool, typer.Option("--last-box/--no-last-box", help="Whether one of the K is what fits the last box.")
    ] = True,
    every: Annotated[int, typer.Option("--every", min=1, help="Look at every so many frames.")] = 1,
    plots: Annotated[Path | None, typer.Option("--plots", help="Folder for the curves as PNG and PDF.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Share of frames in which one of K proposals covers the target, by overlap threshold.

    The template is from the first frame; each frame is searched around the true box of the frame before. As while
    tracking, one of the K is the box that fits this one, and K = 1 is the best box alone; --no-last-box shows what the
    scores alone find.

    Example: trackcli proposal-recall --root dev --tracker with=runs/with --tracker without=runs/without --plots figures
    """
    import numpy as np

    from trackcli import load
    from trackcli.errors import UsageError
    from trackcli.evaluation.datasets import load_sequences
    from trackcli_spm.variants import numbers

    counts = numbers(proposals)
    if not counts:
        raise UsageError("--proposals is empty; expected numbers with commas, e.g. --proposals 1,5,9")
    chosen = load_sequences(dataset, root, sequences or ())
    found: dict[str, NDArray[np.float64]] = {}
    for text in tracker:
        label, equals, name = text.partition("=")
        loaded = load(name if equals else text, device=device)
        overlaps = [best_overlaps(loaded, sequence, counts, every=every, last_box=last_box) for sequence in chosen]
        found[label if equals else Path(text).stem] = np.concatenate(overlaps)
    if len(found) < len(tracker):
        raise UsageError("two trackers have one label; expected different ones, e.g. --tracker with=runs/a")
    if plots is not None:
        from trackcli.reporting.figures import save_figures

        save_figures([_chart(label, overlaps, counts) for label, overlaps in found.items()], plots)
    result = {label: _summary(overlaps, counts) for label, overlaps in found.items()}
    typer.echo(json.dumps(result) if as_json else _table(result, counts))


def best_overlaps(
    tracker: Tracker, sequence: EvaluationSequence, counts: tuple[int, ...], *, every: int = 1, last_box: bool = True
) -> NDArray[np.float64]:
    """``(F, len(counts))`` largest IoU with the truth among K proposals, for each frame that shows the target."""
    import numpy as np
    import torch

    from trackcli.geometry.boxes import box_iou, xywh_to_xyxy
    from trackcli.video.images import read_image
    from trackcli_spm.probing import head_of, look, start
    from trackcli_spm.proposals import propose

    config = head_of(tracker).config
    boxes_xyxy = xywh_to_xyxy(torch.from_numpy(sequence.boxes_xywh).float())[:, None].to(tracker.device)
    state = start(tracker, read_image(sequence.image_paths[0]), boxes_xyxy[0])
    rows = []
    for number in range(1, len(sequence), every):
        if sequence.absent[[number - 1, number]].any():
            continue
        sight = look(tracker, state, read_image(sequence.image_paths[number]), boxes_xyxy[number - 1])
        truth = sight.crop_map.to_crop(boxes_xyxy[number]).unsqueeze(1)
        row = []
        for count in counts:
            settings = config.model_copy(update={"proposals": count})
            boxes = propose(sight.candidates, sight.previous_xyxy if last_box else None, settings)
            row.append(float(box_iou(boxes.boxes_xyxy, truth).masked_fill(~boxes.valid, 0).max()))
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, len(counts))


def recall(overlaps: NDArray[np.float64], thresholds: tuple[float, ...]) -> NDArray[np.float64]:
    """``(F, K)`` overlaps → ``(T, K)`` shares of frames whose overlap is above each threshold."""
    import numpy as np

    return np.stack([(overlaps > threshold).mean(axis=0) for threshold in thresholds])


def _summary(overlaps: NDArray[np.float64], counts: tuple[int, ...]) -> dict[str, Any]:
    mean, curves = recall(overlaps, MEAN_OVER).mean(axis=0), recall(overlaps, SHOWN)
    return {
        "frames": len(overlaps),
        "thresholds": list(SHOWN),
        "proposals": {
            str(count): {"mean_recall": float(mean[index]), "recall": curves[:, index].tolist()}
            for index, count in enumerate(counts)
        },
    }


def _table(result: dict[str, dict[str, Any]], counts: tuple[int, ...]) -> str:
    width = max(len(label) for label in result)
    lines = [f"{'mean recall, IoU 0.5 … 0.7':<{width}}  {'  '.join(f'K={count:<3d}' for count in counts)}"]
    width = max(width, len("mean recall, IoU 0.5 … 0.7"))
    for label, measured in result.items():
        values = "  ".join(f"{measured['proposals'][str(count)]['mean_recall']:.3f}" for count in counts)
        lines.append(f"{label:<{width}}  {values}  ({measured['frames']} frames)")
    return "\n".join(lines)


def _chart(label: str, overlaps: NDArray[np.float64], counts: tuple[int, ...]) -> LineChart:
    from trackcli.reporting.charts import Axis, Line, LineChart

    curves, means = recall(overlaps, SHOWN), recall(overlaps, MEAN_OVER).mean(axis=0)
    lines = tuple(
        Line(f"K = {count}", SHOWN, tuple(curves[:, index].tolist()), index, note=f"{means[index]:.3f}")
        for index, count in enumerate(counts)
    )
    name = "".join(character if character.isalnum() else "-" for character in label)
    axes = (Axis("overlap threshold", 0.5, 1.0), Axis("recall", 0.0, 1.0))
    return LineChart(f"recall-{name}", f"Recall of proposals: {label}", *axes, lines)
