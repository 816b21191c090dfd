"""Figures in a tracker file's header: read for listings, written without touching the weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from trackcli.composition.figures import Figures, read_figures, write_figures
from trackcli.errors import InputDataError, UsageError

WEIGHTS = {"a": torch.arange(6, dtype=torch.float16).reshape(2, 3), "b": torch.tensor([1.5, -2.0])}


def tracker(path: Path, provenance: object) -> Path:
    header = {"format": 1, "recipe": {"preset": "x"}, "components": {}, "provenance": provenance}
    save_file(WEIGHTS, path, metadata={"trackcli": json.dumps(header)})
    return path


def test_figures_are_kept_beside_what_the_header_says_and_the_weights_stay(tmp_path: Path) -> None:
    path = tracker(tmp_path / "a.safetensors", {"seed": 3})
    assert read_figures(path) == Figures()
    write_figures(path, Figures(auc=0.5, fps=30.0))
    write_figures(path, Figures(auc=0.61, note="OTB100"))
    assert read_figures(path) == Figures(0.61, 30.0, "OTB100")
    loaded = load_file(path)
    assert loaded.keys() == WEIGHTS.keys()
    assert all(
        torch.equal(loaded[name], WEIGHTS[name]) and loaded[name].dtype == WEIGHTS[name].dtype for name in loaded
    )


def test_tensors_stay_aligned_whatever_the_length_of_the_header(tmp_path: Path) -> None:
    path = tracker(tmp_path / "a.safetensors", {})
    for note in ("", "é", "longer", "longer still"):
        write_figures(path, Figures(note=note))
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
        assert torch.equal(load_file(path)["a"], WEIGHTS["a"])


def test_what_is_no_number_is_refused_and_the_old_figure_stays(tmp_path: Path) -> None:
    path = tracker(tmp_path / "a.safetensors", {})
    write_figures(path, Figures(fps=30))
    with pytest.raises(UsageError, match="fps inf is no figure; expected a finite number"):
        write_figures(path, Figures(fps=float("inf")))
    assert read_figures(path) == Figures(fps=30)


@pytest.mark.parametrize(
    "provenance",
    [
        [],
        {"figures": 3},
        {"figures": {"auc": "high", "fps": True, "note": 7}},
        {"figures": {"auc": float("nan"), "fps": float("inf")}},
    ],
)
def test_unsound_figures_are_none(tmp_path: Path, provenance: Any) -> None:
    assert read_figures(tracker(tmp_path / "a.safetensors", provenance)) == Figures()


@pytest.mark.parametrize("content", [b"", b"\xff" * 16, b"\x04" + bytes(7) + b"[[[[", b"\x02" + bytes(7) + b"[]"])
def test_other_files_are_refused_and_listed_without_figures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert read_figures(path) == Figures()
    with pytest.raises(InputDataError, match="is no safetensors file; expected a tracker written by trackcli"):
        write_figures(path, Figures(auc=0.5))
    assert path.read_bytes() == content


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(WEIGHTS, path)
    with pytest.raises(InputDataError, match="has no sound trackcli header"):
        write_figures(path, Figures(auc=0.5))


def test_reading_figures_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, trackcli.composition.figures; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
