"""Equations 3 to 8 against loops as they are printed, the alignment of the levels, and the switches of table I."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from trackcli_ibfp.channel_selection import ChannelSelection
from trackcli_ibfp.config import IbuPyramidConfig
from trackcli_ibfp.pyramid import IbuPyramid
from trackcli_ibfp.upsampling import InstanceUpsampling, same_size_correlation, upsample_aligned

from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Branch, Level
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import FitError

RESNET18 = {
    "layer2": LevelShape(128, 8, 0.5),
    "layer3": LevelShape(256, 16, 0.5),
    "layer4": LevelShape(512, 32, 0.5),
}
SMALL = {"layer2": LevelShape(4, 8, 0.5), "layer3": LevelShape(8, 16, 0.5), "layer4": LevelShape(16, 32, 0.5)}
CROP = CropConfig(template_size=288, search_size=288, context=0, context_size=57.6)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def literal_correlation(search: Tensor, kernel: Tensor) -> Tensor:
    """R[y, x] = Σ_{p, q} T[p, q] U[y + p − r, x + q − r], 0 outside; channel by channel."""
    result = torch.zeros_like(search)
    batch, channels, height, width = search.shape
    side = kernel.shape[-1]
    for b, c, y, x in itertools.product(range(batch), range(channels), range(height), range(width)):
        for p, q in itertools.product(range(side), range(side)):
            row, column = y + p - side // 2, x + q - side // 2
            if 0 <= row < height and 0 <= column < width:
                result[b, c, y, x] += kernel[b, c, p, q] * search[b, c, row, column]
    return result


def literal_pointwise(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    assert layer.bias is not None
    weights = layer.weight[:, :, 0, 0]
    return torch.einsum("dc,bcyx->bdyx", weights, maps) + layer.bias[None, :, None, None]


@pytest.mark.parametrize("side", [1, 3, 5])
def test_equation_3_keeps_the_size_and_is_the_literal_sum(side: int) -> None:
    search, kernel = randn(2, 3, 6, 5), randn(2, 3, side, side, seed=1)
    expected = literal_correlation(search, kernel)
    torch.testing.assert_close(same_size_correlation(search, kernel, mean=False), expected)
    torch.testing.assert_close(same_size_correlation(search, kernel, mean=True), expected / side**2)


def test_equations_4_and_5_are_their_convolutions_written_out() -> None:
    module = InstanceUpsampling(4, 2).double().eval()
    response, deep, shallow = randn(1, 4, 3, 3), randn(1, 4, 3, 3, seed=1), randn(1, 2, 6, 6, seed=2)
    with torch.no_grad():
        reduce, norm = module.reduce[0], module.reduce[1]
        assert isinstance(reduce, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        joined = torch.cat((response, deep), dim=1)
        reduced = (torch.einsum("dc,bcyx->bdyx", reduce.weight[:, :, 0, 0], joined) / (1 + norm.eps) ** 0.5).relu()
        # A transposed convolution of stride 2: each input cell j adds its 3×3 kernel around output cell 2j.
        expected = module.upsample.bias.reshape(1, 2, 1, 1).expand(1, 2, 6, 6).clone()
        for y, x, p, q in itertools.product(range(3), range(3), range(3), range(3)):
            row, column = 2 * y + p - 1, 2 * x + q - 1
            if 0 <= row < 6 and 0 <= column < 6:
                expected[0, :, row, column] += reduced[0, :, y, x] @ module.upsample.weight[:, :, p, q]
        torch.testing.assert_close(module.upsampled(response, deep), expected)

        fuse, norm = module.fuse[0], module.fuse[1]
        assert isinstance(fuse, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        padded = torch.nn.functional.pad(torch.cat((expected, shallow), dim=1), (1, 1, 1, 1))
        fused = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
        for y, x in itertools.product(range(6), range(6)):
            fused[0, :, y, x] = (fuse.weight * padded[0, :, y : y + 3, x : x + 3]).sum(dim=(1, 2, 3))
        torch.testing.assert_close(module(response, deep, shallow), (fused / (1 + norm.eps) ** 0.5).relu())


def test_equations_6_to_8_are_the_literal_sums() -> None:
    module = ChannelSelection(4, 2).double()
    template, search = randn(2, 4, 3, 3), randn(2, 4, 6, 6, seed=1)
    with torch.no_grad():
        for b in range(2):
            average = torch.stack([search[b, c].sum() / 36 for c in range(4)])
            maximum = torch.stack([max(search[b, c].flatten()) for c in range(4)])  # type: ignore[type-var]
            column = (1, 4, 1, 1)
            weights = literal_pointwise(module.of_average, average.reshape(column)) + literal_pointwise(
                module.of_maximum, maximum.reshape(column)
            )
            compressed = literal_pointwise(module.compress, template[b : b + 1])
            reweighted = torch.stack([weights[0, d, 0, 0] * compressed[0, d] for d in range(2)])[None]
            expected = literal_pointwise(module.recover, reweighted) + template[b : b + 1]
            torch.testing.assert_close(module.weights(search)[b : b + 1], weights)
            found = module(template, module.compress(template), search)
            torch.testing.assert_close(found[b : b + 1], expected)


def branch(seed: int, size: int = 288) -> Branch:
    features = {
        name: Level(
            randn(1, shape.channels, -(-size // shape.stride), -(-size // shape.stride), seed=seed), shape.stride, 0.5
        )
        for name, shape in SMALL.items()
    }
    return Branch(torch.zeros(1, 3, size, size), features)


def test_the_whole_is_correlate_select_upsample_fuse_twice_and_correlate() -> None:
    matcher = IbuPyramid(IbuPyramidConfig(similarity="sum"), SMALL, CROP).double().eval()
    template, search = branch(0), branch(1)
    with torch.no_grad():
        kernel, _ = matcher.embed(template)
        matched = matcher(kernel, search).levels["layer2"]
        upsampled = None
        for name, first, side in (("layer4", 3, 3), ("layer3", 7, 5), ("layer2", 15, 7)):
            part = matcher.correlations[name].select
            cells = template.features[name].map[..., first : first + side, first : first + side]
            found = search.features[name].map if upsampled is None else upsampled
            selected = part(cells, part.compress(cells), found)  # type: ignore[operator]
            response = literal_correlation(found, selected)
            if name != "layer2":
                shallower = {"layer4": "layer3", "layer3": "layer2"}[name]
                upsampled = matcher.upsampling[name](response, found, search.features[shallower].map)
    torch.testing.assert_close(matched.classification, response)


def test_at_the_papers_size_the_output_is_36_by_36_by_128() -> None:
    config = IbuPyramidConfig()
    assert config.matches(RESNET18) == {"layer2": MatchShape(128, 128, 8, shared=True)}
    assert config.cells(RESNET18) == {"layer2": 7, "layer3": 5, "layer4": 3}
    with torch.device("meta"):
        matcher = IbuPyramid(config, RESNET18, CROP)
        features = {
            name: Level(torch.zeros(1, shape.channels, 288 // shape.stride, 288 // shape.stride), shape.stride, 0.5)
            for name, shape in RESNET18.items()
        }
        seen = Branch(torch.zeros(1, 3, 288, 288), features)
        kernel, _ = matcher.embed(seen)
        level = matcher(kernel, seen).levels["layer2"]
    assert {name: tuple(leaf.shape) for name, leaf in kernel.items()} == {
        "layer4.template": (1, 512, 3, 3),
        "layer4.compressed": (1, 256, 3, 3),
        "layer3.template": (1, 256, 5, 5),
        "layer3.compressed": (1, 128, 5, 5),
        "layer2.template": (1, 128, 7, 7),
        "layer2.compressed": (1, 64, 7, 7),
    }
    assert tuple(level.classification.shape) == (1, 128, 36, 36)
    # The kernel's middle is at 144.5, half a pixel behind the template's centre.
    assert (level.stride, level.offset) == (8, 0.0)


def test_an_upsampled_cell_lies_on_the_cell_it_came_from() -> None:
    """One lit input cell spreads around output cell 2j, with any weights."""
    module = InstanceUpsampling(1, 1).double().eval()
    with torch.no_grad():
        module.reduce[0].weight.fill_(1)  # type: ignore[union-attr, operator]
        module.upsample.weight.fill_(1)
        module.upsample.bias.zero_()  # type: ignore[union-attr]
        lit = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
        lit[..., 2, 1] = 1
        rows, columns = module.upsampled(lit, lit)[0, 0].nonzero().unbind(dim=1)
    assert rows.unique().tolist() == [3, 4, 5] and columns.unique().tolist() == [1, 2, 3]


def test_plain_upsampling_keeps_cells_where_they_are() -> None:
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    fine = upsample_aligned(ramp, 4, (16, 16))
    assert fine[0, 0, 0, ::4].tolist() == [0, 1, 2, 3]
    assert fine[0, 0, 0, :5].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert fine[0, 0, 0, 13:].tolist() == [3, 3, 3]


def test_maps_of_odd_sides_are_cut_to_fit() -> None:
    matcher = IbuPyramid(IbuPyramidConfig(), SMALL, CropConfig(template_size=264, search_size=264)).double().eval()
    with torch.no_grad():
        kernel, _ = matcher.embed(branch(0, 264))
        response = matcher(kernel, branch(1, 264)).levels["layer2"].classification
    assert response.shape[-2:] == (33, 33)


def test_the_rows_of_table_1_are_settings() -> None:
    rows = {
        "layer4 only": IbuPyramidConfig(levels=("layer3",), selection=False),  # the paper counts the stem as layer1
        "plain fusion": IbuPyramidConfig(fusion="plain", selection=False),
        "IBU": IbuPyramidConfig(selection=False),
        "IBU and CSCS": IbuPyramidConfig(),
    }
    parts = {}
    for name, config in rows.items():
        matcher = IbuPyramid(config, SMALL, CROP)
        selections = sum(isinstance(module, ChannelSelection) for module in matcher.modules())
        parts[name] = (len(matcher.upsampling), selections, matcher.plain is not None, *config.matches(SMALL))
    assert parts == {
        "layer4 only": (0, 0, False, "layer3"),
        "plain fusion": (0, 0, True, "layer2"),
        "IBU": (2, 0, False, "layer2"),
        "IBU and CSCS": (2, 3, False, "layer2"),
    }


def test_levels_that_do_not_halve_are_refused_with_what_to_do() -> None:
    same = {"layer2": LevelShape(512, 8, 7.5), "layer3": LevelShape(1024, 8, 7.5)}
    with pytest.raises(
        FitError, match=r"layer3 \(stride 8, from 7\.5\); with a ResNet use --set backbone\.max_stride=32"
    ):
        IbuPyramidConfig().matches(same)
    with pytest.raises(FitError, match=r"matcher\.levels names 'layer5', which the backbone does not give"):
        IbuPyramidConfig(levels=("layer5",)).matches(RESNET18)
    with pytest.raises(FitError, match=r"template_cells has 2 sides for 3 levels"):
        IbuPyramidConfig(template_cells=(7, 5)).cells(RESNET18)
    with pytest.raises(ValueError, match="are not all odd"):
        IbuPyramidConfig(template_cells=(7, 4))
