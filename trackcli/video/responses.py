"""Pictures of responses: the search region with the selected box, and beside it where the head sees the target."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray
from trackcli_cache.files import write_whole

from trackcli.errors import TrackcliError
from trackcli.tracking.response import Response, ResponseRecorder
from trackcli.video.drawing import draw_boxes

if TYPE_CHECKING:
    from trackcli.tracking.run import TrackedFrame
    from trackcli.tracking.session import Session

_HEAT = 0.6
"""Share of the heat map where it lies over the crop."""


class ResponseWriter:
    """Writes ``DIR/<frame>.png`` after each frame, or ``DIR/<target>/<frame>.png`` for several or named targets.

    The first frame has none, since nothing is looked for there, nor has one that could not be read.

    Args:
        folder: Where to write; made if it does not exist.
        session: Whose responses.
        names: The targets' names.
        with_data: Also write ``<frame>.npz``: ``scores (H, W)``, ``x (W,)`` and ``y (H,)`` (the cells' centres) and
            ``box_xyxy (4,)`` in crop pixels, ``window_xyxy (4,)`` in image pixels, ``score``.

    Raises:
        TrackcliError: if a folder or a file cannot be written.
    """

    def __init__(self, folder: Path, session: Session, names: Sequence[str], *, with_data: bool) -> None:
        self._recorder = ResponseRecorder(session)
        self._with_data = with_data
        self._folders = [folder if tuple(names) == ("1",) else folder / folder_name(name) for name in names]
        try:
            for place in self._folders:
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrackcliError(
                f"folder '{folder}' cannot be made ({error.strerror or error}); choose another for --save-response"
            ) from error

    def write(self, frame: TrackedFrame) -> None:
        """Write what was recorded since the last frame."""
        for response in self._recorder.take():
            place = self._folders[response.target] / f"{frame.index:06d}"
            picture = cv2.cvtColor(draw_response(response), cv2.COLOR_RGB2BGR)
            write_whole(place.with_suffix(".png"), cv2.imencode(".png", picture)[1].tobytes())
            if self._with_data:
                write_whole(place.with_suffix(".npz"), _packed(response))

    def __enter__(self) -> Self:
        self._recorder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recorder.__exit__(kind, error, trace)


def folder_name(target: str) -> str:
    """A name that is one folder's, whatever the target is called; different for different targets."""
    quoted = quote(target, safe=" ")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def draw_response(response: Response) -> NDArray[np.uint8]:
    """The search region with the selected box and its score, and beside it the scores in colour.

    Colours run from 0 to 1 in every picture, so that frames and trackers compare. Where the response does not reach,
    the crop stays grey.

    Returns:
        ``(S, 2 · S, 3)`` uint8 RGB.
    """
    left = draw_boxes(response.crop, response.box_xyxy[None].astype(np.float64), (), [response.score])
    gray = cv2.cvtColor(cv2.cvtColor(response.crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    scores, covered = upsampled(response)
    colors = cv2.applyColorMap((scores.clip(0, 1) * 255).round().astype(np.uint8), cv2.COLORMAP_TURBO)
    mixed = cv2.addWeighted(cv2.cvtColor(colors, cv2.COLOR_BGR2RGB), _HEAT, gray, 1 - _HEAT, 0)
    right = np.where(covered[..., None], mixed, gray)
    return np.concatenate((left, right), axis=1).astype(np.uint8)


def upsampled(response: Response) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The scores at every pixel of the crop, bilinear between the cells' centres, and which pixels cells cover."""
    middle = np.arange(len(response.crop), dtype=np.float32) + 0.5
    (column, inside_x), (row, inside_y) = _cells_at(middle, response.x), _cells_at(middle, response.y)
    across, down = np.meshgrid(column, row)
    scores = cv2.remap(response.scores, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return scores.astype(np.float32), inside_y[:, None] & inside_x[None]


def _cells_at(
    pixels: NDArray[np.float32], centers: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Fractional cell indices of pixels, and whether a cell covers them."""
    cells = (pixels - centers[0]) * np.float32((len(centers) - 1) / (centers[-1] - centers[0]))
    return cells.astype(np.float32), (cells >= -0.5) & (cells <= len(centers) - 0.5)


def _packed(response: Response) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(
        content,
        scores=response.scores,
        x=response.x,
        y=response.y,
        box_xyxy=response.box_xyxy,
        window_xyxy=response.window_xyxy,
        score=np.float32(response.score),
    )
    return content.getvalue()
