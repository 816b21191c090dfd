"""Several processes, as torchrun starts them, against one with the whole batch."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from trackcli.errors import UsageError
from trackcli.training.checkpoint import load_latest, read_state
from trackcli.training.distributed import ALONE, joined_world

if TYPE_CHECKING:
    from conftest import Cli

STEPS = 5
SETTINGS = [
    "train.batch=4", f"train.steps={STEPS}", "train.freeze_batch_norm=true", "train.warmup=0.0",
    "train.learning_rate=0.05", "train.phases=[{until = 0.4, train = ['head', 'matcher']}]",
]  # fmt: skip

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")


@pytest.fixture(scope="module")
def runs(train_options: list[str], cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training by one process (``one``) and by two, each in two parts (``two``)."""
    folder = tmp_path_factory.mktemp("runs")
    options = [*train_options, *(part for setting in SETTINGS for part in ("--set", setting)), "--json"]
    for name, processes, more in (("one", 1, ()), ("two", 2, ("--set", "train.accumulate=2"))):
        result = cli(*options, *more, "-o", str(folder / name), processes=processes)
        (folder / f"{name}.out").write_text(result.stdout)
        (folder / f"{name}.err").write_text(result.stderr)
    return folder


def test_two_processes_learn_what_one_learns_from_the_whole_batch(runs: Path) -> None:
    one, two = (read_state(runs / name / f"checkpoint-{STEPS:08d}.pt") for name in ("one", "two"))
    assert one["model"].keys() == two["model"].keys()
    for name, value in one["model"].items():
        assert torch.allclose(two["model"][name], value, rtol=1e-4, atol=1e-6), name


def test_the_first_process_alone_speaks_and_writes(runs: Path) -> None:
    summary = json.loads((runs / "two.out").read_text())  # one object, not two
    assert summary["steps"] == STEPS
    assert (runs / "two.err").read_text().count("preset siamrpn-pp: supplies what is not named") == 1
    lines = [json.loads(line) for line in (runs / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [STEPS]
    whole = json.loads((runs / "one" / "metrics.jsonl").read_text().splitlines()[-1])
    assert lines[-1]["rpn.classification"] == pytest.approx(whole["rpn.classification"], rel=1e-4)


def test_what_one_wrote_two_resume(runs: Path, train_options: list[str], cli: Cli) -> None:
    options = [*train_options, *(part for setting in SETTINGS for part in ("--set", setting))]
    result = cli(*options, "--steps", "7", "-o", str(runs / "one"), "--resume", processes=2)
    assert result.stderr.count(f"resuming at step {STEPS}") == 1
    assert (runs / "one" / "checkpoint-00000007.pt").is_file()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send SIGTERM to one process")
def test_a_signal_to_one_process_stops_all_after_the_same_step(train_options: list[str], tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = [
        *train_options,
        "--steps",
        "100000",
        "--set",
        "train.checkpoint_every=99999",
        "-o",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(
        [*torchrun, "-m", "trackcli", *options], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {Path(f"/proc/{child}/environ").read_bytes().split(b"\0RANK=")[1][:1]: int(child) for child in children}
    os.kill(ranks[b"1"], signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert "terminated" in stderr.splitlines()
    state, complaints = load_latest(tmp_path / "run")
    assert state is not None and state["step"] >= 20 and complaints == []


def test_a_step_that_is_not_finite_in_one_process_is_left_out_by_all(train_options: list[str], tmp_path: Path) -> None:
    program = tmp_path / "poisoned.py"
    program.write_text(
        "from trackcli.builtin.losses.rpn import RpnLoss\n"
        "from trackcli.cli.main import main\n"
        "forward = RpnLoss.forward\n"
        "def bad_for_sample_5(self, outputs, batch):\n"
        "    bad = bool((batch.sample_ids == 5).any())\n"
        "    return {name: value * float('inf') if bad else value\n"
        "            for name, value in forward(self, outputs, batch).items()}\n"
        "RpnLoss.forward = bad_for_sample_5\n"
        "main()\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = [*train_options, "--set", "train.batch=4", "--steps", "3", "-o", str(tmp_path / "run")]
    result = subprocess.run(
        [*torchrun, str(program), *options], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("step 2: ")]
    assert len(said) == 1
    assert re.fullmatch(
        r"step 2: rpn\.classification.* is not finite \(samples 4–5\); the step was skipped; saved in "
        r"nonfinite-00000002\.pt", said[0]
    )  # fmt: skip
    assert read_state(tmp_path / "run" / "nonfinite-00000002.pt")["batch"]["sample_ids"].tolist() == [4, 5]
    weights = read_state(tmp_path / "run" / "checkpoint-00000003.pt")["model"]
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_without_torchrun_a_process_is_alone() -> None:
    with joined_world("cpu", {}) as (world, device):
        assert (world, device) == (ALONE, "cpu")
        assert world.is_first and not world.is_shared
        assert world.sum(torch.tensor(3.0)).item() == 3
        assert world.from_first("value") == "value"


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_processes_cannot_all_have_one_device(device: str) -> None:
    environment = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    with (
        pytest.raises(UsageError, match=f"--device {device} with several processes; expected cpu or cuda"),
        joined_world(device, environment),
    ):
        pass
