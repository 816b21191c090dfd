"""The engine changes how the network runs, not what it computes."""

from __future__ import annotations

import torch
from torch import nn

import trackcli
from trackcli.engines.eager import optimised


def test_folding_keeps_every_level_of_the_backbone_and_removes_all_batch_norms() -> None:
    model = trackcli.compose(
        backbone={"name": "resnet18", "depth": 3},
        matcher={"name": "dw-xcorr", "channels": 8},
        head={"name": "rpn", "hidden": 8},
        device="cpu",
    ).model
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics and weights as training leaves them, not the neutral start
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0, generator=generator)  # type: ignore[union-attr]
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.5, 0.5, generator=generator)
    fast = optimised(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())  # the original is left alone
    crops = torch.rand(2, 3, 63, 63, generator=generator) * 255
    with torch.inference_mode():
        expected, found = model.branch(crops), fast.branch(crops)
        for name, level in expected.features.items():
            torch.testing.assert_close(found.features[name].map, level.map, rtol=1e-4, atol=1e-4)
        for key, value in model.embed(expected).kernel.items():
            torch.testing.assert_close(fast.embed(found).kernel[key], value, rtol=1e-4, atol=1e-4)


def test_a_tracker_saves_its_own_weights_not_the_engines(tmp_path) -> None:
    tracker = trackcli.compose(backbone={"name": "resnet18", "depth": 2}, device="cpu")
    tracker.save(tmp_path / "a.safetensors")
    assert (
        trackcli.load(tmp_path / "a.safetensors", device="cpu").model.state_dict().keys()
        == tracker.model.state_dict().keys()
    )
