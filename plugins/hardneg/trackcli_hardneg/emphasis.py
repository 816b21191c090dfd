"""The emphasis of hard negatives: a contrastive loss between regions of template and search crop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trackcli.contracts.components import Loss
from trackcli.contracts.counting import masked_mean
from trackcli.contracts.levels import Features
from trackcli.contracts.shapes import LevelShape
from trackcli.contracts.training import Batch, Outputs
from trackcli.geometry.roi_align import roi_align
from trackcli_hardneg.config import EmphasisConfig
from trackcli_hardneg.regions import choose_regions


class HardNegativeEmphasis(Loss):
    """Regions like the target shall be near to the exemplar, hard negatives at least a margin away.

    Works beside any other loss, on any head: it reads decoded candidates and the matcher's adjusted features, so it
    reaches shared layers also while the backbone is frozen. Its two convolutions are trained and checkpointed with the
    run, and are no part of the tracker.

    Source: Zhang and Zhang 2020, section 3.3.
    """

    needs_candidates = True

    def __init__(self, config: EmphasisConfig, adjusted: Mapping[str, LevelShape]) -> None:
        super().__init__()
        self.config = config
        self.levels = config.chosen(adjusted)
        width = sum(adjusted[name].channels for name in self.levels)
        self.to_vector = nn.Sequential(
            nn.Conv2d(width, config.hidden, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.hidden, config.embedding, config.roi_size - 2),
        )

    def forward(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The term ``contrastive``: equation 6, averaged over the valid regions of all pairs."""
        if outputs.candidates is None:
            raise TypeError("hard-negative-emphasis needs decoded candidates; call the model with with_candidates=True")
        regions = choose_regions(outputs.candidates, batch, self.config)
        exemplars = self.vectors(outputs.matched.template, batch.template_boxes_xyxy.float().unsqueeze(1))
        others = self.vectors(outputs.matched.search, regions.boxes_xyxy)
        loss = contrastive_loss(others - exemplars, regions.positive, margin=self.config.margin)
        return {"contrastive": masked_mean(loss, regions.valid, batch.counting)}

    def vectors(self, features: Features, boxes_xyxy: Tensor) -> Tensor:
        """``(B, R, 4)`` boxes in crop pixels → ``(B, R, D)``: RoI Align of the joined levels, two convolutions."""
        pooled = [
            # In float32: the network may have run in bfloat16, whose distances would be coarse.
            roi_align(self._shaped(level.map).float(), boxes_xyxy, grid=level.grid, output_size=self.config.roi_size)
            for level in (features[name] for name in self.levels)
        ]
        joined = torch.cat(pooled, dim=2)
        vectors: Tensor = self.to_vector(joined.flatten(0, 1))
        return vectors.reshape(*joined.shape[:2], -1)

    def _shaped(self, maps: Tensor) -> Tensor:
        return maps.detach() if self.config.probe else maps


def contrastive_loss(differences: Tensor, positive: Tensor, *, margin: float) -> Tensor:
    """``y d² + (1 − y) max(0, m − d)²`` per pair of vectors, d their Euclidean distance.

    Args:
        differences: ``(…, D)``.
        positive: Bool, broadcast against ``(…,)``: y.
        margin: m.

    Returns:
        ``(…,)``.

    Source: Zhang and Zhang 2020, equation 6; Hadsell et al. 2006.
    """
    # The square itself where it is wanted: the norm's gradient is undefined at 0.
    squared = differences.square().sum(dim=-1)
    distance = torch.linalg.vector_norm(differences, dim=-1)
    return torch.where(positive, squared, (margin - distance).clamp(min=0).square())
