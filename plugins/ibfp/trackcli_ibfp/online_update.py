"""The candidate link that learns: a classifier per target, mixed into the score of whatever head."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.builtin.labels.points import gaussian_map
from trackcli.contracts.components import CandidateLink
from trackcli.contracts.context import Context, StartContext
from trackcli.contracts.levels import Features, Level
from trackcli.contracts.predictions import Candidates, Selection
from trackcli.contracts.state import State
from trackcli.errors import ShapeError
from trackcli.geometry.boxes import boxes_from_centers, centers_and_sizes
from trackcli.geometry.grids import Grid
from trackcli_ibfp.classifiers import (
    FILTER,
    FilterOnSamples,
    embed,
    fresh_parameters,
    normalised,
    on_features,
    respond,
    response_size,
)
from trackcli_ibfp.config_online import VIEWS, OnlineUpdateConfig
from trackcli_ibfp.memory import slots_for, with_new
from trackcli_ibfp.peaks import find_peaks, near_point
from trackcli_ibfp.solvers import Residual, Task, gauss_newton, hinge_residual, mlu_residual
from trackcli_ibfp.views import View, shown_views, view_features, views_of

LOST = "online-update.lost"
"""Flag: nothing in the search region looks like the target. Nothing is learnt."""

DISTRACTOR = "online-update.distractor"
"""Flag: something looks as much like the target, and position does not decide. Nothing is learnt."""

HARD_NEGATIVE = "online-update.hard-negative"
"""Flag: something else responds, and it is known to be something else. It is learnt at once."""

SAMPLES, LABELS, WEIGHTS, COUNT = "samples", "labels", "weights", "count"
ONLINE_PEAK, OFFLINE_PEAK = "online_peak", "offline_peak"
_MEMORY = (SAMPLES, LABELS, WEIGHTS, COUNT, ONLINE_PEAK, OFFLINE_PEAK)

HELD = 0.01
"""Pixels. A box that is nearer to the last one was held; links behind ``hold`` may round it."""

LEAST_PEAK = 0.05
"""A score that is lower on the first frame's target says nothing; it is not raised further."""


class OnlineUpdate(CandidateLink):
    """``s = w s_c + (1 − w) s_u``: the head's score and that of a classifier which learns from every frame.

    The state is a memory of samples with labels and weights, the layers that were fitted to the first frame, the
    filter, and what both scores were on the first frame's target. All rows are independent, and a row is the same
    whatever else is tracked.

    The link has no weights of its own: any tracker can be given it, or lose it.

    Source: Pi et al. 2021, sections III.E and IV.A, equation 11; Danelljan et al. 2019 (ATOM), section 3.3.
    """

    def __init__(self, config: OnlineUpdateConfig) -> None:
        super().__init__()
        self.config = config
        self.views = views_of(config.views, config.seed)

    def start(self, context: StartContext) -> State:
        """Fit all layers to changed copies of the first frame."""
        config = self.config
        seen: list[Grid] = []

        def features_of(crops: Tensor) -> Tensor:
            level = self.level(context.branch(crops).features)
            seen.append(self.grid(level))
            return level.map

        maps, boxes_xyxy = view_features(context, self.views, features_of, config.seed)
        features = normalised(maps.contiguous(), config.power)
        labels = self.labels(seen[0], boxes_xyxy)
        count = labels.shape[1]
        weights = torch.full_like(labels[..., 0, 0], 1 / count)
        parameters = fresh_parameters(config, features)
        penalties = dict.fromkeys(parameters, config.layer_regularisation) | {FILTER: config.regularisation}
        parameters = gauss_newton(
            on_features(parameters, features),
            parameters,
            Task(labels, weights, penalties, self.residual),
            rounds=config.first_rounds,
            iterations=max(1, config.first_iterations // config.first_rounds),
            solver=config.solver,
        )
        samples = embed(parameters, features)
        state = {
            **parameters,
            SAMPLES: _in_front(samples, config.memory, dim=2),
            LABELS: _in_front(labels, config.memory, dim=1),
            WEIGHTS: _in_front(weights, config.memory, dim=1),
            COUNT: torch.full_like(weights[:, 0], count, dtype=torch.int64),
        }
        ones = torch.ones_like(weights[:, 0])
        calibrated = config.calibrate
        state[OFFLINE_PEAK] = self._offline_peak(context).to(ones) if calibrated else ones
        state[ONLINE_PEAK] = first_peak(state) if calibrated else ones.clone()
        return state

    def step(self, candidates: Candidates, state: State, context: Context) -> tuple[Candidates, State]:
        """Mix the response, sampled at ``points_xy``, into ``scores`` and ``ranking``; flag what the response shows."""
        if context.previous_boxes_xyxy is None:
            raise ShapeError("online-update needs the last boxes; it works while tracking only")
        config = self.config
        level = self.level(context.search.features)
        grid = self.grid(level)
        response = self.response(state, level) / state[ONLINE_PEAK][:, None, None]
        size = context.search.images.shape[-1]
        peaks = find_peaks(response, grid, context.previous_boxes_xyxy, size, config)

        online = sample_at(response, grid, candidates.points_xy).clamp(0, 1)
        _, sizes_wh = centers_and_sizes(context.previous_boxes_xyxy)
        at_first = near_point(candidates.points_xy, peaks.first_xy, sizes_wh, config.neighborhood)
        online = torch.where(at_first & peaks.prefer_second.unsqueeze(1), 0, online)
        offline = 1 / state[OFFLINE_PEAK].unsqueeze(1)
        weight = config.offline_weight
        scores = weight * (candidates.scores * offline).clamp(max=1) + (1 - weight) * online
        scores = scores * peaks.trust.unsqueeze(1)
        scores = torch.where(peaks.lost.unsqueeze(1), torch.minimum(scores, peaks.first.clamp(0, 1)[:, None]), scores)
        mixed = replace(
            candidates,
            scores=scores.to(candidates.scores.dtype),
            ranking=(weight * candidates.ranking * offline + (1 - weight) * online).to(candidates.ranking.dtype),
            flags={
                **candidates.flags,
                LOST: peaks.lost,
                DISTRACTOR: peaks.distractor,
                HARD_NEGATIVE: peaks.hard_negative,
            },
        )
        return mixed, state

    def rows_to_update(self, frame_index: Tensor, flags: dict[str, Tensor]) -> Tensor | None:
        """Targets that were found, in frames whose sample is remembered or after which the filter learns."""
        config = self.config
        due = (frame_index % config.remember_every == 0) | (frame_index % config.every == 0)
        sure = (flags[LOST] == 0) & (flags[DISTRACTOR] == 0)
        rows = sure & (due | (flags[HARD_NEGATIVE] != 0))
        return rows if bool(rows.any()) else None

    def update(self, state: State, selection: Selection, context: Context, rows: Tensor) -> State:
        """Remember the frame; where it is time, or a hard negative was seen, let the filter learn. In place.

        Rows that still have the last box are left out: ATOM learns from where the target was found, and a box that a
        link holds says where it was, not where it is.

        Source: Danelljan et al. 2019 (ATOM), public code: no sample of a frame in which the target was not found.
        """
        assert context.geometry is not None and context.frame_index is not None  # while tracking they are there
        config, initial = self.config, VIEWS[self.config.views]
        moved = (selection.boxes_xyxy - context.geometry.previous_boxes_xyxy).abs().amax(dim=1) > HELD
        which = (rows & moved).nonzero()[:, 0]
        if not len(which):
            return state
        level = self.level(context.search.features)
        boxes_xyxy = context.geometry.crop_map.to_crop(selection.boxes_xyxy)[which]
        is_hard = selection.flags[HARD_NEGATIVE][which] != 0
        rates = torch.where(is_hard, config.hard_negative_rate, config.learning_rate).to(state[WEIGHTS].dtype)

        features = normalised(level.map[which].unsqueeze(2).to(state[SAMPLES].dtype), config.power)
        sample = embed({name: state[name][which] for name in self._layers(state)}, features)[:, :, 0]
        weights = state[WEIGHTS][which]
        slots = slots_for(weights, initial)
        state[SAMPLES][which, :, slots] = sample
        state[LABELS][which, slots] = self.labels(self.grid(level), boxes_xyxy.unsqueeze(1))[:, 0]
        state[WEIGHTS][which] = with_new(weights, slots, rates, initial=initial, least_initial=config.least_initial)
        state[COUNT][which] = torch.maximum(state[COUNT][which], slots + 1)

        learning = which[is_hard | (context.frame_index[which] % config.every == 0)]
        return self._learn(state, learning) if len(learning) else state

    def _learn(self, state: State, rows: Tensor) -> State:
        """Improve the filter of some targets on their memories."""
        config = self.config
        used = int(state[COUNT][rows].max())  # outside the captured step, so it may be asked for
        everyone = len(rows) == len(state[COUNT])
        samples, labels, weights = (
            (state[name] if everyone else state[name][rows]).narrow(dim, 0, used)
            for name, dim in ((SAMPLES, 2), (LABELS, 1), (WEIGHTS, 1))
        )
        fitted = gauss_newton(
            FilterOnSamples(samples),
            {FILTER: state[FILTER][rows]},
            Task(labels, weights, {FILTER: config.regularisation}, self.residual),
            rounds=1,
            iterations=config.iterations,
            solver=config.solver,
        )
        state[FILTER][rows] = fitted[FILTER]
        if config.calibrate:
            state[ONLINE_PEAK][rows] = first_peak({FILTER: fitted[FILTER], SAMPLES: samples, LABELS: labels})
        return state

    @property
    def residual(self) -> Residual:
        """Of the loss."""
        return hinge_residual(self.config.tau) if self.config.loss == "hinge" else mlu_residual

    def level(self, features: Features) -> Level:
        """The level it learns on, averaged to ``stride`` where it is finer."""
        level = features[self.config.chosen({name: level.stride for name, level in features.items()})]
        factor = max(1, round(self.config.stride / level.stride))
        if factor == 1:
            return level
        pooled = F.avg_pool2d(level.map, factor)
        return Level(pooled, level.stride * factor, level.offset + (factor - 1) / 2 * level.stride)

    def grid(self, level: Level) -> Grid:
        """Where the response's cells lie: half a cell before the level's for an even filter."""
        height, width = response_size(level.map.shape[-2], level.map.shape[-1], self.config.filter_cells)
        half = 0.0 if self.config.filter_cells % 2 else level.stride / 2
        return Grid(height, width, level.stride, level.offset - half)

    def response(self, state: State, level: Level) -> Tensor:
        """s_u ``(B, h, w)``, before calibration."""
        features = normalised(level.map.unsqueeze(2).to(state[FILTER].dtype), self.config.power)
        return respond(state[FILTER], embed(state, features))[:, 0]

    def labels(self, grid: Grid, boxes_xyxy: Tensor) -> Tensor:
        """Gaussians ``(B, n, h, w)`` around boxes ``(B, n, 4)``, as wide along x as along y."""
        centers_xy, sizes_wh = centers_and_sizes(boxes_xyxy)
        sides = sizes_wh.clamp(min=1e-3).prod(dim=-1, keepdim=True).sqrt().expand_as(sizes_wh)
        squares = boxes_from_centers(centers_xy, sides).flatten(0, 1)
        label = gaussian_map(grid.points_xy(squares), squares, sigma=self.config.sigma)
        return label.reshape(*boxes_xyxy.shape[:2], grid.height, grid.width)

    def _offline_peak(self, context: StartContext) -> Tensor:
        """``(B,)`` the head's best score near the first frame's target."""
        (shown,) = shown_views(context, (View(),))
        candidates = context.detect(context.kernel, context.branch(shown.crops), shown.boxes_xyxy)
        centers_xy, sizes_wh = centers_and_sizes(shown.boxes_xyxy)
        near = near_point(candidates.points_xy, centers_xy, sizes_wh, self.config.neighborhood) & candidates.valid
        best: Tensor = candidates.scores.masked_fill(~near, 0).amax(dim=1)
        return best.clamp(min=LEAST_PEAK)

    def _layers(self, state: State) -> list[str]:
        return [name for name in state if name not in _MEMORY and name != FILTER]


def sample_at(response: Tensor, grid: Grid, points_xy: Tensor) -> Tensor:
    """A response at the candidates' points, bilinear; beyond its border cells their values.

    This is the upsampling to the offline map's size, at exactly its points, and works with any head.

    Args:
        response: ``(B, h, w)``.
        grid: Its cells.
        points_xy: ``(B, N, 2)`` crop pixels.

    Returns:
        ``(B, N)``.
    """
    cells = (points_xy.to(response.dtype) - grid.offset) / grid.stride
    # Numbers, not a tensor of them: that would be a copy to the device, for which the host waits.
    where = torch.stack(((2 * cells[..., 0] + 1) / grid.width - 1, (2 * cells[..., 1] + 1) / grid.height - 1), dim=-1)
    return F.grid_sample(response.unsqueeze(1), where.unsqueeze(1), padding_mode="border", align_corners=False)[:, 0, 0]


def first_peak(state: State) -> Tensor:
    """``(B,)`` the response to the first frame at its target's cell, which stands for 1."""
    response = respond(state[FILTER], state[SAMPLES][:, :, :1])[:, 0].flatten(1)
    where = state[LABELS][:, 0].flatten(1).argmax(dim=1, keepdim=True)
    return response.gather(1, where)[:, 0].clamp(min=LEAST_PEAK)


def _in_front(tensor: Tensor, size: int, *, dim: int) -> Tensor:
    """Zeros of ``size`` along a dimension, with the tensor in front."""
    shape = list(tensor.shape)
    shape[dim] = size
    whole = tensor.new_zeros(shape)
    whole.narrow(dim, 0, tensor.shape[dim]).copy_(tensor)
    return whole
