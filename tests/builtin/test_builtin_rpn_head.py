"""The region proposal head: shapes, the order of anchors, levels, decoding."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from trackcli.builtin.config import RpnConfig
from trackcli.builtin.heads.rpn import RpnHead, RpnLevel
from trackcli.builtin.labels.anchors import decode_deltas, encode_deltas, make_anchors
from trackcli.contracts.context import Context
from trackcli.contracts.levels import Branch
from trackcli.contracts.matching import Matched, MatchedLevel
from trackcli.contracts.predictions import AnchorOutput, Predictions
from trackcli.contracts.shapes import LevelShape, MatchShape
from trackcli.errors import FitError
from trackcli.geometry.grids import Grid

CONTEXT = Context(search=Branch(torch.zeros(2, 3, 64, 64), {}))
CONFIG = RpnConfig(ratios=(0.5, 1.0, 2.0), scale=4, hidden=16)


def build(*names: str) -> RpnHead:
    torch.manual_seed(0)
    return RpnHead(CONFIG, {name: MatchShape(6, 10, 8) for name in names}, levels={}).eval()


def matched(*names: str) -> Matched:
    generator = torch.Generator().manual_seed(1)
    levels = {
        name: MatchedLevel(
            torch.rand(2, 6, 4, 5, generator=generator), torch.rand(2, 10, 4, 5, generator=generator), 8, 31.5
        )
        for name in names
    }
    return Matched(levels, {}, {})


@pytest.mark.parametrize("names", [("layer2",), ("layer2", "layer3", "layer4")])
def test_outputs_and_stages_have_exact_shapes(names: tuple[str, ...]) -> None:
    predictions = build(*names)(matched(*names), CONTEXT)
    assert tuple(predictions.stages) == names
    for output in (predictions.output, *predictions.stages.values()):
        assert output.logits.shape == (2, 3 * 4 * 5, 2)
        assert output.deltas.shape == (2, 3 * 4 * 5, 4)
        assert output.anchors_xyxy.shape == (3 * 4 * 5, 4)
        assert output.grid == Grid(4, 5, 8, 31.5)


def test_the_widths_follow_from_the_anchors() -> None:
    assert (CONFIG.widths().classification, CONFIG.widths().regression) == (6, 12)


def test_one_level_is_its_own_fusion() -> None:
    predictions = build("layer2")(matched("layer2"), CONTEXT)
    torch.testing.assert_close(predictions.output.logits, predictions.stages["layer2"].logits)
    torch.testing.assert_close(predictions.output.deltas, predictions.stages["layer2"].deltas)


def test_fresh_weights_average_the_levels_and_learnt_ones_prefer() -> None:
    head = build("layer2", "layer3")
    predictions = head(matched("layer2", "layer3"), CONTEXT)
    first, second = predictions.stages.values()
    torch.testing.assert_close(predictions.output.logits, (first.logits + second.logits) / 2)
    with torch.no_grad():
        head.classification_weights.copy_(torch.tensor([0.0, math.log(3)]))  # softmax: 1/4 and 3/4
        head.regression_weights.copy_(torch.tensor([50.0, 0.0]))
    predictions = head(matched("layer2", "layer3"), CONTEXT)
    first, second = predictions.stages.values()
    torch.testing.assert_close(predictions.output.logits, first.logits / 4 + second.logits * 3 / 4)
    torch.testing.assert_close(predictions.output.deltas, first.deltas)


def set_outputs(head: RpnHead, logits: list[float], deltas: list[float]) -> None:
    """Make the last layers constant: one value per channel."""
    for level in head.levels.values():
        assert isinstance(level, RpnLevel)
        for layer, values in ((level.classification[-1], logits), (level.regression[-1], deltas)):
            torch.nn.init.zeros_(layer.weight)
            layer.bias.data.copy_(torch.tensor(values))


def test_channels_become_values_anchor_by_anchor_row_by_row() -> None:
    head = build("layer2")
    set_outputs(head, [0, 1, 2, 3, 4, 5], list(range(12)))
    output = head(matched("layer2"), CONTEXT).output
    for anchor in range(3):
        rows = slice(anchor * 20, anchor * 20 + 20)
        assert torch.equal(output.logits[:, rows], torch.tensor([2.0 * anchor, 2.0 * anchor + 1]).expand(2, 20, 2))
        assert torch.equal(output.deltas[:, rows], torch.arange(4.0 * anchor, 4 * anchor + 4).expand(2, 20, 4))


def test_every_value_of_the_maps_lands_at_its_anchor_and_cell() -> None:
    head, response = build("layer2"), matched("layer2")
    level = head.levels["layer2"]
    assert isinstance(level, RpnLevel)
    output = head(response, CONTEXT).output
    scores = level.classification(response.levels["layer2"].classification)
    boxes = level.regression(response.levels["layer2"].regression)
    for anchor, y, x in product(range(3), range(4), range(5)):
        row = (anchor * 4 + y) * 5 + x
        torch.testing.assert_close(output.logits[:, row], scores[:, 2 * anchor : 2 * anchor + 2, y, x])
        torch.testing.assert_close(output.deltas[:, row], boxes[:, 4 * anchor : 4 * anchor + 4, y, x])


def test_anchors_lie_on_the_cells_with_one_area_and_the_given_ratios() -> None:
    anchors = make_anchors(Grid(2, 3, 8, 0.5), (0.25, 1.0), 4, like=torch.zeros(1)).reshape(2, 2, 3, 4)
    sizes = anchors[..., 2:] - anchors[..., :2]
    # Side 4 · 8 = 32; height over width 1/4 at the same area: 64 × 16.
    assert sizes[0, 0, 0].tolist() == [64.0, 16.0]
    assert sizes[1, 1, 2].tolist() == [32.0, 32.0]
    centers = (anchors[..., 2:] + anchors[..., :2]) / 2
    assert centers[0, 1, 2].tolist() == centers[1, 1, 2].tolist() == [16.5, 8.5]


def test_deltas_of_zero_decode_to_the_anchors() -> None:
    head = build("layer2", "layer3")
    set_outputs(head, [0.0] * 6, [0.0] * 12)
    predictions = head(matched("layer2", "layer3"), CONTEXT)
    candidates = head.decode(predictions, CONTEXT)
    torch.testing.assert_close(candidates.boxes_xyxy, predictions.output.anchors_xyxy.expand(2, -1, 4))
    assert torch.equal(candidates.scores, torch.full((2, 60), 0.5))


def test_decoding_gives_fresh_candidates_with_points_on_the_cells() -> None:
    head = build("layer2")
    predictions = head(matched("layer2"), CONTEXT)
    candidates = head.decode(predictions, CONTEXT)
    torch.testing.assert_close(candidates.scores, predictions.output.logits.softmax(-1)[..., 1])
    assert torch.equal(candidates.ranking, candidates.scores)
    assert torch.equal(candidates.penalty, torch.ones(2, 60))
    assert candidates.valid.all() and candidates.valid.shape == (2, 60)
    cells = Grid(4, 5, 8, 31.5).points_xy(torch.zeros(1))
    torch.testing.assert_close(candidates.points_xy, cells.repeat(3, 1).expand(2, 60, 2))


def test_decoding_stays_in_float32_whatever_the_network_computes_in() -> None:
    head = build("layer2")
    output = head(matched("layer2"), CONTEXT).output
    half = AnchorOutput(output.logits.bfloat16(), output.deltas.bfloat16(), output.anchors_xyxy, output.grid)
    candidates = head.decode(Predictions(half), CONTEXT)
    assert candidates.boxes_xyxy.dtype == candidates.scores.dtype == torch.float32


def test_hand_computed_deltas_move_and_stretch_an_anchor() -> None:
    anchor = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # centre 20, 40; 20 × 40
    box = decode_deltas(anchor, torch.tensor([[0.5, -0.25, math.log(2), math.log(0.5)]]))
    # centre 30, 30; 40 × 20
    assert box[0].tolist() == pytest.approx([10.0, 20.0, 50.0, 40.0], abs=1e-4)


def test_encoding_is_the_inverse_of_decoding() -> None:
    generator = torch.Generator().manual_seed(2)
    anchors = torch.tensor([[0.0, 0.0, 20.0, 30.0], [5.0, 5.0, 50.0, 20.0]])
    deltas = torch.randn(3, 2, 4, generator=generator)
    torch.testing.assert_close(encode_deltas(anchors, decode_deltas(anchors, deltas)), deltas, rtol=1e-4, atol=1e-4)


def test_enormous_deltas_give_finite_boxes() -> None:
    box = decode_deltas(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[0.0, 0.0, 1e6, -1e6]]))
    assert torch.isfinite(box).all()
    assert (box[0, 2] - box[0, 0]).item() == pytest.approx(10 * math.exp(4), rel=1e-5)


def test_levels_on_different_grids_are_refused() -> None:
    matches = {name: MatchShape(8, 8, 8) for name in ("conv3", "conv5")}
    unpadded = {"conv3": LevelShape(384, 8, 27.5), "conv5": LevelShape(256, 8, 43.5)}
    with pytest.raises(FitError, match=r"conv3, conv5 begin at different places; use .*matcher.levels='\[\"conv5\"\]'"):
        RpnConfig().check(matches, unpadded)
    RpnConfig().check({"conv5": matches["conv5"]}, unpadded)
