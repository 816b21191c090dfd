"""Crops: which square window of the frame becomes the template or the search region, and how it is cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackcli.errors import ShapeError
from trackcli.geometry.boxes import boxes_from_centers

FILL_LATTICE = 8
"""The fill colour is the mean over every 8th pixel of every 8th row: the same colour, at 1/64 of the cost."""


def context_sides(sizes_wh: Tensor, context_amount: float) -> Tensor:
    """Side of the square that holds a target with its context: ``sqrt((w + p)(h + p))``, ``p = context · (w + h)``.

    Args:
        sizes_wh: ``(…, 2)`` target sizes in pixels.
        context_amount: 0.5 in SiamFC and all that follow it; 0 gives ``sqrt(w · h)``.

    Returns:
        ``(…,)`` sides in pixels.

    Source: Bertinetto et al. 2016, section 2.3 (exemplar images).
    """
    margin = context_amount * sizes_wh.sum(dim=-1, keepdim=True)
    return (sizes_wh + margin).prod(dim=-1).sqrt()


def square_windows(centers_xy: Tensor, sides: Tensor) -> Tensor:
    """``(…, 4)`` square windows (x0, y0, x1, y1) around ``(…, 2)`` centres with ``(…,)`` sides."""
    return boxes_from_centers(centers_xy, sides.unsqueeze(-1).expand(*sides.shape, 2))


@dataclass(frozen=True)
class CropMap:
    """The affine map between a frame and one square crop per target.

    Attributes:
        windows_xyxy: ``(B, 4)`` windows in image pixels; may reach over the border.
        size: Side of the crops in pixels.
    """

    windows_xyxy: Tensor
    size: int

    @property
    def scales(self) -> Tensor:
        """``(B,)`` image pixels per crop pixel."""
        return (self.windows_xyxy[:, 2] - self.windows_xyxy[:, 0]) / self.size

    def to_image(self, boxes_xyxy: Tensor) -> Tensor:
        """Crop pixels ``(B, 4)`` or ``(B, N, 4)`` → image pixels."""
        scale, origin = self._broadcast(boxes_xyxy)
        return boxes_xyxy * scale + origin

    def to_crop(self, boxes_xyxy: Tensor) -> Tensor:
        """Image pixels ``(B, 4)`` or ``(B, N, 4)`` → crop pixels."""
        scale, origin = self._broadcast(boxes_xyxy)
        return (boxes_xyxy - origin) / scale

    def _broadcast(self, boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (boxes_xyxy.ndim - 1)
        origin = self.windows_xyxy[:, :2].repeat(1, 2)
        return self.scales.reshape(shape), origin.reshape(-1, *shape[1:-1], 4)


def fill_color(frame: Tensor) -> Tensor:
    """``(3,)`` float mean colour of an ``(H, W, 3)`` uint8 frame, over a lattice of its pixels."""
    return frame[::FILL_LATTICE, ::FILL_LATTICE].to(torch.float32).mean(dim=(0, 1))


def crop_windows(frames: Sequence[Tensor], frame_of_target: Sequence[int], windows_xyxy: Tensor, size: int) -> Tensor:
    """Cut one square window per target out of its frame and resize it, touching only the window's pixels.

    Bilinear; pixels outside the frame take the frame's mean colour. Every shape is static and no value is read back to
    the host, so the step that calls this can be captured.

    Args:
        frames: ``(H, W, 3)`` uint8 RGB each; sizes may differ.
        frame_of_target: For each of the B targets the index of its frame.
        windows_xyxy: ``(B, 4)`` float, image pixels, half-open; may reach over the border.
        size: Side of the result in pixels.

    Returns:
        ``(B, 3, size, size)`` float in 0..255. The centre i + 0.5 of a crop pixel shows window position
        ``(i + 0.5) · side / size``.

    Raises:
        ShapeError: if there is not one window per target.

    Source: Bertinetto et al. 2016, section 2.3 (exemplar and search crops).
    """
    if windows_xyxy.shape != (len(frame_of_target), 4):
        raise ShapeError(f"windows_xyxy has shape {tuple(windows_xyxy.shape)}; expected ({len(frame_of_target)}, 4)")
    fills = {index: fill_color(frames[index]) for index in set(frame_of_target)}
    crops = [
        _crop_one(frames[index], windows_xyxy[row], fills[index], size) for row, index in enumerate(frame_of_target)
    ]
    return torch.stack(crops)


def _crop_one(frame: Tensor, window_xyxy: Tensor, fill: Tensor, size: int) -> Tensor:
    height, width = frame.shape[:2]
    columns = _sample_axis(window_xyxy[0], window_xyxy[2], size, width)
    rows = _sample_axis(window_xyxy[1], window_xyxy[3], size, height)
    # Rows first: whole rows are copied as they lie in memory, so only size · 2 rows of the frame are ever read.
    strips = frame.index_select(0, rows.indices)
    pixels = strips.index_select(1, columns.indices).permute(2, 0, 1).to(torch.float32)
    top, bottom = pixels[:, :size], pixels[:, size:]
    blended = torch.lerp(top, bottom, rows.fraction[:, None])
    crop = torch.lerp(blended[..., :size], blended[..., size:], columns.fraction)
    inside = rows.inside[:, None] * columns.inside
    return torch.lerp(fill[:, None, None].expand_as(crop), crop, inside)


@dataclass(frozen=True)
class _AxisSamples:
    indices: Tensor  # (2·size,) lower neighbours, then upper neighbours
    fraction: Tensor  # (size,) weight of the upper neighbour
    inside: Tensor  # (size,) 1 where the sample lies in the frame, 0 where the fill shows


def _sample_axis(start: Tensor, stop: Tensor, size: int, length: int) -> _AxisSamples:
    steps = torch.arange(size, device=start.device, dtype=start.dtype) + 0.5
    positions = start + steps * ((stop - start) / size)
    inside = ((positions >= 0) & (positions < length)).to(torch.float32)
    index = (positions - 0.5).clamp(0, length - 1)
    lower = index.floor()
    indices = torch.cat((lower, (lower + 1).clamp(max=length - 1))).long()
    return _AxisSamples(indices, (index - lower).to(torch.float32), inside)
