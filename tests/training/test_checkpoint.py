"""Checkpoints: which are kept, and how damage is noticed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from trackcli.errors import InputDataError, TrackcliError
from trackcli.training.checkpoint import load_latest, read_state, remove_leftovers, save_checkpoint, write_state


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("checkpoint-")) for path in folder.glob("checkpoint-*.pt"))


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 7):
        save_checkpoint(tmp_path, step, {"value": torch.tensor(step)}, keep=2, best=2 if step >= 2 else None)
    assert steps_in(tmp_path) == [2, 5, 6]
    state, complaints = load_latest(tmp_path)
    assert state is not None and state["step"] == 6 and complaints == []


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {
        "weights": {"half": torch.rand(3).to(torch.bfloat16), "none": torch.zeros(0), "scalar": torch.tensor(2)},
        "turned": torch.arange(6.0).reshape(2, 3).t(),
        "plain": [1, 2.5, "text", None, True],
    }
    write_state(tmp_path / "state.pt", dict(state))
    found = read_state(tmp_path / "state.pt")
    assert found["plain"] == state["plain"]
    for name in ("half", "none", "scalar"):
        assert torch.equal(found["weights"][name], state["weights"][name])
    assert torch.equal(found["turned"], state["turned"])


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "another file"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"value": torch.full((10_000,), float(step))}, keep=2)
    newest = tmp_path / "checkpoint-00000002.pt"
    content = bytearray(newest.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    newest.write_bytes(
        {"cut short": content[:-40], "one bit": content, "empty": b"", "another file": b"PK\x03\x04 no"}[damage]
    )
    state, complaints = load_latest(tmp_path)
    assert state is not None and state["step"] == 1
    assert len(complaints) == 1
    assert complaints[0].startswith("checkpoint-00000002.pt is damaged")
    assert complaints[0].endswith("using the one before")


def test_a_damaged_one_of_a_later_step_does_not_push_out_what_is_written_now(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 2, {"value": torch.tensor(2)}, keep=1)
    (tmp_path / "checkpoint-00000004.pt").write_bytes(b"nothing")
    save_checkpoint(tmp_path, 3, {"value": torch.tensor(3)}, keep=1)
    state, complaints = load_latest(tmp_path)
    assert state is not None and state["step"] == 3
    assert len(complaints) == 1


def test_files_that_are_no_checkpoints_of_a_run_stay(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-best.pt").write_bytes(b"somebody's")
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"value": torch.tensor(step)}, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000002.pt", "checkpoint-best.pt"]


def test_only_damaged_checkpoints_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000001.pt").write_bytes(b"nothing")
    with pytest.raises(InputDataError, match=r"no checkpoint in .* can be read; start again with another -o"):
        load_latest(tmp_path)


def test_a_pickle_that_runs_code_is_not_read(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "hacked"),)

    save_checkpoint(tmp_path, 1, {"value": torch.tensor(1)}, keep=2)
    torch.save({"step": 2, "value": Evil()}, tmp_path / "checkpoint-00000002.pt")
    state, complaints = load_latest(tmp_path)
    assert state is not None and state["step"] == 1 and len(complaints) == 1
    assert not (tmp_path / "hacked").exists()


def test_a_full_disk_is_one_line_and_the_one_before_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save_checkpoint(tmp_path, 1, {"value": torch.tensor(1)}, keep=1)
    monkeypatch.setattr("trackcli.training.checkpoint.os.fsync", no_space)
    with pytest.raises(TrackcliError, match=r"cannot write .*: No space left on device; make room, then go on with"):
        save_checkpoint(tmp_path, 2, {"value": torch.tensor(2)}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001.pt"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000002.pt.part").write_bytes(b"half")
    save_checkpoint(tmp_path, 1, {"value": torch.tensor(1)}, keep=1)
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001.pt"]
