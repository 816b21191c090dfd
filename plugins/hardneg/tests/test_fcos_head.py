"""The head: equations 1 and 9, where its cells lie, what its candidates are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from trackcli_hardneg.config import FcosConfig
from trackcli_hardneg.head import TYPICAL_DISTANCE, FcosHead

from trackcli.builtin.labels.points import side_distances
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import PointOutput
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import FitError

LEVELS = ("layer2", "layer3", "layer4")
CONTEXT = Context(search=Branch(torch.zeros(2, 3, 255, 255), {}))


def make_head(config: FcosConfig, channels: int = 6) -> FcosHead:
    matches = {name: MatchShape(channels, channels, 8) for name in LEVELS}
    levels = {name: LevelShape(channels, 8, 7.5) for name in LEVELS}
    torch.manual_seed(0)
    return FcosHead(config, matches, levels).double().eval()


def make_matched(channels: int = 6, cells: int = 5) -> Matched:
    generator = torch.Generator().manual_seed(1)

    def response() -> Tensor:
        return torch.randn(2, channels, cells, cells, generator=generator, dtype=torch.float64)

    return Matched({name: MatchedLevel(response(), response(), 8, 31.5) for name in LEVELS}, {}, {})


def literal_level(head: FcosHead, name: str, level: MatchedLevel) -> tuple[Tensor, Tensor, Tensor]:
    """ψ by the modules' own layers, one point after the other read out of the maps."""
    part = head.levels.get_submodule(name)
    features = part.classification(level.classification)  # type: ignore[operator]
    maps = (part.score(features), part.centerness(features), part.distances(part.regression(level.regression)))  # type: ignore[operator]
    height, width = maps[0].shape[-2:]
    points = [(row, column) for row in range(height) for column in range(width)]
    read = [torch.stack([each[..., row, column] for row, column in points], dim=1) for each in maps]
    return read[0], read[1][..., 0], read[2]


def test_the_fused_output_is_equation_9_level_by_level() -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=2)), make_matched()
    with torch.no_grad():
        head.score_weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
        head.distance_weights.copy_(torch.tensor([0.0, 1.0, -0.5]))
        assert head.centerness_weights is not None
        head.centerness_weights.copy_(torch.tensor([-0.2, 0.4, 0.1]))
        output: PointOutput = head(matched, CONTEXT).output

        def shares(weights: Tensor) -> list[float]:
            exponentials = [math.exp(value) for value in weights.tolist()]
            return [value / sum(exponentials) for value in exponentials]

        parts = [literal_level(head, name, matched.levels[name]) for name in LEVELS]
        score = sum(share * part[0] for share, part in zip(shares(head.score_weights), parts, strict=True))
        center = sum(share * part[1] for share, part in zip(shares(head.centerness_weights), parts, strict=True))
        raw = sum(share * part[2] for share, part in zip(shares(head.distance_weights), parts, strict=True))
    torch.testing.assert_close(output.logits, score)
    torch.testing.assert_close(output.centerness, center)
    torch.testing.assert_close(output.distances, 8 * torch.as_tensor(raw).exp())


def test_distances_may_be_made_positive_before_they_are_added() -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=1, fuse="distances", distances="softplus")), make_matched()
    with torch.no_grad():
        predictions = head(matched, CONTEXT)
        parts = [literal_level(head, name, matched.levels[name])[2] for name in LEVELS]
    expected = sum(8 * (1 + part.exp()).log() for part in parts) / 3
    torch.testing.assert_close(predictions.output.distances, expected)
    torch.testing.assert_close(predictions.stages["layer3"].distances, 8 * (1 + parts[1].exp()).log())


def test_scores_are_the_softmax_times_the_centerness_in_a_loop_over_points() -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=1)), make_matched()
    with torch.no_grad():
        predictions = head(matched, CONTEXT)
        candidates = head.decode(predictions, CONTEXT)
    output: PointOutput = predictions.output
    assert output.centerness is not None
    for point in range(25):
        background, target = output.logits[1, point].tolist()
        share = math.exp(target) / (math.exp(background) + math.exp(target))
        expected = share / (1 + math.exp(-output.centerness[1, point].item()))
        assert candidates.scores[1, point].item() == pytest.approx(expected, abs=1e-12)


def test_without_centerness_the_score_is_the_softmax() -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=1, centerness=False)), make_matched()
    with torch.no_grad():
        predictions = head(matched, CONTEXT)
        candidates = head.decode(predictions, CONTEXT)
    assert predictions.output.centerness is None
    torch.testing.assert_close(candidates.scores, predictions.output.logits.softmax(dim=-1)[..., 1])


def test_cells_lie_where_the_matcher_says_and_boxes_come_back_from_their_distances() -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=1)), make_matched(cells=25)
    with torch.no_grad():
        predictions = head(matched, CONTEXT)
        candidates = head.decode(predictions, CONTEXT)
    points = predictions.output.points_xy
    # Equation 2 as printed would give 4 … 196; 25 cells around the middle of a crop of 255 are at 31.5 … 223.5.
    assert points[0].tolist() == [31.5, 31.5] and points[-1].tolist() == [223.5, 223.5]
    assert points[1].tolist() == [39.5, 31.5]
    again = side_distances(points[30:31], candidates.boxes_xyxy[:, 30])
    torch.testing.assert_close(again[:, 0], predictions.output.distances[:, 30])


@pytest.mark.parametrize("distances", ["exp", "softplus"])
def test_before_training_scores_are_low_and_boxes_of_a_common_size(distances: str) -> None:
    head, matched = make_head(FcosConfig(channels=8, depth=1, distances=distances)), make_matched()
    with torch.no_grad():
        output = head(matched, CONTEXT).output
    assert output.logits.softmax(dim=-1)[..., 1].mean().item() == pytest.approx(0.01, rel=0.3)
    assert output.distances.mean().item() == pytest.approx(TYPICAL_DISTANCE * 8, rel=0.2)


def test_levels_of_several_strides_are_refused_with_a_way_out() -> None:
    matches = {"layer2": MatchShape(8, 8, 8), "layer3": MatchShape(8, 8, 16)}
    with pytest.raises(FitError, match=r"needs one stride.*layer3 \(stride 16\).*backbone\.max_stride=8"):
        FcosConfig().check(matches, {})


def test_levels_that_begin_at_different_places_are_refused_with_a_way_out() -> None:
    matches = {"layer2": MatchShape(8, 8, 8), "layer3": MatchShape(8, 8, 8)}
    levels = {"layer2": LevelShape(8, 8, 7.5), "layer3": LevelShape(8, 8, 3.5)}
    with pytest.raises(FitError, match=r"needs one grid.*matcher\.levels='\[\"layer3\"\]'"):
        FcosConfig().check(matches, levels)
