"""The composed network: what training and tracking both run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trackcli.config.component import Normalisation
from trackcli.config.recipe import CropConfig
from trackcli.contracts.components import Backbone, CandidateLink, Head, Matcher, Select, TrackLink
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.predictions import Predictions
from trackcli.contracts.state import HeadKernel, Kernel
from trackcli.contracts.training import Batch, Outputs


@dataclass(frozen=True)
class Embedding:
    """What is kept of the template.

    Attributes:
        kernel: The matcher's part.
        head_kernel: The head's part, if it has one.
        adjusted: Adjusted template levels; only training needs them.
    """

    kernel: Kernel
    head_kernel: HeadKernel | None
    adjusted: Features


class TrackerModel(nn.Module):
    """Backbone → matcher → head, with the links that turn candidates into tracks.

    Attributes:
        crop: Sizes of template and search region.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        backbone: Backbone,
        matcher: Matcher,
        head: Head,
        candidate_links: Sequence[tuple[str, CandidateLink]],
        select: Select,
        track_links: Sequence[tuple[str, TrackLink]],
        crop: CropConfig,
        normalisation: Normalisation,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.matcher = matcher
        self.head = head
        self.candidate_links = nn.ModuleDict(dict(candidate_links))
        self.select = select
        self.track_links = nn.ModuleDict(dict(track_links))
        self.crop = crop
        self.normalisation = normalisation
        # Buffers, so that no step copies constants to the device; not saved, since the recipe holds the numbers.
        self.register_buffer("mean", torch.tensor(normalisation.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(normalisation.std)[:, None, None], persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """``(B, 3, S, S)`` RGB 0..255 → the network's input."""
        if self.normalisation.channels == "bgr":
            images = images.flip(1)
        return (images * self.normalisation.scale - self.mean) / self.std

    def branch(self, crops: Tensor, boxes_xyxy: Tensor | None = None) -> Branch:
        """Normalise crops and run the backbone."""
        images = self.normalise(crops)
        return Branch(images, self.backbone(images), boxes_xyxy)

    def embed(self, template: Branch) -> Embedding:
        """What depends on the target alone."""
        kernel, adjusted = self.matcher.embed(template)
        return Embedding(kernel, self.head.embed(template), adjusted)

    def predict(self, kernel: Kernel, context: Context) -> Predictions[object]:
        """Match the search region with the kernel and run the head."""
        predictions: Predictions[object] = self.head(self.matcher(kernel, context.search), context)
        return predictions

    def forward(self, batch: Batch, *, with_candidates: bool = False) -> Outputs:
        """One training pass over labelled pairs.

        Args:
            batch: The pairs; images in 0..255.
            with_candidates: Whether a loss asks for decoded candidates.
        """
        template, search = self._branches(batch)
        embedding = self.embed(template)
        context = Context(search=search, template=template, head_kernel=embedding.head_kernel, targets=batch)
        matched = replace(self.matcher(embedding.kernel, search), template=embedding.adjusted)
        predictions = self.head(matched, context)
        candidates = None
        if with_candidates:
            with torch.no_grad():
                candidates = self.head.decode(predictions, context)
        return Outputs(template, search, matched, predictions, candidates)

    def _branches(self, batch: Batch) -> tuple[Branch, Branch]:
        """Both branches; crops of one size share one pass through the backbone."""
        template, search = batch.template_images, batch.search_images
        if template.shape != search.shape:
            return self.branch(template, batch.template_boxes_xyxy), self.branch(search, batch.search_boxes_xyxy)
        both = self.branch(torch.cat((template, search)))
        count = len(batch)
        return (
            Branch(both.images[:count], _rows(both.features, slice(None, count)), batch.template_boxes_xyxy),
            Branch(both.images[count:], _rows(both.features, slice(count, None)), batch.search_boxes_xyxy),
        )


def _rows(features: Features, rows: slice) -> Features:
    return {name: Level(level.map[rows], level.stride, level.offset) for name, level in features.items()}
