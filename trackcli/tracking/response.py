"""What the head answers over the search region, frame by frame: for looking at a tracker, whatever its head."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from trackcli.composition.model import TrackerModel
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.tracking.session import Session

SPARSE_STEP = 8
"""Crop pixels between the cells onto which the scores of a few single candidates are spread."""


@dataclass(frozen=True, eq=False)
class Response:
    """One target's response in one frame.

    Attributes:
        target: The target's number, from 0.
        scores: ``(H, W)`` float32 in 0..1: the best score of the candidates at each cell.
        x: ``(W,)`` the cells' centres in search-crop pixels.
        y: ``(H,)`` likewise.
        crop: ``(S, S, 3)`` uint8 RGB, the search region.
        window_xyxy: ``(4,)`` where the search region lies in the frame, image pixels.
        box_xyxy: ``(4,)`` the selected box in search-crop pixels, before smoothing.
        score: Its score.
    """

    target: int
    scores: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    crop: NDArray[np.uint8]
    window_xyxy: NDArray[np.float32]
    box_xyxy: NDArray[np.float32]
    score: float


class ResponseRecorder:
    """Keeps the responses of a session's steps while a ``with`` block lasts.

    It listens where one candidate is selected, behind every candidate link: after ``decode`` all heads are alike. Each
    recorded step costs a transfer to the host.

    Example:
        >>> with ResponseRecorder(tracker.session) as recorder:
        ...     tracker.update(frame)
        ...     (response,) = recorder.take()
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: list[Response] = []
        self._hook: Any = None

    def __enter__(self) -> Self:
        self._hook = self._session.model.select.register_forward_hook(self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def take(self) -> list[Response]:
        """The responses since the last call, by target."""
        taken, self._kept = sorted(self._kept, key=lambda response: response.target), []
        return taken

    def _keep(self, select: Any, given: tuple[Candidates, Context], selection: Selection) -> None:
        candidates, context = given
        assert context.geometry is not None  # only training has none
        crop_map = context.geometry.crop_map
        crops = search_images(self._session.model, context.search.images)
        boxes = crop_map.to_crop(selection.boxes_xyxy.float())
        for place, target in enumerate(self._session.stepping.tolist()):
            valid = candidates.valid[place]
            scores, x, y = response_map(
                _host(candidates.points_xy[place][valid]), _host(candidates.scores[place][valid]), crop_map.size
            )
            window, box = _host(crop_map.windows_xyxy[place]), _host(boxes[place])
            score = float(selection.scores[place])
            self._kept.append(Response(target, scores, x, y, crops[place], window, box, score))


def search_images(model: TrackerModel, images: torch.Tensor) -> NDArray[np.uint8]:
    """``(B, 3, S, S)`` normalised crops → ``(B, S, S, 3)`` uint8 RGB."""
    pixels = (images.float() * model.std + model.mean) / model.normalisation.scale
    if model.normalisation.channels == "bgr":
        pixels = pixels.flip(1)
    return pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def response_map(
    points_xy: NDArray[np.float32], scores: NDArray[np.float32], size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Candidates' scores as a map.

    Candidates that fill a grid give that grid, the best of those that share a cell. A few single ones, as a second
    stage leaves them, are spread over a coarse grid, each as a Gaussian as wide as a cell.

    Args:
        points_xy: ``(N, 2)`` in crop pixels.
        scores: ``(N,)``.
        size: Side of the crop in pixels.

    Returns:
        ``(H, W)`` scores, and the centres of the columns ``(W,)`` and rows ``(H,)`` in crop pixels.
    """
    places = np.round(points_xy, 2)  # box arithmetic moved them by less
    x, column = np.unique(places[:, 0], return_inverse=True)
    y, row = np.unique(places[:, 1], return_inverse=True)
    if len(x) > 1 and len(y) > 1 and len(set(zip(row.tolist(), column.tolist(), strict=True))) == len(x) * len(y):
        grid = np.zeros((len(y), len(x)), np.float32)
        np.maximum.at(grid, (row, column), scores)
        return grid, x, y
    centers = (np.arange(-(-size // SPARSE_STEP)) + 0.5).astype(np.float32) * SPARSE_STEP
    grid = np.zeros((len(centers), len(centers)), np.float32)
    for (center_x, center_y), score in zip(points_xy, scores, strict=True):
        across = np.exp(-0.5 * ((centers - center_x) / SPARSE_STEP) ** 2)
        down = np.exp(-0.5 * ((centers - center_y) / SPARSE_STEP) ** 2)
        np.maximum(grid, score * down[:, None] * across[None], out=grid)
    return grid, centers, centers


def _host(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
