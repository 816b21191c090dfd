"""The command ``pyramid-maps``: responses before, between and after the upsampling steps, as in figure 11."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trackcli.tracking.tracker import Tracker


def pyramid_maps(
    sequence: Annotated[Path, typer.Argument(help="Folder with img/*.jpg and groundtruth.txt.")],
    tracker: Annotated[str, typer.Option("--tracker", help="Tracker file or run folder with matcher ibu-pyramid.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write, *.png or *.jpg.")],
    frames: Annotated[str, typer.Option("--frames", help="Frames to show, from 1, with commas; one row each.")] = "1",
    force: Annotated[bool, typer.Option("--force", help="Replace the picture.")] = False,
) -> None:
    """Figure 11: per frame the responses from the deepest level to the shallowest, the head's score, the search region.

    A response is the mean of its channels, in colours from its least to its largest value; the score is from 0 to 1.
    The tracker starts on frame 0 and follows the target to the frames shown. The box is the tracker's.

    Example: trackcli pyramid-maps dev/otb_Man --tracker runs/ibfp --frames 10,40 -o maps.png
    """
    import cv2
    import numpy as np

    from trackcli import load
    from trackcli.errors import UsageError
    from trackcli_ibfp.pyramid import IbuPyramid

    if output.exists() and not force:
        raise UsageError(f"{output} exists; add --force to replace it, or choose another with -o")
    if output.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise UsageError(f"{output} is no picture; expected a name that ends in .png or .jpg")
    chosen = frame_numbers(frames)
    loaded = load(tracker, device="cpu")
    matcher = loaded.model.matcher
    if not isinstance(matcher, IbuPyramid):
        raise UsageError(f"{tracker} has another matcher; expected a tracker with ibu-pyramid")
    picture = np.concatenate(_rows(sequence, chosen, loaded))
    output.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(output), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise UsageError(f"{output} cannot be written; expected a folder that can be written to")
    columns = [*matcher.correlations, "score", "search region"]
    typer.echo(f"{output}: one row per frame ({frames}); {', '.join(columns)}")


def frame_numbers(text: str) -> list[int]:
    """``"10,40"`` → ``[10, 40]``, in order.

    Raises:
        UsageError: for anything else.
    """
    from trackcli.errors import UsageError

    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise UsageError(f"--frames {text} does not fit; expected numbers from 1 with commas, e.g. --frames 20,40")
    return numbers


def _rows(sequence: Path, chosen: list[int], tracker: Tracker) -> list[NDArray[np.uint8]]:
    """A row ``(S, (levels + 2) · S, 3)`` RGB for each frame."""
    from trackcli.errors import UsageError
    from trackcli.evaluation.datasets import load_folder_sequences
    from trackcli.tracking.response import ResponseRecorder
    from trackcli.video.images import read_image

    (truth,) = load_folder_sequences(sequence.resolve().parent, [sequence.resolve().name])
    if chosen[-1] >= len(truth):
        raise UsageError(f"--frames {chosen[-1]}: {truth.name} has {len(truth)} frames; expected numbers below that")
    tracker.start(read_image(truth.image_paths[0]), truth.boxes_xywh[0])
    kept: dict[str, Any] = {}
    matcher: Any = tracker.session.model.matcher
    hooks = [
        module.register_forward_hook(lambda module, given, response, name=name: kept.update({name: response}))
        for name, module in matcher.correlations.items()
    ]
    rows = []
    try:
        with ResponseRecorder(tracker.session) as recorder:
            for number in range(1, chosen[-1] + 1):
                tracker.update(read_image(truth.image_paths[number]))
                (response,) = recorder.take()
                if number in chosen:
                    maps = [kept[name][0].float().mean(dim=0).numpy() for name in matcher.correlations]
                    rows.append(_row(response, maps))
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def _row(response: Any, maps: list[NDArray[np.float32]]) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    from trackcli.video.drawing import draw_boxes

    side = len(response.crop)
    panels = []
    for values, low, high in [*((each, each.min(), each.max()) for each in maps), (response.scores, 0.0, 1.0)]:
        levels = ((values - low) / max(high - low, 1e-9) * 255).clip(0, 255).astype(np.uint8)
        colors = cv2.applyColorMap(
            cv2.resize(levels, (side, side), interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_TURBO
        )
        panels.append(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB))
    panels.append(draw_boxes(response.crop, response.box_xyxy[None].astype(np.float64), (), [response.score]))
    return np.concatenate(panels, axis=1).astype(np.uint8)
