"""The fine stage: a pooled region against the pooled template, by a relation network or by cross-correlation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.contracts.levels import Level
from trackcli.contracts.state import HeadKernel
from trackcli_spm.config import SeriesParallelConfig
from trackcli_spm.pooling import pool_convolved

SCORES, DELTAS = 2, 4


class FineStage(nn.Module, ABC):
    """Regions of the search crop, and what is kept of the template → scores and scaled deltas."""

    @abstractmethod
    def embed(self, levels: Sequence[Level], boxes_xyxy: Tensor) -> HeadKernel:
        """What is kept of the template's levels, pooled at ``(B, 4)`` boxes, once per target."""

    @abstractmethod
    def forward(self, kernel: HeadKernel, levels: Sequence[Level], boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
        """The search region's levels, pooled at ``(B, R, 4)`` boxes → logits ``(B, R, 2)``, scaled deltas likewise."""


class RelationNetwork(FineStage):
    """Template and region side by side, a convolution, two fully connected layers, one output layer per task.

    The convolution is linear in its two halves, so the template's half is worked out once per target, and a region
    costs half of what the joined form does. Batch norm and ReLU follow the convolution, ReLU the layers.

    Source: Wang et al. 2019 (SPM-Tracker), sections 3.3 and 4.1; Sung et al. 2018 (relation network).
    """

    folds = (("relation", "norm"),)

    def __init__(self, channels: int, config: SeriesParallelConfig) -> None:
        super().__init__()
        self.channels = channels
        self.roi_size = config.roi_size
        side = config.relation_kernel
        self.relation = nn.Conv2d(2 * channels, config.hidden, side, padding=side // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(config.hidden)
        self.layers = nn.Sequential(
            nn.Linear(config.hidden * config.roi_size**2, config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(inplace=True),
        )
        self.score = nn.Linear(config.hidden, SCORES)
        self.delta = nn.Linear(config.hidden, DELTAS)
        # Small, as in Fast R-CNN (Girshick 2015, section 3.1): no proposal is sure, or moved, before training.
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.normal_(self.delta.weight, std=0.001)
        nn.init.zeros_(self.score.bias)
        nn.init.zeros_(self.delta.bias)

    def embed(self, levels: Sequence[Level], boxes_xyxy: Tensor) -> HeadKernel:
        """``template``: the convolution's half, ``(B, hidden, r, r)``."""
        weight = self.relation.weight[:, : self.channels]
        return {"template": pool_convolved(levels, boxes_xyxy.unsqueeze(1), weight, size=self.roi_size).squeeze(1)}

    def forward(self, kernel: HeadKernel, levels: Sequence[Level], boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
        """As :class:`FineStage` says."""
        region = pool_convolved(levels, boxes_xyxy, self.relation.weight[:, self.channels :], size=self.roi_size)
        joined = (region + kernel["template"].to(region.dtype).unsqueeze(1)).flatten(0, 1)
        if self.relation.bias is not None:  # once batch norm was folded into the convolution
            joined = joined + self.relation.bias[:, None, None]
        found = self.layers(F.relu(self.norm(joined)).flatten(1)).unflatten(0, boxes_xyxy.shape[:2])
        return self.score(found), self.delta(found)


class FineCorrelation(FineStage):
    """Up-channel cross-correlation, as in the coarse stage, of regions as large as the template: one value per output.

    What the paper compares the relation network with; how it was done is not said.

    Source: Wang et al. 2019 (SPM-Tracker), section 5.3; Li et al. 2018 (SiamRPN), equation 2.
    """

    def __init__(self, channels: int, config: SeriesParallelConfig) -> None:
        super().__init__()
        self.roi_size = config.roi_size
        self.scale = config.correlation_scale
        self.template = nn.ModuleDict(
            {
                task: nn.Conv2d(channels, outputs * config.hidden, 1, bias=False)
                for task, outputs in {"score": SCORES, "delta": DELTAS}.items()
            }
        )
        self.region = nn.ModuleDict(
            {task: nn.Conv2d(channels, config.hidden, 1, bias=False) for task in ("score", "delta")}
        )
        self.score_bias = nn.Parameter(torch.zeros(SCORES))
        self.delta_bias = nn.Parameter(torch.zeros(DELTAS))

    def embed(self, levels: Sequence[Level], boxes_xyxy: Tensor) -> HeadKernel:
        """Kernels ``score (B, 2 · hidden, r, r)`` and ``delta (B, 4 · hidden, r, r)``."""
        boxes_xyxy = boxes_xyxy.unsqueeze(1)
        return {task: self._pooled(levels, boxes_xyxy, fit).squeeze(1) for task, fit in self.template.items()}

    def forward(self, kernel: HeadKernel, levels: Sequence[Level], boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
        """As :class:`FineStage` says."""
        score, delta = (
            self.scale * correlate(self._pooled(levels, boxes_xyxy, fit), kernel[task])
            for task, fit in self.region.items()
        )
        return score + self.score_bias, delta + self.delta_bias

    def _pooled(self, levels: Sequence[Level], boxes_xyxy: Tensor, fit: nn.Module) -> Tensor:
        assert isinstance(fit, nn.Conv2d)
        return pool_convolved(levels, boxes_xyxy, fit.weight, size=self.roi_size)


def correlate(regions: Tensor, kernels: Tensor) -> Tensor:
    """All products of a region and a kernel of its size, summed.

    Args:
        regions: ``(B, R, C, r, r)``.
        kernels: ``(B, K · C, r, r)``: kernel after kernel.

    Returns:
        ``(B, R, K)``.
    """
    flat = regions.flatten(2)
    return flat @ kernels.to(flat.dtype).reshape(len(flat), -1, flat.shape[-1]).mT


def make_fine_stage(channels: int, config: SeriesParallelConfig) -> FineStage:
    """The one that is configured, for ``channels`` pooled channels."""
    return RelationNetwork(channels, config) if config.fine == "relation" else FineCorrelation(channels, config)
