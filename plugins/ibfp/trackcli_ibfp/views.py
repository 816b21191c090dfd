"""Changed copies of the first frame: shifted, turned, mirrored, blurred, with channels dropped."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.contracts.context import StartContext
from trackcli.geometry.boxes import boxes_from_centers, centers_and_sizes
from trackcli.geometry.crop import square_windows

EXPANSION = 2
"""Views are cut out of a region so many times as large, so that turning and shifting shows more of the frame."""

RANDOM_SHIFT = 1 / 3
"""Largest random shift of views that are turned, mirrored or blurred, in halves of the search region's side."""

_FULL_TURNS = (5, -5, 10, -10, 20, -20, 30, -30, 45, -45, -60, 60)
_FULL_BLURS = ((2.0, 0.2), (0.2, 2.0), (3.0, 1.0), (1.0, 3.0), (2.0, 2.0))
_SHIFTS = ((0.6, 0.6), (-0.6, 0.6), (0.6, -0.6), (-0.6, -0.6))
_DROPOUTS = {"full": 7, "few": 2}
DROPPED = 0.2
"""Share of channels that are dropped in a copy of the features."""


@dataclass(frozen=True)
class View:
    """One changed copy.

    Attributes:
        shift: Along x and y, in halves of the search region's side.
        turn: Degrees.
        mirror: Left and right change places.
        blur: Standard deviations along x and y in pixels; 0: none.
        keep: Share of channels that stay; the copy's features are those of the first view.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    mirror: bool = False
    blur: tuple[float, float] = (0.0, 0.0)
    keep: float = 1.0


def views_of(kind: Literal["full", "few"], seed: int) -> tuple[View, ...]:
    """The views, the unchanged one first; those that are turned, mirrored or blurred are also shifted at random.

    ``few`` is a choice of ours; one of its views is shifted at random and nothing else.

    Source: Danelljan et al. 2019 (ATOM), public parameters and code.
    """
    chance = random.Random(seed)

    def near() -> tuple[float, float]:
        return chance.uniform(-RANDOM_SHIFT, RANDOM_SHIFT), chance.uniform(-RANDOM_SHIFT, RANDOM_SHIFT)

    turns = _FULL_TURNS if kind == "full" else (15, -15)
    blurs = _FULL_BLURS if kind == "full" else ((2.0, 2.0),)
    shifts = _SHIFTS if kind == "full" else _SHIFTS[::3]
    changed = [View(near(), mirror=True)]
    changed += [View(near(), turn=turn) for turn in turns]
    changed += [View(near(), blur=blur) for blur in blurs]
    changed += [View(shift) for shift in shifts]
    changed += [View(keep=1 - DROPPED)] * _DROPOUTS[kind]
    plain = [View()] if kind == "full" else [View(), View(near())]
    return (*plain, *changed)


@dataclass(frozen=True)
class Shown:
    """A view of B targets.

    Attributes:
        view: What was done.
        crops: ``(B, 3, S, S)`` in 0..255.
        boxes_xyxy: ``(B, 4)`` the target, crop pixels: its centre moved, its size as it was.
    """

    view: View
    crops: Tensor
    boxes_xyxy: Tensor


def shown_views(context: StartContext, views: tuple[View, ...]) -> Iterator[Shown]:
    """Search crops around the target in the start frames, changed; views that only drop channels are left out."""
    size = context.search_size
    centers_xy, sizes_wh = centers_and_sizes(context.boxes_xyxy)
    assert context.template.boxes_xyxy is not None  # the session gives it
    _, in_crop = centers_and_sizes(context.template.boxes_xyxy)
    scale = (sizes_wh / in_crop).mean(dim=1)  # image pixels per crop pixel, in template and search crop alike
    region = context.crop(square_windows(centers_xy, scale * size * EXPANSION), size * EXPANSION)
    middle = torch.full_like(in_crop, size / 2)
    for view in views:
        if view.keep < 1:
            continue
        shift_xy = middle * middle.new_tensor(view.shift)
        crops = blurred(transformed(region, shift_xy, view, size), view.blur)
        yield Shown(view, crops, boxes_from_centers(middle + shift_xy, in_crop))


def transformed(region: Tensor, shift_xy: Tensor, view: View, size: int) -> Tensor:
    """Turn and mirror a region about its middle, move it, and cut the middle out.

    Args:
        region: ``(B, 3, R, R)`` with the target in the middle.
        shift_xy: ``(B, 2)`` pixels by which the target moves.
        view: Turn and mirror.
        size: Side of the result.

    Returns:
        ``(B, 3, size, size)``.
    """
    angle = math.radians(view.turn)
    cosine, sine = math.cos(angle), math.sin(angle)
    offsets = torch.arange(size, device=region.device, dtype=region.dtype) + 0.5 - size / 2
    x = offsets[None, None, :] - shift_xy[:, 0, None, None]
    y = offsets[None, :, None] - shift_xy[:, 1, None, None]
    source_x, source_y = cosine * x + sine * y, -sine * x + cosine * y
    if view.mirror:
        source_x = -source_x
    shape = (len(region), size, size)
    where = torch.stack((source_x.expand(shape), source_y.expand(shape)), dim=-1) / (region.shape[-1] / 2)
    return F.grid_sample(region, where, padding_mode="border", align_corners=False)


def blurred(crops: Tensor, sigmas: tuple[float, float]) -> Tensor:
    """Gaussian blur along x and y; ``(B, 3, S, S)``."""
    for axis, sigma in zip((3, 2), sigmas, strict=True):
        if sigma <= 0:
            continue
        reach = math.ceil(2 * sigma)
        steps = torch.arange(-reach, reach + 1, device=crops.device, dtype=crops.dtype)
        weights = (-0.5 * (steps / sigma).square()).exp()
        shape = (1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1)
        kernel = (weights / weights.sum()).reshape(shape).expand(crops.shape[1], 1, *shape[2:])
        padding = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
        crops = F.conv2d(F.pad(crops, padding, mode="replicate"), kernel, groups=crops.shape[1])
    return crops


def view_features(
    context: StartContext, views: tuple[View, ...], features_of: Callable[[Tensor], Tensor], seed: int
) -> tuple[Tensor, Tensor]:
    """Features and boxes of all views.

    Args:
        context: The start frames.
        views: The unchanged one first.
        features_of: Crops ``(B, 3, S, S)`` → ``(B, F, H, W)``.
        seed: Of the channels that are dropped.

    Returns:
        ``(B, F, n, H, W)`` and ``(B, n, 4)`` in crop pixels, in the order of the views.
    """
    seen = [(features_of(shown.crops), shown.boxes_xyxy) for shown in shown_views(context, views)]
    generator = torch.Generator().manual_seed(seed)
    plain, box = seen[0]
    for view in views:
        if view.keep < 1:
            kept = torch.rand(plain.shape[1], generator=generator) < view.keep
            seen.append((plain * (kept.to(plain) / view.keep)[:, None, None], box))
    maps, boxes = zip(*seen, strict=True)
    return torch.stack(maps, dim=2), torch.stack(boxes, dim=1)
