"""Correlation: the sums are the papers', and responses lie where the target's centre is."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trackcli.builtin.config import CrossConfig, DepthwiseConfig
from trackcli.builtin.matchers.correlation import (
    CorrelationBranch,
    CorrelationMatcher,
    CrossCorrelation,
    DepthwiseCorrelation,
    cross_correlation,
    depthwise_correlation,
)
from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.shapes import LevelShape
from trackcli.errors import FitError


def random_pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 6, 7, generator=generator), torch.rand(2, 3, 3, 2, generator=generator)


def test_depthwise_correlation_equals_the_literal_sum() -> None:
    search, kernel = random_pair()
    response = depthwise_correlation(search, kernel)
    assert response.shape == (2, 3, 4, 6)
    for i in range(4):
        for j in range(6):
            window = search[:, :, i : i + 3, j : j + 2]
            torch.testing.assert_close(response[:, :, i, j], (window * kernel).sum(dim=(2, 3)))


def test_cross_correlation_equals_the_literal_sum() -> None:
    search, kernel = random_pair()
    response = cross_correlation(search, kernel)
    assert response.shape == (2, 1, 4, 6)
    for i in range(4):
        for j in range(6):
            window = search[:, :, i : i + 3, j : j + 2]
            torch.testing.assert_close(response[:, 0, i, j], (window * kernel).sum(dim=(1, 2, 3)))


def branch(features: Features) -> Branch:
    return Branch(torch.zeros(1, 3, 8, 8), features)


def random_features(levels: dict[str, LevelShape], cells: int, *, batch: int = 2) -> Features:
    generator = torch.Generator().manual_seed(cells)
    return {
        name: Level(torch.rand(batch, shape.channels, cells, cells, generator=generator), shape.stride, shape.offset)
        for name, shape in levels.items()
    }


LEVELS = {"layer2": LevelShape(12, 8, 0.5), "layer3": LevelShape(20, 8, 0.5)}
CROP = CropConfig(template_size=128, search_size=256)


@pytest.mark.parametrize(
    ("matcher_class", "config_class"), [(DepthwiseCorrelation, DepthwiseConfig), (CrossCorrelation, CrossConfig)]
)
@pytest.mark.parametrize("shared", [False, True])
def test_responses_have_the_declared_shapes(
    matcher_class: type[CorrelationMatcher], config_class: type[DepthwiseConfig], shared: bool
) -> None:
    config = config_class(channels=16, shared=shared)
    matcher = matcher_class(config, LEVELS, CROP).eval()
    with torch.inference_mode():
        kernel, adjusted = matcher.embed(branch(random_features(LEVELS, 16)))
        matched = matcher(kernel, branch(random_features(LEVELS, 32)))
    declared = config.matches(LEVELS)
    assert list(matched.levels) == list(declared) == ["layer2", "layer3"]
    for name, level in matched.levels.items():
        # Template: 7 cells, 5 after the 3×3. Search: 32 cells, 30 after the 3×3. 30 - 5 + 1 = 26.
        assert level.classification.shape == (2, declared[name].classification, 26, 26)
        assert level.regression.shape == (2, declared[name].regression, 26, 26)
        assert level.stride == declared[name].stride
        assert (level.classification is level.regression) == shared
        assert adjusted[name].map.shape == (2, 16, 16, 16)
        assert matched.search[name].map.shape == (2, 16, 32, 32)
    assert all(leaf.shape[0] == 2 for leaf in kernel.values())


def test_only_the_named_levels_are_matched() -> None:
    config = DepthwiseConfig(channels=8, levels=("layer3",))
    matcher = DepthwiseCorrelation(config, LEVELS, CROP).eval()
    kernel, _ = matcher.embed(branch(random_features(LEVELS, 16)))
    assert list(kernel) == ["layer3.classification", "layer3.regression"]
    assert list(matcher(kernel, branch(random_features(LEVELS, 32))).levels) == ["layer3"]


def pass_features_through(matcher: CorrelationMatcher) -> None:
    """Make every convolution the identity, so that raw features are correlated."""
    for module in matcher.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)


def one_hot_cells(channels: int, cells: int, seed: int) -> Tensor:
    """``(1, channels, cells, cells)``: every cell lights one channel, so that only equal content correlates fully."""
    lit = torch.randint(0, channels, (1, cells, cells), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(lit, channels).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("template_size", [127, 128])
@pytest.mark.parametrize("shape", [LevelShape(64, 8, 0.5), LevelShape(64, 8, 7.5), LevelShape(64, 16, 0.5)])
@pytest.mark.parametrize("template_cells", [4, 5, 7, 8])
@pytest.mark.parametrize(
    ("matcher_class", "config_class"), [(DepthwiseCorrelation, DepthwiseConfig), (CrossCorrelation, CrossConfig)]
)
def test_the_response_peaks_at_the_targets_centre(
    matcher_class: type[CorrelationMatcher],
    config_class: type[DepthwiseConfig],
    template_size: int,
    shape: LevelShape,
    template_cells: int,
) -> None:
    stride, offset = shape.stride, shape.offset
    crop = CropConfig(template_size=template_size, search_size=2 * template_size)
    matcher = matcher_class(config_class(channels=64, template_cells=template_cells), {"only": shape}, crop).eval()
    pass_features_through(matcher)
    cells = template_size // stride
    template, search = one_hot_cells(64, cells, seed=1), one_hot_cells(64, 2 * cells, seed=2)
    right, down = 5, 3  # cells by which the target lies further right and down than in the template
    search[..., down : down + cells, right : right + cells] = template
    with torch.inference_mode():
        kernel, _ = matcher.embed(branch({"only": Level(template, stride, offset)}))
        level = matcher(kernel, branch({"only": Level(search, stride, offset)})).levels["only"]
    response = level.classification.sum(dim=1)
    peak = int(response.flatten().argmax())
    expected = [template_size / 2 + right * stride, template_size / 2 + down * stride]
    assert level.grid.points_xy(response)[peak].tolist() == pytest.approx(expected, abs=1e-4)


def test_each_target_is_matched_with_its_own_kernel() -> None:
    matcher = DepthwiseCorrelation(DepthwiseConfig(channels=8), LEVELS, CROP).eval()
    template, search = random_features(LEVELS, 16, batch=3), random_features(LEVELS, 32, batch=3)
    with torch.inference_mode():
        kernel, _ = matcher.embed(branch(template))
        together = matcher(kernel, branch(search)).levels["layer3"].classification
        for row in range(3):
            alone_template = {n: Level(x.map[row : row + 1], x.stride, x.offset) for n, x in template.items()}
            alone_search = {n: Level(x.map[row : row + 1], x.stride, x.offset) for n, x in search.items()}
            kernel, _ = matcher.embed(branch(alone_template))
            alone = matcher(kernel, branch(alone_search)).levels["layer3"].classification
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_plain_correlation_is_the_mean_product_over_the_kernel() -> None:
    matcher = CrossCorrelation(CrossConfig(channels=8), LEVELS, CROP)
    ones = torch.ones(1, 8, 9, 9)
    torch.testing.assert_close(matcher.correlate(2 * ones, 3 * ones[..., :5, :5]), torch.full((1, 1, 5, 5), 6.0))


def test_the_branches_of_both_sides_are_learnt_apart() -> None:
    matcher: Any = DepthwiseCorrelation(DepthwiseConfig(channels=8), LEVELS, CROP)
    found: CorrelationBranch = matcher.branches["layer2"]["classification"]
    assert found.template[0].weight is not found.search[0].weight


@pytest.mark.parametrize(
    ("crop", "said"),
    [
        (CropConfig(template_size=127, search_size=32), "crop.search_size 32 gives 4x4 cells of 'layer2' (stride 8)"),
        (CropConfig(template_size=16, search_size=255), "crop.template_size 16 gives 2x2 cells of 'layer2' (stride 8)"),
    ],
)
def test_crops_whose_cells_cannot_slide_are_refused_when_the_matcher_is_built(crop: CropConfig, said: str) -> None:
    with pytest.raises(FitError, match=re.escape(said)):
        DepthwiseCorrelation(DepthwiseConfig(channels=8), {"layer2": LevelShape(4, 8, 0.5)}, crop)


def test_a_template_of_fewer_cells_than_are_asked_for_slides_as_a_whole() -> None:
    crop = CropConfig(template_size=32, search_size=32)
    matcher = DepthwiseCorrelation(DepthwiseConfig(channels=8), {"layer2": LevelShape(4, 8, 0.5)}, crop).eval()
    kernel, _ = matcher.embed(branch(random_features({"layer2": LevelShape(4, 8, 0.5)}, 4)))
    matched = matcher(kernel, branch(random_features({"layer2": LevelShape(4, 8, 0.5)}, 4)))
    assert matched.levels["layer2"].classification.shape == (2, 8, 1, 1)
