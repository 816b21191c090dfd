"""A tracking session: B targets, each in its own frame or several in one; starting, restarting, stepping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trackcli.composition.model import TrackerModel
from trackcli.contracts.components import Link
from trackcli.contracts.context import Context
from trackcli.contracts.predictions import Selection
from trackcli.errors import InputDataError
from trackcli.geometry.boxes import centers_and_sizes
from trackcli.geometry.crop import CropMap, context_sides, crop_windows, square_windows
from trackcli.tracking.inputs import Image, check_boxes, check_frame
from trackcli.tracking.step import TargetState, start_targets, track_step
from trackcli.tracking.timing import StageTimer


@dataclass(frozen=True)
class Readout:
    """What one step gives the host, read out with a single synchronisation.

    Attributes:
        boxes_xyxy: ``(B, 4)`` float64, image pixels.
        scores: ``(B,)`` float64, confidence in 0..1.
    """

    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]


class Session:
    """Steps B targets through frames as one batch.

    Args:
        model: The composed network, in evaluation mode, on its device.
        timer: Where the stages' times go.

    Attributes:
        stepping: ``(b,)`` the targets of the step under way, or of the last one, in the order of its rows.
    """

    def __init__(self, model: TrackerModel, timer: StageTimer) -> None:
        self.model = model
        self.timer = timer
        self.device = next(model.parameters()).device
        self._state: TargetState | None = None
        self.stepping = np.zeros(0, dtype=np.int64)
        self._shapes = np.zeros(0, dtype=np.int64)  # of each target, into the search sizes

    @torch.inference_mode()
    def start(self, frames: Sequence[Image], frame_of_target: Sequence[int], boxes_xyxy: NDArray[np.float64]) -> None:
        """Start all targets afresh.

        Args:
            frames: ``(H, W, 3)`` uint8 RGB each.
            frame_of_target: For each target the index of its frame.
            boxes_xyxy: ``(B, 4)`` image pixels.

        Raises:
            InputDataError: for frames or boxes that cannot be used.
        """
        self._state = self._fresh(frames, frame_of_target, boxes_xyxy)
        self._shapes = np.zeros(len(boxes_xyxy), dtype=np.int64)

    @torch.inference_mode()
    def restart(
        self,
        rows: Sequence[int],
        frames: Sequence[Image],
        frame_of_target: Sequence[int],
        boxes_xyxy: NDArray[np.float64],
    ) -> None:
        """Start the targets ``rows`` again; the others go on undisturbed."""
        fresh = self._fresh(frames, frame_of_target, boxes_xyxy)
        self._state = self._running().write(torch.tensor(rows, device=self.device), fresh)
        self._shapes[np.asarray(rows)] = 0

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Forget all targets but ``rows``, which are counted anew in this order."""
        self._state = self._running().take(torch.tensor(rows, dtype=torch.int64, device=self.device))
        self._shapes = self._shapes[np.asarray(rows, dtype=np.int64)]

    @torch.inference_mode()
    def update(self, frames: Sequence[Image], frame_of_target: Sequence[int]) -> Readout:
        """Find every target in its next frame.

        Targets whose search regions differ in size (after a loss, say) are stepped in one group per size.
        """
        state = self._running()
        with self.timer.stage("upload"):
            pictures = [self._upload(frame) for frame in frames]
        shapes = self._shapes.copy()  # a row that asks for another size gets it in the next frame, not in this one
        readout = Readout(np.zeros((len(shapes), 4)), np.zeros(len(shapes)))
        for shape in np.unique(shapes):
            members = np.flatnonzero(shapes == shape)
            self.stepping = members
            everyone = len(members) == len(shapes)
            rows = torch.from_numpy(members).to(self.device)
            group = state if everyone else state.take(rows)
            following, part = self._step_group(
                group, pictures, [frame_of_target[i] for i in members.tolist()], int(shape)
            )
            state = following if everyone else state.write(rows, following)
            readout.boxes_xyxy[members], readout.scores[members] = part.boxes_xyxy, part.scores
            self._shapes[members] = part.shape_index
        self._state = state
        return readout

    def _step_group(
        self, state: TargetState, frames: list[Tensor], frame_of_target: list[int], shape: int
    ) -> tuple[TargetState, _GroupReadout]:
        size = self.model.crop.search_sizes[shape]
        with self.timer.stage("crop"):
            crop_map = self._windows(state.search_boxes_xyxy, size)
            crops = crop_windows(frames, frame_of_target, crop_map.windows_xyxy, size)
            sizes_wh = self._frame_sizes([frames[i] for i in frame_of_target])
        with self.timer.stage("network"):
            selection, following, context = track_step(self.model, state, crops, crop_map, sizes_wh)
        with self.timer.stage("read out"):
            part = _read_out(selection, following.frame_index)
        with self.timer.stage("update links"):
            following = self._update_links(following, selection, context, part)
        return following, part

    def _update_links(
        self, state: TargetState, selection: Selection, context: Context, part: _GroupReadout
    ) -> TargetState:
        """Let links learn from the last frame, outside the captured step, where their flags ask for it."""
        for name, link in (*self.model.candidate_links.items(), *self.model.track_links.items()):
            assert isinstance(link, Link)
            rows = link.rows_to_update(part.frame_index, part.flags)
            if rows is not None and bool(rows.any()):
                state.links[name] = link.update(state.links[name], selection, context, rows.to(self.device))
        return state

    def _fresh(
        self, frames: Sequence[Image], frame_of_target: Sequence[int], boxes_xyxy: NDArray[np.float64]
    ) -> TargetState:
        pictures = [self._upload(frame) for frame in frames]
        check_boxes(boxes_xyxy, [frames[index] for index in frame_of_target])
        boxes = torch.from_numpy(np.asarray(boxes_xyxy, dtype=np.float32)).to(self.device)
        with self.timer.stage("start"):
            crop_map = self._windows(boxes, self.model.crop.template_size)
            crop = partial(crop_windows, pictures, frame_of_target)
            sizes_wh = self._frame_sizes([pictures[i] for i in frame_of_target])
            return start_targets(self.model, crop, crop_map, boxes, sizes_wh)

    def _windows(self, boxes_xyxy: Tensor, size: int) -> CropMap:
        """Square windows around boxes, all at the template's scale."""
        centers, sizes_wh = centers_and_sizes(boxes_xyxy)
        crop = self.model.crop
        sides = context_sides(sizes_wh, crop.context) * (size / crop.pixels_of_context)
        return CropMap(square_windows(centers, sides), size)

    def _upload(self, frame: Image) -> Tensor:
        check_frame(frame)
        pixels = np.ascontiguousarray(frame)
        pixels = pixels if pixels.flags.writeable else pixels.copy()  # PyTorch warns of those that are not
        return torch.from_numpy(pixels).to(self.device, non_blocking=True)

    def _frame_sizes(self, frames: Sequence[Tensor]) -> Tensor:
        sizes = [(float(frame.shape[1]), float(frame.shape[0])) for frame in frames]
        return torch.tensor(sizes, device=self.device)

    def _running(self) -> TargetState:
        if self._state is None:
            raise InputDataError("update() was called before start(); call start(frame, boxes_xywh) first")
        return self._state


@dataclass(frozen=True)
class _GroupReadout:
    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    shape_index: NDArray[np.int64]
    frame_index: Tensor
    flags: dict[str, Tensor]


def _read_out(selection: Selection, frame_index: Tensor) -> _GroupReadout:
    """Everything the host needs in one transfer: boxes, score, search size, frame and flags, side by side."""
    names = list(selection.flags)
    columns = [selection.scores, selection.shape_index, frame_index, *(selection.flags[name] for name in names)]
    table = torch.cat((selection.boxes_xyxy.double(), *(column.double().unsqueeze(1) for column in columns)), dim=1)
    host = table.cpu()
    return _GroupReadout(
        boxes_xyxy=host[:, :4].numpy(),
        scores=host[:, 4].numpy(),
        shape_index=host[:, 5].long().numpy(),
        frame_index=host[:, 6].long(),
        flags={name: host[:, 7 + index] for index, name in enumerate(names)},
    )
