"""The command ``score-maps``: figure 8, score maps of several trackers with and without penalties."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from trackcli.contracts.predictions import Candidates
    from trackcli.geometry.crop import CropMap
    from trackcli.tracking.response import Response
    from trackcli.tracking.tracker import Tracker


def score_maps(
    sequence: Annotated[Path, typer.Argument(help="Folder with img/*.jpg and groundtruth.txt.")],
    tracker: Annotated[list[str], typer.Option("--tracker", help="Tracker file, run folder or name; repeatable.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write, *.png or *.jpg.")],
    frames: Annotated[
        str, typer.Option("--frames", help="Frames to show, from 1, as numbers with commas; one row each.")
    ] = "1",
    force: Annotated[bool, typer.Option("--force", help="Replace the picture.")] = False,
) -> None:
    """Figure 8: per frame the search region, then each tracker's ranking (with penalties), then its bare scores.

    All trackers start on frame 0 and search around the true box of the frame before, so that all see the same.
    The white box is the truth.

    Example: trackcli score-maps dev/otb_Man --tracker runs/with --tracker runs/without --frames 20,40 -o maps.png
    """
    import cv2
    import numpy as np

    from trackcli import load
    from trackcli.errors import UsageError

    if output.exists() and not force:
        raise UsageError(f"{output} exists; add --force to replace it, or choose another with -o")
    if output.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UsageError(f"{output} is no picture; expected a name that ends in .png or .jpg")
    chosen = _frame_numbers(frames)
    trackers = [load(name, device="cpu") for name in tracker]
    rows = [_row(sequence, number, trackers) for number in chosen]
    height, width = (min(row.shape[axis] for row in rows) for axis in (0, 1))
    picture = np.concatenate([row[:height, :width] for row in rows])
    output.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(output), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise UsageError(f"{output} cannot be written; expected the name of a file in a folder that is writable")
    maps = [f"{name} {kind}" for kind in ("with penalties", "without") for name in tracker]
    typer.echo(f"{output}: one row per frame ({frames}); search region, {', '.join(maps)}")


def _frame_numbers(text: str) -> list[int]:
    from trackcli.errors import UsageError

    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"--frames {text} does not fit; expected numbers from 1 with commas, e.g. --frames 20,40")
    return numbers


def _row(sequence: Path, number: int, trackers: list[Tracker]) -> NDArray[np.uint8]:
    """``(S, (1 + 2 · trackers) · S, 3)`` RGB."""
    import numpy as np

    from trackcli.errors import UsageError
    from trackcli.evaluation.datasets import load_folder_sequences
    from trackcli.tracking.inputs import xyxy_from_xywh
    from trackcli.video.drawing import draw_boxes
    from trackcli.video.images import read_image
    from trackcli.video.responses import draw_response

    (truth,) = load_folder_sequences(sequence.resolve().parent, [sequence.resolve().name])
    if number >= len(truth) or truth.absent[[number - 1, number]].any():
        raise UsageError(
            f"--frames {number}: {truth.name} has {len(truth)} frames; expected one in which, as in the frame before, "
            "the target is in view"
        )
    images = [read_image(truth.image_paths[index]) for index in (0, number)]
    boxes = truth.boxes_xywh[[0, number - 1, number]]
    boxes_xyxy = xyxy_from_xywh(boxes)
    seen = [responses(each, images[0], images[1], boxes_xyxy) for each in trackers]
    response, true_box = seen[0][0], seen[0][2]
    panels = [draw_boxes(response.crop, true_box[None].astype(np.float64))]
    for kind in (1, 0):  # rankings first, as in the figure
        for found in seen:
            shown = found[:2][kind]
            panels.append(draw_response(shown)[:, shown.crop.shape[1] :])
    smallest = min(panel.shape[0] for panel in panels)
    return np.concatenate([panel[:smallest] for panel in panels], axis=1)


def responses(
    tracker: Tracker, first: NDArray[np.uint8], later: NDArray[np.uint8], boxes_xyxy: NDArray[np.float64]
) -> tuple[Response, Response, NDArray[np.float32]]:
    """What a tracker that started on one frame answers in another, around a given box.

    Args:
        tracker: On the CPU.
        first: ``(H, W, 3)`` uint8 RGB: where it starts.
        later: Likewise: where it looks.
        boxes_xyxy: ``(3, 4)`` image pixels: the target in ``first``, the box to search around, the truth in ``later``.

    Returns:
        The response by scores, that by ranking, and the truth in search-crop pixels ``(4,)``.
    """
    import torch

    from trackcli.geometry.crop import crop_windows
    from trackcli.tracking.response import Response, response_map, search_images
    from trackcli.tracking.step import start_targets, track_step

    model, crop = tracker.model, tracker.plan.recipe.crop
    start, around, truth = torch.from_numpy(boxes_xyxy).float()[:, None]
    frames = [torch.from_numpy(image) for image in (first, later)]
    sizes = [torch.tensor([[float(image.shape[1]), float(image.shape[0])]]) for image in (first, later)]
    kept: list[Candidates] = []
    hook = model.select.register_forward_hook(lambda module, given, selection: kept.append(given[0]))
    try:
        with torch.no_grad():
            template = _window(tracker, start, crop.template_size)
            state = start_targets(
                model, lambda windows, size: crop_windows(frames[:1], [0], windows, size), template, start, sizes[0]
            )
            state = replace(state, boxes_xyxy=around, search_boxes_xyxy=around)
            region = _window(tracker, around, crop.search_size)
            crops = crop_windows(frames[1:], [0], region.windows_xyxy, region.size)
            selection, _, context = track_step(model, state, crops, region, sizes[1])
    finally:
        hook.remove()
    (candidates,) = kept
    valid = candidates.valid[0]
    shown = search_images(model, context.search.images)[0]
    box = region.to_crop(selection.boxes_xyxy)[0].numpy()
    made = [
        Response(
            target=0,
            scores=grid,
            x=x,
            y=y,
            crop=shown,
            window_xyxy=region.windows_xyxy[0].numpy(),
            box_xyxy=box,
            score=float(selection.scores[0]),
        )
        for grid, x, y in (
            response_map(candidates.points_xy[0][valid].numpy(), values[0][valid].numpy(), region.size)
            for values in (candidates.scores, candidates.ranking)
        )
    ]
    return made[0], made[1], region.to_crop(truth)[0].numpy()


def _window(tracker: Tracker, box_xyxy: torch.Tensor, size: int) -> CropMap:
    from trackcli.geometry.boxes import centers_and_sizes
    from trackcli.geometry.crop import CropMap, context_sides, square_windows

    crop = tracker.plan.recipe.crop
    centers_xy, sizes_wh = centers_and_sizes(box_xyxy)
    sides = context_sides(sizes_wh, crop.context) * (size / crop.pixels_of_context)
    return CropMap(square_windows(centers_xy, sides), size)
