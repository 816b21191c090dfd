"""Template attention: what is read is a softmax-weighted mean over template cells, and cells know their place."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from trackcli.builtin.config_point import TemplateAttentionConfig
from trackcli.builtin.matchers.attention import TemplateAttention, places_in_box
from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import FitError, ShapeError
from trackcli.geometry.grids import Grid

LEVELS = {"layer2": LevelShape(3, 8, 0.5), "layer3": LevelShape(5, 8, 0.5)}
CROP = CropConfig(template_size=32, search_size=64)
BOX = torch.tensor([[8.0, 8.0, 24.0, 24.0]])


def features(side: int, seed: int, *, rows: int = 1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Level(torch.randn(rows, shape.channels, side, side, generator=generator).double(), 8, 0.5)
        for name, shape in LEVELS.items()
    }


def make_matcher(**settings: object) -> TemplateAttention:
    torch.manual_seed(0)
    config = TemplateAttentionConfig(channels=8, template_cells=4, probe_cells=2, **settings)
    return TemplateAttention(config, LEVELS, CROP).double().eval()


def branch(levels: Features, boxes_xyxy: Tensor | None = None) -> Branch:
    return Branch(torch.zeros(1, 3, 8, 8), levels, boxes_xyxy)


def test_places_of_cells_by_hand() -> None:
    # Cells are centred at 4 and 12 and are 8 wide; the box reaches from 4 to 12, its centre is 8, half its side 4.
    inside, x, y = places_in_box(Grid(1, 2, 8, 4.0), torch.tensor([[4.0, 0.0, 12.0, 8.0]]))[0]
    assert inside.tolist() == [0.5, 0.5]
    assert x.tolist() == [-0.5, 0.5]  # ±1 at the box's sides, times the share inside
    assert y.tolist() == [0.0, 0.0]


def test_cells_outside_the_box_have_no_place() -> None:
    places = places_in_box(Grid(3, 3, 8, 4.0), torch.tensor([[8.0, 8.0, 16.0, 16.0]]))[0].reshape(3, 3, 3)
    assert places[0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert places[1:].abs().sum().item() == 0


def test_the_response_equals_the_literal_sums() -> None:
    matcher = make_matcher()
    template, search = features(4, 1), features(8, 2)
    matched = matcher(matcher.embed(branch(template, BOX.double()))[0], branch(search))

    def adjust(levels: Features) -> Tensor:
        adjusted: Tensor = matcher.adjust(torch.cat([level.map for level in levels.values()], dim=1))[0]
        return adjusted

    z, x = adjust(template), adjust(search)
    places = places_in_box(Grid(4, 4, 8, 0.5), BOX.double())[0].reshape(3, 4, 4)
    joined = torch.zeros(8 + 8 + 3 + 4, 8, 8, dtype=torch.float64)
    for i in range(8):
        for j in range(8):
            cosines = torch.stack(
                [
                    torch.dot(x[:, i, j], z[:, p, q]) / (x[:, i, j].norm() * z[:, p, q].norm())
                    for p in range(4)
                    for q in range(4)
                ]
            )
            weights = (10 * cosines).exp() / (10 * cosines).exp().sum()
            values = torch.cat((z, places)).flatten(1)
            middle = cosines.reshape(4, 4)[1:3, 1:3].flatten()
            joined[:, i, j] = torch.cat((x[:, i, j], values @ weights, middle))
    expected = matcher.reduce(joined[None])
    # The softmax is computed in float32.
    torch.testing.assert_close(matched.levels["layer3"].classification, expected, atol=1e-5, rtol=1e-5)


def test_a_cell_that_looks_like_a_template_cell_reads_its_place() -> None:
    matcher = make_matcher(sharpness=200.0)
    matcher.reduce = nn.Sequential(nn.Identity())
    template = features(4, 1)
    kernel, _ = matcher.embed(branch(template, BOX.double()))
    response = matcher(kernel, branch(template)).levels["layer3"].classification[0]
    read_places = response[16:19].reshape(3, 4, 4)
    torch.testing.assert_close(
        read_places, places_in_box(Grid(4, 4, 8, 0.5), BOX.double())[0].reshape(3, 4, 4), atol=1e-4, rtol=0
    )


def test_the_response_lies_on_the_search_levels_grid() -> None:
    matcher = make_matcher()
    level = matcher(matcher.embed(branch(features(4, 1), BOX.double()))[0], branch(features(8, 2))).levels["layer3"]
    assert (level.stride, level.offset, level.classification.shape) == (8, 0.5, (1, 8, 8, 8))
    assert level.classification is level.regression


def test_the_configuration_declares_one_shared_response_named_after_the_deepest_level() -> None:
    config = TemplateAttentionConfig(channels=8)
    assert config.matches(LEVELS) == {"layer3": MatchShape(8, 8, 8, shared=True)}
    assert config.adjusted(LEVELS) == {"layer3": LevelShape(8, 8, 0.5)}


def test_levels_of_different_strides_are_refused_with_a_way_out() -> None:
    with pytest.raises(FitError, match=r"layer2 \(stride 8\), layer3 \(stride 16\).*max_stride=8"):
        TemplateAttentionConfig().matches({**LEVELS, "layer3": LevelShape(5, 16, 0.5)})


def test_a_level_that_is_not_there_is_named() -> None:
    with pytest.raises(FitError, match=r"'layer9'.*layer2, layer3"):
        TemplateAttentionConfig(levels=("layer9",)).matches(LEVELS)


def test_a_template_without_a_box_is_refused() -> None:
    with pytest.raises(ShapeError, match="target's box"):
        make_matcher().embed(branch(features(4, 1)))


def test_the_sharpness_at_the_start_is_the_configured_one() -> None:
    assert make_matcher(sharpness=7.0).log_sharpness.item() == pytest.approx(math.log(7.0))
