"""ResNet-18 with batch norms folded and not: weights of either form give the same features in both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from trackcli.builtin.backbones.resnet18 import ResNet18
from trackcli.builtin.config import ResNet18Config
from trackcli.composition.foreign import load_foreign, read_state_dict


def used_network(norm: str) -> ResNet18:
    """With statistics and factors as after training."""
    torch.manual_seed(3)
    network = ResNet18(ResNet18Config(depth=2, norm=norm)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2.0)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(("theirs", "own", "word"), [("batch", "folded", "folded"), ("folded", "batch", "norms that")])
def test_weights_of_the_other_form_compute_the_same(theirs: str, own: str, word: str, prefix: str) -> None:
    source = used_network(theirs)
    network = ResNet18(ResNet18Config(depth=2, norm=own)).eval()
    report = load_foreign(network, {f"{prefix}{name}": value for name, value in source.state_dict().items()})
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    assert word in report.notes[0] and report.notes[0].startswith("10 ")  # conv1, 8 in blocks, 1 shortcut
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, found = source(images), network(images)
    for name, level in expected.items():
        torch.testing.assert_close(found[name].map, level.map, rtol=1e-4, atol=1e-3)


def test_a_norm_of_another_size_is_left_alone() -> None:
    weights = used_network("batch").state_dict()
    weights["bn1.weight"] = torch.ones(3)
    network = ResNet18(ResNet18Config(depth=2, norm="folded"))
    assert "conv1.bias" in load_foreign(network, weights).missing


def test_a_real_folded_file_fills_both_forms(shared_weights: Path) -> None:
    weights = read_state_dict(shared_weights / "resnet18_in1k_bnfolded_to_layer3.safetensors")
    for norm in ("folded", "batch"):
        report = load_foreign(ResNet18(ResNet18Config(depth=3, norm=norm)), weights)
        assert (report.missing, report.unused, report.misfits) == ((), (), ()), norm
