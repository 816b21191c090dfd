"""One tracking step for B targets: pure tensor work with static shapes and no host synchronisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackcli.composition.model import TrackerModel
from trackcli.contracts.context import Context, FrameGeometry, StartContext
from trackcli.contracts.levels import Branch
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.contracts.state import HeadKernel, Kernel, State, take_rows, write_rows
from trackcli.geometry.crop import CropMap


@dataclass(frozen=True)
class TargetState:
    """Everything that is remembered of B targets; every leaf has the leading dimension B.

    Attributes:
        kernel: The matcher's.
        head_kernel: The head's; empty when it has none.
        links: Each link's state by its name.
        boxes_xyxy: ``(B, 4)`` last boxes, image pixels.
        search_boxes_xyxy: ``(B, 4)`` the next search region has this box's centre and context.
        shape_index: ``(B,)`` int64 into the search sizes.
        frame_index: ``(B,)`` int64 frames since the start.
    """

    kernel: Kernel
    head_kernel: HeadKernel
    links: dict[str, State]
    boxes_xyxy: Tensor
    search_boxes_xyxy: Tensor
    shape_index: Tensor
    frame_index: Tensor

    def take(self, rows: Tensor) -> TargetState:
        """The state of the targets ``rows``."""
        return TargetState(
            kernel=take_rows(self.kernel, rows),
            head_kernel=take_rows(self.head_kernel, rows),
            links={name: take_rows(state, rows) for name, state in self.links.items()},
            boxes_xyxy=self.boxes_xyxy[rows],
            search_boxes_xyxy=self.search_boxes_xyxy[rows],
            shape_index=self.shape_index[rows],
            frame_index=self.frame_index[rows],
        )

    def write(self, rows: Tensor, new: TargetState) -> TargetState:
        """A copy in which the targets ``rows`` have the state ``new``: how a target restarts."""
        return TargetState(
            kernel=write_rows(self.kernel, rows, new.kernel),
            head_kernel=write_rows(self.head_kernel, rows, new.head_kernel),
            links={name: write_rows(state, rows, new.links[name]) for name, state in self.links.items()},
            boxes_xyxy=self.boxes_xyxy.index_copy(0, rows, new.boxes_xyxy),
            search_boxes_xyxy=self.search_boxes_xyxy.index_copy(0, rows, new.search_boxes_xyxy),
            shape_index=self.shape_index.index_copy(0, rows, new.shape_index),
            frame_index=self.frame_index.index_copy(0, rows, new.frame_index),
        )


def start_targets(
    model: TrackerModel,
    crop: Callable[[Tensor, int], Tensor],
    crop_map: CropMap,
    boxes_xyxy: Tensor,
    frame_sizes_wh: Tensor,
) -> TargetState:
    """Embed the templates and start every link.

    Args:
        model: The composed network.
        crop: Cuts ``(B, 4)`` windows out of the start frames, as :class:`StartContext` says.
        crop_map: The templates' windows: template pixels ↔ image pixels.
        boxes_xyxy: ``(B, 4)`` the targets in image pixels.
        frame_sizes_wh: ``(B, 2)``.
    """
    template = model.branch(crop(crop_map.windows_xyxy, crop_map.size), crop_map.to_crop(boxes_xyxy))
    embedding = model.embed(template)

    def detect(kernel: Kernel, search: Branch, previous_boxes_xyxy: Tensor) -> Candidates:
        seen = Context(
            search=search, head_kernel=embedding.head_kernel or None, previous_boxes_xyxy=previous_boxes_xyxy
        )
        return model.head.decode(model.predict(kernel, seen), seen)

    context = StartContext(
        template=template,
        boxes_xyxy=boxes_xyxy,
        frame_sizes_wh=frame_sizes_wh,
        crop=crop,
        branch=model.branch,
        search_size=model.crop.search_size,
        kernel=embedding.kernel,
        detect=detect,
    )
    zeros = torch.zeros(len(boxes_xyxy), dtype=torch.int64, device=boxes_xyxy.device)
    links = {**dict(model.candidate_links.items()), **dict(model.track_links.items())}
    for link in links.values():
        context = replace(context, kernel=link.adapt(context))  # type: ignore[operator]  # ModuleDict
    return TargetState(
        kernel=context.kernel,
        head_kernel=embedding.head_kernel or {},
        links={name: link.start(context) for name, link in links.items()},  # type: ignore[operator]  # ModuleDict
        boxes_xyxy=boxes_xyxy,
        search_boxes_xyxy=boxes_xyxy,
        shape_index=zeros,
        frame_index=zeros,
    )


def track_step(
    model: TrackerModel, state: TargetState, crops: Tensor, crop_map: CropMap, frame_sizes_wh: Tensor
) -> tuple[Selection, TargetState, Context]:
    """Find B targets in their search crops.

    Args:
        model: The composed network.
        state: What is remembered of the targets.
        crops: ``(B, 3, S, S)`` search crops, 0..255.
        crop_map: Search pixels ↔ image pixels.
        frame_sizes_wh: ``(B, 2)``.

    Returns:
        The selection in image pixels, the next state, and the step's context (for updates between frames).
    """
    context = Context(
        search=model.branch(crops),
        head_kernel=state.head_kernel or None,
        previous_boxes_xyxy=crop_map.to_crop(state.boxes_xyxy),
        geometry=FrameGeometry(crop_map, frame_sizes_wh, state.boxes_xyxy),
        frame_index=state.frame_index + 1,
    )
    candidates = model.head.decode(model.predict(state.kernel, context), context)
    links = dict(state.links)
    for name, link in model.candidate_links.items():
        candidates, links[name] = link.step(candidates, links[name], context)  # type: ignore[operator]  # ModuleDict
    selection: Selection = model.select(candidates, context)
    selection = replace(selection, flags={**candidates.flags, **selection.flags})
    for name, link in model.track_links.items():
        selection, links[name] = link.step(selection, links[name], context)  # type: ignore[operator]  # ModuleDict
    following = replace(
        state,
        links=links,
        boxes_xyxy=selection.boxes_xyxy,
        search_boxes_xyxy=selection.search_boxes_xyxy,
        shape_index=selection.shape_index,
        frame_index=state.frame_index + 1,
    )
    return selection, following, context
