"""The preset at full size, and the paper's tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from trackcli_hardneg import presets
from trackcli_hardneg.emphasis import HardNegativeEmphasis

from trackcli.composition.build import build_losses, build_model
from trackcli.composition.defaults import complete
from trackcli.composition.model import TrackerModel
from trackcli.composition.plan import Plan, plan
from trackcli.errors import FitError
from trackcli.host.registry import installed
from trackcli.testing.scenes import Scene, synthetic_clip, training_batch
from trackcli.tracking.tracker import Tracker


def planned(**parts: object) -> Plan:
    registry = installed()
    return plan(complete({"preset": "hard-negative", **parts}, registry).recipe, registry)


@pytest.fixture(scope="module")
def full() -> tuple[Plan, TrackerModel]:
    torch.manual_seed(0)
    preset = planned()
    return preset, build_model(preset)


def test_a_step_at_full_size_has_the_papers_shapes_and_reaches_what_it_should(
    full: tuple[Plan, TrackerModel],
) -> None:
    preset, model = full
    losses = build_losses(preset)
    batch = training_batch(Scene(synthetic_clip(), preset.recipe.crop, rows=(0,)), negative=0)
    model.train().requires_grad_(True)
    model.backbone.requires_grad_(False).eval()  # as in the first half of the paper's training
    outputs = model(batch, with_candidates=True)
    assert {name: tuple(level.map.shape) for name, level in outputs.matched.search.items()} == {
        f"layer{block}": (1, 256, 31, 31) for block in (2, 3, 4)
    }
    assert outputs.matched.template["layer4"].map.shape == (1, 256, 15, 15)
    level = outputs.matched.levels["layer3"]
    assert (level.classification.shape, level.stride, level.offset) == ((1, 256, 25, 25), 8, 31.5)
    output = outputs.predictions.output
    assert output.logits.shape == (1, 625, 2) and output.distances.shape == (1, 625, 4)
    assert output.centerness.shape == (1, 625) and len(outputs.predictions.stages) == 3

    terms = losses(outputs, batch)
    assert list(terms) == ["fcos.score", "fcos.centerness", "fcos.box", "hard-negative-emphasis.contrastive"]
    terms["hard-negative-emphasis.contrastive"].backward(retain_graph=True)
    # Through the adjusted features of levels 3 and 4 to their shared 1×1 layers, though the backbone is frozen.
    adjust = model.matcher.adjust
    assert isinstance(adjust, nn.ModuleDict)
    reached = {name: parameter.grad is not None for name, parameter in adjust.named_parameters()}
    assert {name.partition(".")[0] for name, is_reached in reached.items() if is_reached} == {"layer3", "layer4"}
    optimizer = torch.optim.SGD([*model.parameters(), *losses.parameters()], lr=1e-3)
    torch.stack(list(terms.values())).sum().backward()
    optimizer.step()
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    model.requires_grad_(False).eval()


def test_it_tracks_at_full_size(full: tuple[Plan, TrackerModel]) -> None:
    preset, model = full
    tracker = Tracker("hard-negative", model.eval(), preset, device="cpu")
    clip = synthetic_clip()
    tracker.start(clip.frames[0], clip.boxes_xywh[:1])
    result = tracker.update(clip.frames[1])
    assert result.boxes_xyxy.shape == (1, 4) and 0 <= result.scores[0] <= 1


def test_its_settings_are_those_of_section_4_1() -> None:
    recipe = planned().recipe
    train, sampler = recipe.train, planned().sampler_config
    assert (train.epochs, train.batch, train.learning_rate, train.final_rate) == (20, 28, 5e-3, 5e-4)
    assert (train.warmup_rate, train.weight_decay, train.momentum) == (1e-3, 1e-4, 0.9)
    assert (recipe.crop.template_size, recipe.crop.search_size, sampler.search.shift) == (127, 255, 64)


def test_emphasis_can_be_added_to_another_papers_recipe() -> None:
    registry = installed()
    recipe = complete(
        {"preset": "siamrpn-pp", "loss": [{"name": "rpn"}, {"name": "hard-negative-emphasis", "embedding": 8}]},
        registry,
    ).recipe
    losses = build_losses(plan(recipe, registry))
    emphasis = losses.losses["hard-negative-emphasis"]
    assert isinstance(emphasis, HardNegativeEmphasis)
    assert emphasis.levels == ("layer3", "layer4")
    assert losses.weights["hard-negative-emphasis"] == 0.1


def test_a_matcher_that_adjusts_nothing_is_refused_before_anything_is_built() -> None:
    with pytest.raises(FitError, match="learns on adjusted features"):
        planned(backbone={"name": "alexnet"}, matcher={"name": "up-xcorr"})


def test_the_tables_agree_with_one_another() -> None:
    assert presets.TABLE_1["hard-negative"] == presets.TABLE_4["hard-negative"] == presets.TABLE_5[11]
    assert presets.TABLE_1["SiamRPN++"] == presets.TABLE_4["baseline (SiamRPN++)"]
    assert {len(row) for row in presets.TABLE_2.values()} == {7}
    assert max(presets.TABLE_5, key=lambda rois: presets.TABLE_5[rois]) == 11
