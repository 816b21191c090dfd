"""Boxes and labels drawn so that they can be read on any picture, and sheets of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.video.sinks import fit_image

Color = tuple[int, int, int]

# Okabe and Ito's palette for people with and without colour blindness, without its black; first those that stand out.
PALETTE_RGB: tuple[Color, ...] = (
    (240, 228, 66),
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)

_BLACK: Color = (0, 0, 0)
_WHITE: Color = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CELL_WIDTH = 480


def color_of(target: int) -> Color:
    """RGB colour of the target with that number; neighbours differ, and colours repeat after the palette's end."""
    return PALETTE_RGB[target % len(PALETTE_RGB)]


def draw_boxes(
    image: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float64],
    labels: Sequence[str] = (),
    scores: Sequence[float] | NDArray[np.floating] = (),
) -> NDArray[np.uint8]:
    """Draw one outlined box per target, with a label of name and score.

    Args:
        image: ``(H, W, 3)`` uint8, RGB; not changed.
        boxes_xyxy: ``(B, 4)`` image pixels, half-open; may reach over the border. Boxes that are not finite are left
            out.
        labels: B names, or none.
        scores: B numbers in 0..1, or none.

    Returns:
        A copy of the image with the boxes drawn.
    """
    canvas = image.copy()
    thickness = line_width(canvas)
    for target, box in enumerate(boxes_xyxy):
        if not np.isfinite(box).all():
            continue
        corners = _corner_pixels(box)
        cv2.rectangle(canvas, *corners, _BLACK, thickness + 2)
        cv2.rectangle(canvas, *corners, color_of(target), thickness)
        words = [labels[target]] if target < len(labels) else []
        words += [f"{scores[target]:.2f}"] if target < len(scores) else []
        if words:
            _draw_label(canvas, " ".join(words), corners, color_of(target))
    return canvas


def line_width(image: NDArray[np.uint8]) -> int:
    """Width in pixels of a line that can be seen when the whole image fills a screen."""
    return max(1, int(min(image.shape[0], image.shape[1]) / 240 + 0.5))


def contact_sheet(images: Sequence[NDArray[np.uint8]], columns: int, captions: Sequence[str] = ()) -> NDArray[np.uint8]:
    """Lay images out as a grid, row by row.

    Args:
        images: At least one ``(H, W, 3)`` uint8, RGB; sizes may differ, the first one's shape decides the cells'.
        columns: Cells per row, at least 1.
        captions: A line under each image, or none.

    Returns:
        ``(H', W', 3)`` uint8, RGB; cells that are left over are black.

    Raises:
        ValueError: if there is no image, or no column.
    """
    if not images or columns < 1:
        raise ValueError(f"a contact sheet needs images and columns, but got {len(images)} and {columns}")
    height, width = images[0].shape[:2]
    scale = min(1.0, _CELL_WIDTH / width)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    cells = [fit_image(image, size_wh) for image in images]
    if captions:
        cells = [_with_caption(cell, captions[i] if i < len(captions) else "") for i, cell in enumerate(cells)]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[first : first + columns]) for first in range(0, len(cells), columns)]
    return np.vstack(rows)


def _corner_pixels(box_xyxy: NDArray[np.float64]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel of a half-open box; OpenCV's rectangles include their last one."""
    # OpenCV's coordinates are 32-bit; a box far outside the image looks the same anywhere.
    x1, y1, x2, y2 = (int(value) for value in np.clip(np.rint(box_xyxy), -30_000, 30_000))
    return (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1))


def _draw_label(
    canvas: NDArray[np.uint8], text: str, corners: tuple[tuple[int, int], tuple[int, int]], background: Color
) -> None:
    """Write text on a coloured strip above the box, or inside it where there is no room above."""
    text, size, scale, pen = _text_layout(canvas, text)
    margin = max(2, size[1] // 3)
    strip_wh = size[0] + 2 * margin, size[1] + 2 * margin
    (left, top), _ = corners
    x = min(max(left, 0), max(0, canvas.shape[1] - strip_wh[0]))
    above = top - strip_wh[1]
    y = above if above >= 0 else min(max(top, 0), max(0, canvas.shape[0] - strip_wh[1]))
    cv2.rectangle(canvas, (x, y), (x + strip_wh[0] - 1, y + strip_wh[1] - 1), background, cv2.FILLED)
    cv2.putText(canvas, text, (x + margin, y + margin + size[1]), _FONT, scale, _BLACK, pen, cv2.LINE_AA)


def _with_caption(cell: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    text, size, scale, pen = _text_layout(cell, text)
    strip = np.zeros((2 * max(12, size[1]), cell.shape[1], 3), np.uint8)
    baseline = (strip.shape[0] + size[1]) // 2
    cv2.putText(strip, text, (6, baseline), _FONT, scale, _WHITE, pen, cv2.LINE_AA)
    return np.vstack([cell, strip])


def _text_layout(image: NDArray[np.uint8], text: str) -> tuple[str, tuple[int, int], float, int]:
    """Printable text, its width and height, its scale and the pen's width, readable at the image's size."""
    # OpenCV's built-in strokes know ASCII only and print other characters as several question marks.
    text = "".join(character if " " <= character <= "~" else "?" for character in text)
    scale = max(0.4, min(image.shape[0], image.shape[1]) / 900)
    pen = max(1, round(scale * 1.6))
    size, _ = cv2.getTextSize(text, _FONT, scale, pen)
    return text, cast("tuple[int, int]", size), scale, pen
