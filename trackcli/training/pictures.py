"""A snapshot of pairs as one picture: template, search region, truth, prediction, response."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trackcli.training.snapshot import Snapshot

TRUE_RGB = (0, 200, 90)
PREDICTED_RGB = (255, 150, 0)
_HEAT = 0.6
"""Share of the heat map where it lies over the search region."""


def draw_snapshot(snapshot: Snapshot) -> NDArray[np.uint8]:
    """One row per pair: the template, the search region with both boxes, the response over the search region.

    The truth is green, the prediction orange, with its score; a pair without the target has no green box. The
    response's colours run from 0 to 1 in every picture, so that steps compare.

    Returns:
        ``(B · S, T' + 2 · S, 3)`` uint8 RGB, where T' is the template's side, or S if that is smaller.
    """
    return np.vstack([_row(snapshot, index) for index in range(len(snapshot.sample_ids))])


def _row(snapshot: Snapshot, index: int) -> NDArray[np.uint8]:
    template, search = _image(snapshot.template_images[index]), _image(snapshot.search_images[index])
    response = _heat(search, snapshot.response[index].numpy().astype(np.float32))
    _draw(template, snapshot.template_boxes_xyxy[index], TRUE_RGB)
    for canvas in (search, response):
        if bool(snapshot.positive[index]):
            _draw(canvas, snapshot.true_boxes_xyxy[index], TRUE_RGB)
        _draw(canvas, snapshot.predicted_boxes_xyxy[index], PREDICTED_RGB)
    _write(search, f"{float(snapshot.scores[index]):.2f}")
    return np.hstack([_fitted(template, len(search)), search, response])


def _image(image: Tensor) -> NDArray[np.uint8]:
    """``(3, S, S)`` → a copy as ``(S, S, 3)``."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy()).copy()


def _fitted(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """On black of the row's height; a larger template is shrunk."""
    if len(image) > height:
        return np.asarray(cv2.resize(image, (height, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    canvas = np.zeros((height, image.shape[1], 3), np.uint8)
    top = (height - len(image)) // 2
    canvas[top : top + len(image)] = image
    return canvas


def _heat(search: NDArray[np.uint8], response: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The response in colour over the grey search region."""
    size = search.shape[1], search.shape[0]
    large = cv2.resize(
        (np.nan_to_num(response).clip(0, 1) * 255).round().astype(np.uint8), size, interpolation=cv2.INTER_LINEAR
    )
    colors = cv2.cvtColor(cv2.applyColorMap(large, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    gray = cv2.cvtColor(cv2.cvtColor(search, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(colors, _HEAT, gray, 1 - _HEAT, 0), dtype=np.uint8)


def _draw(canvas: NDArray[np.uint8], box_xyxy: Tensor, color: tuple[int, int, int]) -> None:
    box = box_xyxy.numpy().astype(np.float64)
    if not np.isfinite(box).all():
        return
    # OpenCV's coordinates are 32-bit; a box far outside the image looks the same anywhere.
    x1, y1, x2, y2 = (int(value) for value in np.clip(np.rint(box), -30_000, 30_000))
    corners = (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1))
    cv2.rectangle(canvas, *corners, (0, 0, 0), 3)
    cv2.rectangle(canvas, *corners, color, 1)


def _write(canvas: NDArray[np.uint8], text: str) -> None:
    for color, pen in (((0, 0, 0), 3), (PREDICTED_RGB, 1)):
        cv2.putText(canvas, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, pen, cv2.LINE_AA)
