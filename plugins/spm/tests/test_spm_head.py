"""The head of two stages: equation 2, its structures, and any head as the coarse stage."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trackcli_spm.config import SeriesParallelConfig, SeriesParallelLossConfig
from trackcli_spm.head import SeriesParallelHead, fuse
from trackcli_spm.outputs import SeriesParallelOutput

from trackcli.builtin.labels.anchors import decode_deltas
from trackcli.composition.build import build_losses
from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.composition.record import recipe_data
from trackcli.contracts.predictions import Candidates, PointOutput, Predictions
from trackcli.contracts.shapes import HeadWidths, LevelShape, MatchShape
from trackcli.errors import ConfigError, FitError
from trackcli.host.registry import installed
from trackcli.testing import Scene, build_seeded, synthetic_clip, training_batch

SMALL: dict[str, Any] = {
    "preset": "spm-tracker",
    "backbone": {"name": "resnet18", "depth": 3},
    "matcher": {"name": "dw-xcorr", "channels": 16, "template_cells": 4},
    "crop": {"template_size": 64, "search_size": 128},
}
HEAD: dict[str, Any] = {
    "name": "series-parallel",
    "coarse": {"name": "rpn", "hidden": 16, "scale": 4.0},
    "hidden": 16,
    "roi_size": 3,
    "proposals": 5,
    "train_rois": 8,
    "train_proposals": 32,
}

POINT = ('head.coarse={name = "point", channels = 16}', 'matcher.levels=["layer3"]')


def planned(*assignments: str, **head: Any) -> Plan:
    recipe = complete({**SMALL, "head": {**HEAD, **head}}, installed(), assignments).recipe
    return plan(recipe, installed())


def tracked(small: Plan) -> tuple[SeriesParallelHead, Predictions[SeriesParallelOutput], Candidates, Any]:
    model, scene = build_seeded(small), Scene(synthetic_clip(), small.recipe.crop)
    with torch.no_grad():
        state = scene.start(model)
        context = scene.context(model, state)
        predictions: Any = model.predict(state.kernel, context)
        candidates = model.head.decode(predictions, context)
    assert isinstance(model.head, SeriesParallelHead)
    return model.head, predictions, candidates, context


def test_fusion_is_the_literal_equation_2() -> None:
    generator = torch.Generator().manual_seed(0)
    u_c, u_f = (torch.rand(2, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    b_c, b_f = (100 * torch.rand(2, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    scores, boxes = fuse(u_c, u_f, b_c, b_f, score_weight=0.3, box_weight=2.0)
    for row in range(2):
        for box in range(3):
            c, f = float(u_c[row, box]), float(u_f[row, box])
            assert float(scores[row, box]) == pytest.approx((1 - 0.3) * c + 0.3 * f)
            for side in range(4):
                wanted = c / (2 * f + c) * b_c[row, box, side] + 2 * f / (2 * f + c) * b_f[row, box, side]
                assert float(boxes[row, box, side]) == pytest.approx(float(wanted))


def test_fusion_of_two_stages_that_see_nothing_is_sound() -> None:
    zero, box = torch.zeros(1, 1), torch.ones(1, 1, 4)
    scores, boxes = fuse(zero, zero, box, 2 * box, score_weight=0.5, box_weight=3.0)
    assert float(scores) == 0 and boxes.tolist() == box.tolist()


def test_candidates_are_both_stages_fused() -> None:
    head, predictions, candidates, _ = tracked(planned())
    regions = predictions.output.regions
    assert regions is not None and candidates.boxes_xyxy.shape == (3, 5, 4)
    u_f = regions.logits.softmax(dim=-1)[..., 1]
    b_f = decode_deltas(regions.boxes_xyxy, regions.scaled_deltas / torch.tensor([5.0, 5.0, 10.0, 10.0]))
    scores, boxes = fuse(regions.scores, u_f, regions.boxes_xyxy, b_f, score_weight=0.5, box_weight=3.0)
    torch.testing.assert_close(candidates.scores, scores)
    torch.testing.assert_close(candidates.boxes_xyxy, boxes)
    torch.testing.assert_close(candidates.points_xy, (boxes[..., :2] + boxes[..., 2:]) / 2)
    assert head.config.structure == "series-parallel"


def test_in_series_the_fine_stage_alone_decides() -> None:
    _, predictions, candidates, _ = tracked(planned(structure="series"))
    regions = predictions.output.regions
    assert regions is not None
    torch.testing.assert_close(candidates.scores, regions.logits.softmax(dim=-1)[..., 1])
    torch.testing.assert_close(candidates.boxes_xyxy, decode_deltas(regions.boxes_xyxy, regions.deltas))


def test_the_coarse_stage_alone_is_its_head_and_keeps_nothing_of_the_template() -> None:
    head, predictions, candidates, context = tracked(planned(structure="coarse"))
    assert predictions.output.regions is None and context.head_kernel is None and head.fine is None
    alone = head.coarse.decode(predictions.output.coarse, context)
    torch.testing.assert_close(candidates.boxes_xyxy, alone.boxes_xyxy)
    torch.testing.assert_close(candidates.scores, alone.scores)


def test_the_place_of_the_last_box_is_taken_by_what_overlaps_it_most() -> None:
    head, predictions, _, context = tracked(planned())
    regions = predictions.output.regions
    assert regions is not None
    everything = head.coarse.decode(predictions.output.coarse, context)
    overlap = torch.stack(
        [_iou(everything.boxes_xyxy[row], context.previous_boxes_xyxy[row]) for row in range(3)]
    ).argmax(dim=1)
    torch.testing.assert_close(regions.boxes_xyxy[:, -1], everything.boxes_xyxy[torch.arange(3), overlap])


def _iou(boxes: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    inner = (high - low).clamp(min=0).prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return inner / (areas + (box[2:] - box[:2]).prod() - inner)


def test_what_is_pooled_does_not_move_the_boxes_but_reaches_the_backbone() -> None:
    small = planned()
    model = build_seeded(small).train()
    output: Any = model(training_batch(Scene(synthetic_clip(), small.recipe.crop))).predictions.output
    assert not output.regions.boxes_xyxy.requires_grad and not output.regions.scores.requires_grad
    reached = [parameter for parameter in model.backbone.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(output.regions.logits.sum(), reached, retain_graph=True, allow_unused=True)
    assert any(gradient is not None and gradient.any() for gradient in gradients)
    coarse = list(model.head.coarse.parameters())
    assert torch.autograd.grad(output.regions.logits.sum(), coarse, allow_unused=True) == (None,) * len(coarse)


def test_any_head_can_be_the_coarse_stage() -> None:
    small = planned(*POINT)
    _, predictions, candidates, _ = tracked(small)
    assert isinstance(predictions.output.coarse.output, PointOutput)
    assert candidates.boxes_xyxy.shape == (3, 5, 4)


def test_the_anchor_free_head_of_another_plugin_can_be_the_coarse_stage() -> None:
    pytest.importorskip("trackcli_hardneg", reason="needs the plugin that has head fcos")
    small = planned('head.coarse={name = "fcos", channels = 16, depth = 1}')
    model, losses = build_seeded(small).train(), build_losses(small)
    batch = training_batch(Scene(synthetic_clip(), small.recipe.crop))
    terms = losses(model(batch), batch)
    own = [f"series-parallel.coarse_{name}" for name in ("score", "centerness", "box")]
    assert list(terms) == [*own, "series-parallel.fine_classification", "series-parallel.fine_box"]
    assert all(torch.isfinite(term) for term in terms.values())


def test_a_coarse_head_is_chosen_by_its_name_and_every_setting_is_recorded() -> None:
    small = planned(*POINT)
    assert isinstance(small.head.config, SeriesParallelConfig)
    assert small.head.config.coarse.name == "point"
    written = recipe_data(small)["head"]["coarse"]
    assert written == {"name": "point", "channels": 16, "depth": 3}
    assert planned("head.coarse.ratios=[1.0, 2.0]").head.config.widths() == HeadWidths(4, 8)  # type: ignore[attr-defined]


def test_settings_that_do_not_fit_are_named_as_the_person_writes_them() -> None:
    with pytest.raises(ConfigError, match=r"head\.coarse\.hiden is unknown; did you mean 'hidden'"):
        planned("head.coarse.hiden=3")
    with pytest.raises(ConfigError, match=r"coarse\.ratios is unknown.*replace the whole: --set head\.coarse=NAME"):
        planned("head.coarse.name=point", coarse={"name": "rpn", "ratios": [1.0]})
    with pytest.raises(ConfigError, match=r"head\.coarse = 'series-parallel' does not fit; expected another one"):
        SeriesParallelConfig(coarse="series-parallel")
    with pytest.raises(ConfigError, match=r"head\.coarse = 3 does not fit; expected a name"):
        SeriesParallelConfig(coarse=3)
    with pytest.raises(ConfigError, match=r"loss\.series-parallel\.coarse\.gamma is unknown"):
        SeriesParallelLossConfig(coarse={"name": "rpn", "gamma": 1})


@pytest.mark.parametrize("settings", [POINT, ('loss.series-parallel.coarse="rpn"',)], ids=["its head's", "named"])
def test_weights_of_equation_1_are_refused_where_the_coarse_stage_has_another_loss(settings: tuple[str, ...]) -> None:
    assert planned(*settings, "loss.series-parallel.coarse_box_weight=2")  # as it is anyway
    name, weights = ("point", "weight, giou_weight, l1_weight") if settings == POINT else ("rpn", "weight, box_weight")
    with pytest.raises(FitError) as refused:
        planned(*settings, "loss.series-parallel.coarse_box_weight=3")
    assert str(refused.value) == (
        "loss.series-parallel.coarse_box_weight = 3 weighs a term of the loss for anchors, but the coarse stage has "
        f"loss {name!r}; leave it at 2 and set a weight of that loss ({weights}): --set 'loss.series-parallel.coarse="
        f'{{name = "{name}", {weights.rpartition(" ")[2]} = …}}\''
    )
    with pytest.raises(FitError, match="coarse_score_weight = 0 weighs a term"):
        planned(*settings, "loss.series-parallel.coarse_score_weight=0")
    assert planned("loss.series-parallel.coarse_box_weight=3")


def test_levels_that_the_backbone_lacks_are_refused_before_anything_is_built() -> None:
    with pytest.raises(
        FitError, match=r"head\.levels names 'conv3', which the backbone does not give; it gives: layer"
    ):
        planned(levels=["conv3", "conv5"])


def test_the_shallowest_and_the_deepest_level_are_pooled_unless_others_are_named() -> None:
    given = {f"conv{index}": LevelShape(8, 8, 0.5) for index in (3, 4, 5)}
    assert SeriesParallelConfig().chosen(given) == ("conv3", "conv5")
    assert SeriesParallelConfig(levels=("conv4",)).chosen(given) == ("conv4",)
    assert SeriesParallelConfig().chosen({"conv5": given["conv5"]}) == ("conv5",)


def test_what_the_coarse_head_refuses_is_refused() -> None:
    strides = {"a": MatchShape(8, 8, 8), "b": MatchShape(8, 8, 16)}
    shapes = {"a": LevelShape(8, 8, 0.5), "b": LevelShape(8, 16, 0.5)}
    with pytest.raises(FitError, match="needs one stride"):
        SeriesParallelConfig().check(strides, shapes)
