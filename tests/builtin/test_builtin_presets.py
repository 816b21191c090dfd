"""Built-in presets: sizes of the papers, and schedules that fit every built-in backbone."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from trackcli.composition.build import build_model
from trackcli.composition.defaults import complete
from trackcli.composition.plan import Plan, plan
from trackcli.host.specs import BackboneSpec, PresetSpec
from trackcli.testing import Scene, registry_of, synthetic_clip

REGISTRY = registry_of()
PRESETS, BACKBONES = REGISTRY.names(PresetSpec), REGISTRY.names(BackboneSpec)


def planned(**data: Any) -> Plan:
    return plan(complete(data, REGISTRY).recipe, REGISTRY)


@pytest.mark.parametrize(("preset", "backbone"), list(product(PRESETS, BACKBONES)))
def test_every_preset_unfreezes_stages_that_every_backbone_has(preset: str, backbone: str) -> None:
    """``trackcli train --backbone NAME`` works with whatever supplies the schedule."""
    made = planned(preset=preset, backbone={"name": backbone})
    with torch.device("meta"):
        stages = build_model(made).backbone.stages()
    assert set(made.recipe.train.unfreeze) <= set(stages)


@pytest.mark.parametrize(("preset", "cells"), [("siamrpn", 17), ("siamrpn-pp-resnet50", 25), ("siamrpn-pp", 26)])
def test_responses_have_the_papers_size(preset: str, cells: int) -> None:
    """SiamRPN: 17 × 17, SiamRPN++: 25 × 25; the padded ResNet-18 has one cell more."""
    made = planned(preset=preset)
    model = build_model(made)
    scene = Scene(synthetic_clip(), made.recipe.crop)
    with torch.inference_mode():
        state = scene.start(model)
        matched = model.matcher(state.kernel, scene.context(model, state).search)
    for level in matched.levels.values():
        assert level.classification.shape[-2:] == level.regression.shape[-2:] == (cells, cells)
        # The grid lies about the middle of the 255 crop, to within the half cell that padding shifts it by.
        assert abs(level.offset + (cells - 1) / 2 * level.stride - 127.5) <= (0 if cells % 2 else 4)


def test_siamrpn_pp_with_resnet50_has_the_parameters_of_its_parts() -> None:
    with torch.device("meta"):
        model = build_model(planned(preset="siamrpn-pp-resnet50"))
    adjust = (512 + 1024 + 2048) * 256 + 3 * 512
    branches = 3 * 2 * 2 * (256 * 256 * 9 + 512)
    head = 3 * (2 * (256 * 256 + 512) + 256 * (10 + 20) + 10 + 20) + 6
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == 45_528_128 + adjust + branches + head == 53_950_624
