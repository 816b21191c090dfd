"""What the parts of one step may know beside their input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from trackcli.contracts.levels import Branch
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.state import HeadKernel, Kernel
from trackcli.contracts.training import Batch
from trackcli.geometry.crop import CropMap


@dataclass(frozen=True)
class FrameGeometry:
    """Where the search crops lie in their frames.

    Attributes:
        crop_map: Search-crop pixels ↔ image pixels.
        frame_sizes_wh: ``(B, 2)`` float, width and height of each target's frame.
        previous_boxes_xyxy: ``(B, 4)`` the last boxes in image pixels.
    """

    crop_map: CropMap
    frame_sizes_wh: Tensor
    previous_boxes_xyxy: Tensor


@dataclass(frozen=True)
class StartContext:
    """What links may use to start a target.

    Attributes:
        template: Template branch: crops, features and the target's box in template pixels.
        boxes_xyxy: ``(B, 4)`` the given boxes in image pixels.
        frame_sizes_wh: ``(B, 2)`` float.
        crop: Cuts further crops from the start frames: ``(B, 4)`` windows in image pixels and a side → ``(B, 3, S, S)``
            in 0..255. Starting happens outside the captured step, so a link may augment as it likes.
        branch: Normalises crops and runs the backbone on them.
        search_size: Side of the search crops, the first of the search sizes, in pixels.
        kernel: The matcher's, as the links before have adapted it.
        detect: What matcher and head make of a search branch: the kernel, the branch and ``(B, 4)`` last boxes in its
            crops → candidates before any link. It can be differentiated with respect to the kernel.
    """

    template: Branch
    boxes_xyxy: Tensor
    frame_sizes_wh: Tensor
    crop: Callable[[Tensor, int], Tensor]
    branch: Callable[[Tensor], Branch]
    search_size: int
    kernel: Kernel
    detect: Callable[[Kernel, Branch, Tensor], Candidates]


@dataclass(frozen=True)
class Context:
    """What heads and links may use in one step.

    Attributes:
        search: The search branch.
        template: The template branch while training; None while tracking, where only kernels are kept.
        head_kernel: What the head's ``embed`` kept of the template.
        previous_boxes_xyxy: ``(B, 4)`` the last boxes in search-crop pixels; None while training.
        geometry: Crop ↔ frame; None while training.
        frame_index: ``(B,)`` int64, frames since each target's start; None while training.
        targets: The labelled batch; None while tracking.
    """

    search: Branch
    template: Branch | None = None
    head_kernel: HeadKernel | None = None
    previous_boxes_xyxy: Tensor | None = None
    geometry: FrameGeometry | None = None
    frame_index: Tensor | None = None
    targets: Batch | None = None
