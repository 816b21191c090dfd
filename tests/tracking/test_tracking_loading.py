"""Finding, composing and placing trackers: names, files, folders, devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trackcli.errors import InputDataError, UnknownNameError, UsageError
from trackcli.host.registry import installed
from trackcli.tracking.tracker import Tracker, find_tracker_file, resolve_device


def test_a_run_folder_stands_for_its_tracker(tmp_path: Path) -> None:
    (tmp_path / "tracker.safetensors").touch()
    assert find_tracker_file(str(tmp_path), installed()) == tmp_path / "tracker.safetensors"


def test_a_folder_without_a_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError) as caught:
        find_tracker_file(str(tmp_path), installed())
    assert str(caught.value) == f"{tmp_path} holds no tracker.safetensors; expected a run folder of `trackcli train`"


def test_a_preset_is_no_tracker_but_says_how_to_become_one() -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_tracker_file("siamrpn-pp", installed())
    assert str(caught.value) == (
        "'siamrpn-pp' is a preset: a recipe without weights; train it with: "
        "trackcli train --preset siamrpn-pp [--data CACHE] [-o RUN]"
    )


def test_an_unknown_tracker_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown tracker 'defualt'; did you mean 'default'\?$"):
        find_tracker_file("defualt", installed())


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "cpu:banana"])
def test_an_unknown_device_lists_the_known_ones(device: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_device(device)
    assert str(caught.value) == f"--device {device} is unknown; expected auto, cpu, cuda, cuda:N or mps"


def test_a_device_of_another_kind_is_not_available() -> None:
    with pytest.raises(UsageError, match=r"^--device xla is not available here; expected one of: cpu"):
        resolve_device("xla")


def test_fresh_weights_follow_from_the_seed_and_leave_torchs_generator_alone(
    make_tracker: Callable[..., Tracker],
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trackers = [make_tracker(seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    first, again, other = (tracker.model.backbone.get_parameter("conv1.weight") for tracker in trackers)
    assert torch.equal(first, again) and not torch.equal(first, other)
