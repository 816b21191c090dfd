"""Small real objects that tests of components pass around."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor, nn

from trackcli.config.component import Normalisation
from trackcli.contracts.context import Context, FrameGeometry
from trackcli.contracts.levels import Branch
from trackcli.contracts.predictions import Candidates
from trackcli.contracts.training import Batch
from trackcli.geometry.boxes import centers_and_sizes
from trackcli.geometry.crop import CropMap


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A labelled batch around given truth; the pictures are noise."""

    def make(
        boxes_xyxy: Tensor,
        *,
        positive: Tensor | None = None,
        sample_ids: Tensor | None = None,
        sizes: tuple[int, int] = (64, 128),
    ) -> Batch:
        count = len(boxes_xyxy)
        generator = torch.Generator().manual_seed(7)
        template_size, search_size = sizes
        positive = torch.ones(count, dtype=torch.bool) if positive is None else positive
        middle = torch.tensor([template_size / 4, template_size / 4, template_size * 3 / 4, template_size * 3 / 4])
        return Batch(
            template_images=torch.rand(count, 3, template_size, template_size, generator=generator) * 255,
            search_images=torch.rand(count, 3, search_size, search_size, generator=generator) * 255,
            template_boxes_xyxy=middle.expand(count, 4),
            search_boxes_xyxy=boxes_xyxy,
            pair_kind=torch.zeros(count, dtype=torch.int64),
            positive=positive,
            objects_xyxy=boxes_xyxy.unsqueeze(1),
            same_category=torch.ones(count, 1, dtype=torch.bool),
            valid=positive.unsqueeze(1),
            absent=~positive,
            sample_ids=torch.arange(count) if sample_ids is None else sample_ids,
        )

    return make


@pytest.fixture
def make_context() -> Callable[..., Context]:
    """The context of one tracking step: crop pixels are image pixels unless a crop map says otherwise."""

    def make(
        last_xyxy: Tensor,
        *,
        size: int = 100,
        frame_wh: tuple[float, float] = (640, 480),
        crop_map: CropMap | None = None,
    ) -> Context:
        count = len(last_xyxy)
        crop_map = crop_map or CropMap(torch.tensor([[0.0, 0.0, size, size]]).expand(count, 4), size)
        return Context(
            search=Branch(torch.zeros(count, 3, size, size), {}),
            previous_boxes_xyxy=crop_map.to_crop(last_xyxy),
            geometry=FrameGeometry(crop_map, torch.tensor([frame_wh]).expand(count, 2), last_xyxy),
            frame_index=torch.ones(count, dtype=torch.int64),
        )

    return make


@pytest.fixture
def make_candidates() -> Callable[..., Candidates]:
    """Candidates with the given boxes ``(B, N, 4)`` and scores, their points in the boxes' middles."""

    def make(boxes_xyxy: Tensor, scores: Tensor) -> Candidates:
        return Candidates(
            boxes_xyxy=boxes_xyxy,
            scores=scores,
            ranking=scores,
            penalty=torch.ones_like(scores),
            points_xy=centers_and_sizes(boxes_xyxy)[0],
            valid=torch.ones_like(scores, dtype=torch.bool),
        )

    return make


@pytest.fixture(scope="session")
def photographs(shared_data: Path) -> Tensor:
    """``(4, 3, 224, 224)`` RGB 0..255."""
    files = sorted((shared_data / "train" / "images" / "coco128" / "img").glob("*.jpg"))[:4]
    images = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files]
    return torch.stack([torch.from_numpy(cv2.resize(image, (224, 224))).permute(2, 0, 1).float() for image in images])


@pytest.fixture
def statistics_agree() -> Callable[..., float]:
    """Correlation of channels' means on pictures with the running means of batch norms, averaged over these.

    Wrong colours, strides, paddings or names would show.
    """

    def measure(
        backbone: nn.Module, normalisation: Normalisation, images: Tensor, *, named: tuple[str, ...] = ("",)
    ) -> float:
        found: list[Tensor] = []

        def compare(norm: nn.BatchNorm2d, given: tuple[Tensor], _: Tensor) -> None:
            assert norm.running_mean is not None
            found.append(torch.corrcoef(torch.stack((given[0].mean(dim=(0, 2, 3)), norm.running_mean)))[0, 1])

        for name, module in backbone.named_modules():
            if isinstance(module, nn.BatchNorm2d) and name.endswith(named):
                module.register_forward_hook(compare)
        pixels = images.flip(1) if normalisation.channels == "bgr" else images
        mean, std = (torch.tensor(values)[:, None, None] for values in (normalisation.mean, normalisation.std))
        with torch.inference_mode():
            backbone((pixels * normalisation.scale - mean) / std)
        return float(torch.stack(found).mean())

    return measure
