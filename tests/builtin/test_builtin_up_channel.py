"""Up-channel correlation: the sum of the paper, widths from the head, responses where the target's centre is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from trackcli.builtin.config import RpnConfig, UpChannelConfig
from trackcli.builtin.matchers.up_channel import UpChannelCorrelation, up_channel_correlation
from trackcli.config.recipe import CropConfig
from trackcli.contracts.levels import Branch, Features, Level
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import FitError
from trackcli.host.registry import installed
from trackcli.testing import build_seeded, tiny_plan

LEVELS = {"conv3": LevelShape(12, 8, 0.5), "conv5": LevelShape(10, 8, 0.5)}
CROP = CropConfig(template_size=127, search_size=271)


def branch(name: str, maps: Tensor, shape: LevelShape) -> Branch:
    features: Features = {name: Level(maps, shape.stride, shape.offset)}
    return Branch(torch.zeros(len(maps), 3, 8, 8), features)


def test_up_channel_correlation_equals_the_literal_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    search = torch.rand(2, 3, 6, 7, generator=generator, dtype=torch.float64)
    kernels = torch.rand(2, 4 * 3, 3, 2, generator=generator, dtype=torch.float64)
    response = up_channel_correlation(search, kernels)
    assert response.shape == (2, 4, 4, 6)
    for target in range(2):
        for k in range(4):
            kernel = kernels[target, 3 * k : 3 * k + 3]
            for i in range(4):
                for j in range(6):
                    wanted = (search[target, :, i : i + 3, j : j + 2] * kernel).sum()
                    torch.testing.assert_close(response[target, k, i, j], wanted)


def test_widths_come_from_the_head_unless_they_are_given() -> None:
    widths = RpnConfig(ratios=(0.5, 1.0, 2.0)).widths()
    resolved = UpChannelConfig().resolve(widths)
    assert (resolved.classification_channels, resolved.regression_channels) == (6, 12)
    given = UpChannelConfig(classification_channels=4).resolve(widths)
    assert (given.classification_channels, given.regression_channels) == (4, 12)
    assert resolved.matches(LEVELS) == {"conv5": MatchShape(6, 12, 8)}  # the deepest level by default
    assert list(UpChannelConfig(levels=("conv3",)).resolve(widths).matches(LEVELS)) == ["conv3"]
    with pytest.raises(FitError, match=r"matcher.levels names 'conv9'.*it gives: conv3, conv5"):
        UpChannelConfig(levels=("conv9",)).resolve(widths).matches(LEVELS)


def test_it_computes_the_papers_steps_and_scales_the_response() -> None:
    config = UpChannelConfig(channels=6, scale=0.25).resolve(HeadWidths(2, 4))
    matcher = UpChannelCorrelation(config, LEVELS, CROP).double().eval()
    template, search = torch.rand(2, 10, 16, 16).double(), torch.rand(2, 10, 34, 34).double()
    with torch.inference_mode():
        kernel, adjusted = matcher.embed(branch("conv5", template, LEVELS["conv5"]))
        matched = matcher(kernel, branch("conv5", search, LEVELS["conv5"]))
        task = matcher.levels.get_submodule("conv5.regression")
        # 16 cells of a 127 crop: the middle six are 5 to 10.
        raised = task.get_submodule("template")(template[..., 5:11, 5:11])
        fitted = task.get_submodule("search")(search)
        level = matched.levels["conv5"]
        torch.testing.assert_close(level.regression, 0.25 * up_channel_correlation(fitted, raised))
    assert {name: tuple(leaf.shape) for name, leaf in kernel.items()} == {
        "conv5.classification": (2, 12, 4, 4),
        "conv5.regression": (2, 24, 4, 4),
    }
    assert adjusted == {} and matched.search == {}
    assert level.classification.shape == (2, 2, 29, 29)  # SPM-Tracker: 34 cells, 32 after the 3×3, kernel 4
    assert level.regression.shape == (2, 4, 29, 29)


@pytest.mark.parametrize("shape", [LevelShape(32, 8, 0.5), LevelShape(32, 8, 43.5)])
@pytest.mark.parametrize("template_cells", [5, 6])
def test_the_response_peaks_at_the_targets_centre(shape: LevelShape, template_cells: int) -> None:
    config = UpChannelConfig(channels=32, template_cells=template_cells).resolve(HeadWidths(1, 1))
    matcher = UpChannelCorrelation(config, {"only": shape}, CROP).eval()
    for module in matcher.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    cells = round((127 - 2 * shape.offset) // 8) + 1
    generator = torch.Generator().manual_seed(3)
    lit = (torch.randint(0, 32, (1, side, side), generator=generator) for side in (cells, cells + 18))
    template, search = (nn.functional.one_hot(channels, 32).permute(0, 3, 1, 2).float() for channels in lit)
    right, down = 7, 4
    search[..., down : down + cells, right : right + cells] = template
    with torch.inference_mode():
        kernel, _ = matcher.embed(branch("only", template, shape))
        level = matcher(kernel, branch("only", search, shape)).levels["only"]
    peak = int(level.classification.flatten().argmax())
    wanted = [63.5 + 8 * right, 63.5 + 8 * down]
    assert level.grid.points_xy(level.classification)[peak].tolist() == pytest.approx(wanted)


def test_leaving_out_a_margin_gives_the_middle_of_the_whole_response_at_the_same_places() -> None:
    settings = {"channels": 6, "scale": 1.0}
    whole, part = (
        UpChannelCorrelation(UpChannelConfig(search_margin=margin, **settings).resolve(HeadWidths(2, 4)), LEVELS, CROP)
        for margin in (0, 5)
    )
    part.load_state_dict(whole.state_dict())
    template = branch("conv5", torch.rand(1, 10, 16, 16), LEVELS["conv5"])
    level = Level(torch.rand(1, 10, 34, 34), 8, 0.5)
    search = Branch(torch.zeros(1, 3, 271, 271), {"conv5": level})
    with torch.inference_mode():
        kernel, _ = whole.embed(template)
        every, middle = (matcher(kernel, search).levels["conv5"] for matcher in (whole, part))
    assert every.classification.shape[-1] == 29 and middle.classification.shape[-1] == 19  # as without padding
    torch.testing.assert_close(middle.regression, every.regression[..., 5:24, 5:24])
    places = every.grid.points_xy(every.regression).reshape(29, 29, 2)[5:24, 5:24].reshape(-1, 2)
    torch.testing.assert_close(middle.grid.points_xy(middle.regression), places)


def test_a_margin_that_leaves_fewer_cells_than_the_template_has_is_refused() -> None:
    config = UpChannelConfig(channels=4, classification_channels=2, regression_channels=4, search_margin=15)
    with pytest.raises(FitError, match=r"gives 4x4 cells of 'conv5' \(stride 8\) without matcher.search_margin 15"):
        UpChannelCorrelation(config, LEVELS, CROP)


def test_a_head_without_hidden_layer_turns_responses_into_outputs_with_one_convolution() -> None:
    partners = {
        "matcher": {"name": "up-xcorr", "channels": 4, "template_cells": 4},
        "head": {"name": "rpn", "hidden": 0, "ratios": [1.0]},
    }
    model = build_seeded(tiny_plan(installed(), partners=partners))
    shapes = {name: tuple(value.shape) for name, value in model.head.state_dict().items() if "weight" in name}
    assert shapes["levels.layer2.classification.0.weight"] == (2, 2, 1, 1)
    assert shapes["levels.layer2.regression.0.weight"] == (4, 4, 1, 1)
    assert len(shapes) == 4  # and one weight per task and level
