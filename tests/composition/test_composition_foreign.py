"""Weights from elsewhere: what fitted, what did not, and nothing that runs code."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from trackcli.composition.foreign import LoadReport, load_foreign, read_state_dict
from trackcli.errors import InputDataError


def small_module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)))


def other_weights() -> dict[str, Tensor]:
    torch.manual_seed(1)
    module = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)))
    return module.state_dict()


def refusal(path: Path) -> str:
    with pytest.raises(InputDataError) as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_report_names_what_was_loaded_missing_unused_and_misfit() -> None:
    module, weights = small_module(), other_weights()
    before = module.state_dict()["conv.weight"].clone()
    del weights["bn.bias"], weights["bn.num_batches_tracked"]
    weights["conv.weight"] = torch.zeros(4, 3, 5, 5)
    weights["fc.weight"] = torch.zeros(2, 2)
    report = load_foreign(module, weights)
    assert report == LoadReport(
        loaded=("conv.bias", "bn.weight", "bn.running_mean", "bn.running_var"),
        missing=("bn.bias",),
        unused=("fc.weight",),
        misfits=("conv.weight: (4, 3, 5, 5) in the file, (4, 3, 3, 3) here",),
    )
    assert torch.equal(module.state_dict()["conv.bias"], weights["conv.bias"])
    assert torch.equal(module.state_dict()["conv.weight"], before)
    assert report.summary() == (
        "4 tensors loaded; 1 missing: bn.bias; 1 unused: fc.weight; "
        "1 of another shape: conv.weight: (4, 3, 5, 5) in the file, (4, 3, 3, 3) here"
    )


def test_a_long_list_is_cut_in_the_summary() -> None:
    report = LoadReport(loaded=("a",), missing=("b", "c", "d", "e"), unused=(), misfits=())
    assert report.summary() == "1 tensors loaded; 4 missing: b, c, d, …"


@pytest.mark.parametrize("prefix", ["module.backbone.", "", "module.", "backbone.", "features."])
def test_a_wrappers_prefix_is_taken_off(prefix: str) -> None:
    module, weights = small_module(), other_weights()
    report = load_foreign(module, {f"{prefix}{name}": value for name, value in weights.items()})
    assert (report.missing, report.unused, report.misfits) == ((), (), ())
    for name, value in weights.items():
        assert torch.equal(module.state_dict()[name], value)


def test_half_weights_are_widened_to_the_modules_type() -> None:
    module = small_module()
    load_foreign(module, {"conv.bias": torch.full((4,), 0.5, dtype=torch.float16)})
    bias = module.state_dict()["conv.bias"]
    assert bias.dtype == torch.float32 and bias.tolist() == [0.5] * 4


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
def test_plain_pickles_and_safetensors_are_read(tmp_path: Path, wrapper: str | None) -> None:
    weights = other_weights()
    path = tmp_path / "weights.pth"
    torch.save({wrapper: weights, "epoch": 3} if wrapper else weights, path)
    assert read_state_dict(path).keys() == weights.keys()
    save_file(weights, tmp_path / "weights.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "weights.safetensors")["conv.bias"], weights["conv.bias"])


class Trap:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_that_holds_code_is_refused_and_never_run(tmp_path: Path) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "it ran"
    torch.save({"state_dict": Trap(target)}, path)
    assert refusal(path).startswith(f"weights file {path} is no plain state dict (")
    path.write_bytes(pickle.dumps(Trap(target), protocol=2))
    refusal(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 half a zip"])
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path).startswith(f"weights file {path} ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.pth"
    assert refusal(path) == f"weights file {path} does not exist; expected .safetensors, .pth or .pt"


def test_a_pickle_of_something_else_is_no_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    torch.save([torch.zeros(1)], path)
    assert refusal(path) == f"weights file {path} holds list; expected a state dict"
