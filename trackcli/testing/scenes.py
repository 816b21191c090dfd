"""Small real material for tests: a synthetic clip, targets in it, and what the step is given of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackcli.composition.model import TrackerModel
from trackcli.config.recipe import CropConfig
from trackcli.contracts.context import Context, FrameGeometry
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import centers_and_sizes, xywh_to_xyxy
from trackcli.geometry.crop import CropMap, context_sides, crop_windows, square_windows
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings
from trackcli.tracking.step import TargetState, start_targets

TARGETS = 3
"""Targets of a scene: enough that mixing up rows shows."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A few frames with truth.

    Attributes:
        frames: ``(H, W, 3)`` RGB uint8 each.
        boxes_xywh: ``(T, 4)`` float64, one box per frame.
    """

    frames: tuple[NDArray[np.uint8], ...]
    boxes_xywh: NDArray[np.float64]


def synthetic_clip(seed: int = 0, *, frames: int = 6, size_wh: tuple[int, int] = (160, 120)) -> Clip:
    """An object that moves before a textured background; the same seed gives the same clip.

    Args:
        seed: Not negative.
        frames: How many.
        size_wh: Width and height in pixels.

    Raises:
        ConfigError: for settings that no scene can have.
    """
    settings = SceneSettings(frames=frames, size_wh=size_wh, seed=seed, look_alikes=0, occluders=0)
    sequence = make_sequence(settings)
    return Clip(tuple(sequence.frames), sequence.boxes_xywh)


@dataclass(frozen=True, eq=False)
class Scene:
    """Targets in a clip: target r starts in frame r and is looked for in the frames after it.

    Attributes:
        clip: Frames and truth.
        crop: Sizes of template and search region.
        rows: The targets, B of them.
    """

    clip: Clip
    crop: CropConfig
    rows: tuple[int, ...] = tuple(range(TARGETS))

    def only(self, *rows: int) -> Scene:
        """The same scene with some of its targets."""
        return replace(self, rows=rows)

    def truth_xyxy(self, later: int = 0) -> Tensor:
        """``(B, 4)`` float32: the targets' boxes, image pixels, ``later`` frames after their start."""
        boxes_xywh = torch.from_numpy(self.clip.boxes_xywh).to(torch.float32)
        return xywh_to_xyxy(boxes_xywh[[row + later for row in self.rows]])

    def frame_sizes_wh(self) -> Tensor:
        """``(B, 2)`` float32: width and height of each target's frame."""
        height, width = self.clip.frames[0].shape[:2]
        return torch.tensor([[float(width), float(height)]]).repeat(len(self.rows), 1)

    def windows(self, boxes_xyxy: Tensor, size: int) -> CropMap:
        """Square windows around ``(B, 4)`` boxes, at the scale of the template."""
        centers, sizes_wh = centers_and_sizes(boxes_xyxy)
        sides = context_sides(sizes_wh, self.crop.context) * (size / self.crop.pixels_of_context)
        return CropMap(square_windows(centers, sides), size)

    def crops(self, windows_xyxy: Tensor, size: int, *, later: int = 0) -> Tensor:
        """``(B, 3, size, size)`` in 0..255, cut ``later`` frames after each target's start."""
        frames = [torch.from_numpy(self.clip.frames[row + later]) for row in self.rows]
        return crop_windows(frames, range(len(frames)), windows_xyxy, size)

    def start(self, model: TrackerModel) -> TargetState:
        """The state of the targets, started on their true boxes."""
        boxes_xyxy = self.truth_xyxy()
        crop_map = self.windows(boxes_xyxy, self.crop.template_size)
        return start_targets(model, partial(self.crops), crop_map, boxes_xyxy, self.frame_sizes_wh())

    def search(self, state: TargetState, *, later: int = 1) -> tuple[Tensor, CropMap]:
        """Search crops ``(B, 3, S, S)`` in 0..255 around the last boxes, and where they lie."""
        crop_map = self.windows(state.search_boxes_xyxy, self.crop.search_size)
        return self.crops(crop_map.windows_xyxy, crop_map.size, later=later), crop_map

    def context(self, model: TrackerModel, state: TargetState, *, later: int = 1) -> Context:
        """What heads and links are given while tracking."""
        crops, crop_map = self.search(state, later=later)
        return Context(
            search=model.branch(crops),
            head_kernel=state.head_kernel or None,
            previous_boxes_xyxy=crop_map.to_crop(state.boxes_xyxy),
            geometry=FrameGeometry(crop_map, self.frame_sizes_wh(), state.boxes_xyxy),
            frame_index=state.frame_index + 1,
        )


def training_batch(scene: Scene, *, negative: int = 1) -> Batch:
    """Labelled pairs of a scene: templates from each target's first frame, search regions from the next.

    Args:
        scene: The targets.
        negative: So many pairs, the last ones, lack the target. Their ``search_boxes_xyxy`` is NaN, since it means
            nothing: what reads it shows at once.
    """
    count = len(scene.rows)
    positive = torch.arange(count) < count - negative
    template_map = scene.windows(scene.truth_xyxy(), scene.crop.template_size)
    search_map = scene.windows(scene.truth_xyxy(), scene.crop.search_size)
    objects_xyxy = search_map.to_crop(scene.truth_xyxy(later=1))
    return Batch(
        template_images=scene.crops(template_map.windows_xyxy, template_map.size),
        search_images=scene.crops(search_map.windows_xyxy, search_map.size, later=1),
        template_boxes_xyxy=template_map.to_crop(scene.truth_xyxy()),
        search_boxes_xyxy=objects_xyxy.where(positive[:, None], torch.nan),
        pair_kind=torch.where(positive, 0, 2),
        positive=positive,
        objects_xyxy=objects_xyxy[:, None],
        same_category=positive[:, None],
        valid=torch.ones(count, 1, dtype=torch.bool),
        absent=~positive,
        sample_ids=torch.tensor(scene.rows),
    )
