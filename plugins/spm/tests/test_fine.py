"""The fine stage in terms of what the paper describes: joined features, a convolution, layers; or a correlation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from trackcli_spm.config import SeriesParallelConfig
from trackcli_spm.fine import FineCorrelation, RelationNetwork, correlate
from trackcli_spm.pooling import pool, pool_convolved

from trackcli.contracts.levels import Level
from trackcli.geometry.roi_align import roi_align


def levels(rows: int = 2, *, second_stride: float = 8) -> list[Level]:
    generator = torch.Generator().manual_seed(0)
    return [
        Level(torch.rand(rows, channels, 9, 9, generator=generator, dtype=torch.float64), stride, 0.5)
        for channels, stride in ((3, 8.0), (4, second_stride))
    ]


def boxes(rows: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    corners = 40 * torch.rand(rows, count, 2, generator=generator, dtype=torch.float64)
    return torch.cat((corners, corners + 10 + 30 * torch.rand(rows, count, 2, generator=generator)), dim=-1)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("folded", [False, True])
def test_the_relation_network_is_a_convolution_of_both_features_side_by_side(kernel: int, folded: bool) -> None:
    config = SeriesParallelConfig(hidden=5, roi_size=4, relation_kernel=kernel)
    torch.manual_seed(0)
    network = RelationNetwork(7, config).double().eval()
    for parameter in (network.norm.weight, network.norm.bias, network.score.weight, network.delta.weight):
        nn.init.uniform_(parameter, 0.2, 1.5)
    network.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr, operator]
    template_box, regions = boxes(2, 1).squeeze(1), boxes(2, 30)
    joined = torch.cat(
        (
            pool(levels(), template_box[:, None], size=4).expand(-1, 30, -1, -1, -1),
            pool(levels(), regions, size=4),
        ),
        dim=2,
    )
    x = F.relu(network.norm(network.relation(joined.flatten(0, 1))))
    x = F.relu(network.layers[0](x.flatten(1)))
    x = F.relu(network.layers[2](x))
    wanted = (network.score(x).reshape(2, 30, 2), network.delta(x).reshape(2, 30, 4))
    if folded:
        assert isinstance(network.norm, nn.BatchNorm2d)
        network.relation, network.norm = fuse_conv_bn_eval(network.relation, network.norm), nn.Identity()
    found = network(network.embed(levels(), template_box), levels(), regions)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("second_stride", [8.0, 7.0])
def test_convolving_before_pooling_and_after_it_is_the_same(second_stride: float) -> None:
    weight = torch.rand(5, 7, 1, 1, dtype=torch.float64)
    each, regions = levels(second_stride=second_stride), boxes(2, 30)
    before = pool_convolved(each, regions, weight, size=4)  # 30 · 16 cells against 81: maps are convolved
    after = torch.cat([pool_convolved(each, regions[:, i : i + 1], weight, size=4) for i in range(30)], dim=1)
    torch.testing.assert_close(before, after)
    literal = torch.einsum("oc,brcij->broij", weight[..., 0, 0], pool(each, regions, size=4))
    torch.testing.assert_close(before, literal)


def test_pooled_levels_lie_side_by_side() -> None:
    each, regions = levels(), boxes(2, 3)
    pooled = pool(each, regions, size=4)
    assert pooled.shape == (2, 3, 7, 4, 4)
    torch.testing.assert_close(pooled[:, :, 3:], roi_align(each[1].map, regions, grid=each[1].grid, output_size=4))


def test_the_correlation_is_the_literal_sum_of_products() -> None:
    regions, kernels = torch.rand(2, 3, 4, 2, 2).double(), torch.rand(2, 5 * 4, 2, 2).double()
    found = correlate(regions, kernels)
    assert found.shape == (2, 3, 5)
    for target in range(2):
        for region in range(3):
            for k in range(5):
                wanted = (regions[target, region] * kernels[target, 4 * k : 4 * k + 4]).sum()
                torch.testing.assert_close(found[target, region, k], wanted)


def test_the_fine_correlation_has_kernels_per_output_and_scales_the_sum() -> None:
    config = SeriesParallelConfig(hidden=6, roi_size=4, fine="cross-correlation", correlation_scale=0.25)
    torch.manual_seed(0)
    stage = FineCorrelation(7, config).double()
    nn.init.constant_(stage.score_bias, 0.5)
    template_box, regions = boxes(2, 1).squeeze(1), boxes(2, 3)
    kernel = stage.embed(levels(), template_box)
    assert kernel["score"].shape == (2, 12, 4, 4) and kernel["delta"].shape == (2, 24, 4, 4)
    logits, deltas = stage(kernel, levels(), regions)
    assert logits.shape == (2, 3, 2) and deltas.shape == (2, 3, 4)
    fitted = stage.region["score"](pool(levels(), regions, size=4).flatten(0, 1)).reshape(2, 3, 6, 4, 4)
    torch.testing.assert_close(logits, 0.25 * correlate(fitted, kernel["score"]) + 0.5)
