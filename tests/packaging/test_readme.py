"""The README tells the truth: its commands run in the order given, its Python runs, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Added to each command so that the whole tour takes seconds; the last value of an option counts.
QUICKER = {
    "synth": ["--frames", "8", "-q"],
    "track": ["--device", "cpu", "-q"],
    "cache": [],  # quick as it is
    "train": ["--steps", "1", "--batch", "2", "--device", "cpu", "--set", "backbone.depth=2", "-q"],
    "eval": ["--device", "cpu", "-q"],
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def tour_commands():
    start, end = README.index("## Five-minute tour"), README.index("## From Python")
    tour = README[start:end]
    lines = "".join(re.findall(r"^```sh\n(.*?)^```", tour, re.MULTILINE | re.DOTALL)).splitlines()
    return [shlex.split(line) for line in lines]


def run_command(arguments):
    """Run a command in this process, as ``main`` does but without turning errors into exit codes."""
    from trackcli.cli.main import app

    app(arguments, standalone_mode=False)


@pytest.fixture
def small_clip(tmp_path, monkeypatch):
    """A working folder with the clip that the README's Python reads."""
    monkeypatch.chdir(tmp_path)
    run_command(["synth", "-o", "movie", "--video", "--size", "640x360", "--frames", "4", "-q"])


@pytest.mark.slow
def test_the_tour_runs_from_beginning_to_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for program, command, *rest in tour_commands():
        assert program == "trackcli"
        run_command([command, *rest, *QUICKER.get(command, ())])
    assert len((tmp_path / "boxes.txt").read_text().splitlines()) == 8
    for made in ("boxes.csv", "boxes.jsonl", "tracked.mp4", "both.mp4", "runs/first/tracker.safetensors"):
        assert (tmp_path / made).stat().st_size > 0
    kept = {path.name for path in (tmp_path / "results" / "folder").iterdir()}
    assert kept == {"default", "first", "hold", "evaluation.json"}


@pytest.mark.parametrize("code", blocks("python"), ids=["load", "compose"])
def test_the_python_of_the_readme_runs(code, small_clip):
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    if "result" in names:
        assert names["result"].boxes_xywh.shape == (1, 4)
        assert np.isfinite(names["result"].boxes_xywh).all()
    else:
        assert Path("composed.safetensors").stat().st_size > 0


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_relative_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_list_of_built_in_parts_is_complete():
    from trackcli.host import specs
    from trackcli.host.registry import installed

    kinds = {
        "backbones": specs.BackboneSpec,
        "matchers": specs.MatcherSpec,
        "heads": specs.HeadSpec,
        "losses": specs.LossSpec,
        "postprocessors": specs.PostprocessorSpec,
        "presets": specs.PresetSpec,
        "trackers": specs.TrackerSpec,
    }
    own = [entry.spec for entry in installed().provided if entry.distribution == "trackcli"]
    for heading, kind in kinds.items():
        (row,) = re.findall(rf"^\| {heading} \| (.*) \|$", README, re.MULTILINE)
        assert set(re.findall(r"`([a-z0-9-]+)`", row)) == {spec.name for spec in own if isinstance(spec, kind)}
