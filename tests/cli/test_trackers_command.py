"""``trackcli trackers``, and trackers whose plugin is missing or of another version. Real subprocesses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from trackcli.composition.files import read_header


def trackcli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trackcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rewritten(source: Path, path: Path, matcher: str, components: dict[str, str]) -> Path:
    """The tracker file under another matcher's name and other records."""
    with safe_open(source, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["trackcli"])
    header["recipe"]["matcher"]["name"] = matcher
    header["components"] |= components
    save_file(load_file(source), path, metadata={"trackcli": json.dumps(header)})
    return path


def test_trackers_are_listed_with_their_size() -> None:
    listed = trackcli("trackers", "list")
    assert listed.returncode == 0, listed.stderr
    assert re.search(r"^default .* \d\.\d MB .* General-purpose tracker", listed.stdout, re.MULTILINE), listed.stdout
    content = json.loads(trackcli("trackers", "list", "--json").stdout)
    row = next(row for row in content["trackers"] if row["name"] == "default")
    assert row["bytes"] > 7_000_000


def test_a_listing_shows_recorded_figures_and_a_dash_where_there_are_none() -> None:
    lines = trackcli("trackers", "list").stdout.splitlines()
    assert lines[0].split() == ["name", "distribution", "version", "size", "AUC", "fps", "summary"]
    default = next(line for line in lines if line.startswith("default "))
    assert re.search(r" MB  0\.\d{3} +\d+ +General", default), default
    assert re.search(r"^csrt +trackcli +\S+ +- +- +- +OpenCV", next(line for line in lines if line.startswith("csrt ")))


def test_figures_are_written_into_a_file_and_shown(untrained_tracker: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(untrained_tracker.read_bytes())
    done = trackcli("trackers", "figures", path, "--auc", 0.61, "--fps", 40, "--note", "OTB100 [x]", "--json")
    assert json.loads(done.stdout)["figures"] == {"auc": 0.61, "fps": 40.0, "note": "OTB100 [x]"}, done.stderr
    assert "figures       auc 0.61, fps 40, note OTB100 [x]\n" in trackcli("trackers", "show", path).stdout


def test_figures_want_at_least_one(untrained_tracker: Path) -> None:
    done = trackcli("trackers", "figures", untrained_tracker)
    assert (done.returncode, done.stderr) == (
        2,
        "error: no figure was given; expected --auc, --fps or --note\n",
    )


def test_a_tracker_is_shown_with_its_parts_its_training_and_its_card() -> None:
    shown = trackcli("trackers", "show", "default")
    assert shown.returncode == 0, shown.stderr
    assert "million parameters\n" in shown.stdout
    assert "matcher       template-attention (trackcli 0.1.0)\n" in shown.stdout
    assert "# Model card: `default`\n" in shown.stdout
    assert "## Figures\n" in shown.stdout


def test_a_file_without_a_card_is_shown_in_json(untrained_tracker: Path) -> None:
    content = json.loads(trackcli("trackers", "show", untrained_tracker, "--json").stdout)
    assert (content["card"], content["preset"]) == (None, "siamrpn-pp")
    assert content["components"]["matcher:dw-xcorr"] == "trackcli 0.1.0"
    assert content["recipe"]["matcher"]["channels"] == 16


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for index in range(2):
        picture = np.full((48, 64, 3), 90, dtype=np.uint8)
        picture[10:26, 10 + index : 30 + index] = 200
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def track(tracker: Path, images: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return trackcli("track", images, "--init", "10,10,20,16", "--tracker", tracker, "--device", "cpu", "-q", *more)


def test_a_tracker_whose_plugin_is_missing_says_what_to_install(
    untrained_tracker: Path, images: Path, tmp_path: Path
) -> None:
    path = rewritten(untrained_tracker, tmp_path / "a.safetensors", "acme-corr", {"matcher:acme-corr": "acme 0.2.0"})
    message = f"{path} needs matcher 'acme-corr' of acme 0.2.0, which is not installed; pip install acme"
    done = track(path, images)
    assert (done.returncode, done.stdout, done.stderr) == (4, "", f"error: {message}\n")
    as_json = track(path, images, "--json")
    assert json.loads(as_json.stdout) == {"error": message, "exit_code": 4}


def test_a_tracker_of_another_minor_version_tracks_with_one_warning(
    untrained_tracker: Path, images: Path, tmp_path: Path
) -> None:
    records = {"matcher:dw-xcorr": "trackcli 0.9.0", "head:rpn": "trackcli 0.9.0"}
    path = rewritten(untrained_tracker, tmp_path / "a.safetensors", "dw-xcorr", records)
    done = track(path, images)
    assert done.returncode == 0
    version = metadata.version("trackcli")
    assert done.stderr == (
        f"warning: {path} was written with trackcli 0.9.0; {version} is installed, results may differ; "
        "pip install trackcli==0.9.0 for the same ones\n"
    )


def test_a_variant_tracks_with_other_links(untrained_tracker: Path, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "holding.safetensors"
    added = ("--add-postprocessor", "presence", "--add-postprocessor", "hold")
    done = trackcli("trackers", "variant", untrained_tracker, "-o", path, *added, "--json")
    assert json.loads(done.stdout)["postprocessors"][-2:] == ["presence", "hold"], done.stdout
    again = trackcli("trackers", "variant", untrained_tracker, "-o", path)
    assert again.stderr == f"error: --output {path} exists; choose another name or overwrite it with --force\n"
    assert track(path, images).returncode == 0


def test_an_average_holds_the_mean_of_the_weights(untrained_tracker: Path, tmp_path: Path) -> None:
    tensors = load_file(untrained_tracker)
    floats = {name: tensor.float() for name, tensor in tensors.items() if tensor.is_floating_point()}
    with safe_open(untrained_tracker, framework="pt") as file:
        header = file.metadata()
    other, mean = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    save_file(tensors | {name: tensor * 3 + 1 for name, tensor in floats.items()}, other, metadata=header)
    done = trackcli("trackers", "average", untrained_tracker, other, "-o", mean, "--json")
    assert json.loads(done.stdout) == {"file": str(mean), "averaged": [str(untrained_tracker), str(other)]}, done.stderr
    found = load_file(mean)
    assert found.keys() == tensors.keys()
    for name, tensor in floats.items():
        torch.testing.assert_close(found[name].float(), tensor * 2 + 0.5, rtol=1e-3, atol=1e-3)
    assert read_header(mean).provenance["averaged"] == [str(untrained_tracker), str(other)]


def test_figures_measured_on_one_are_not_claimed_for_the_mean(tmp_path: Path) -> None:
    mean = tmp_path / "mean.safetensors"
    assert trackcli("trackers", "average", "fast", "fast", "-o", mean).returncode == 0
    assert "figures" not in read_header(mean).provenance
    assert read_header(mean).provenance["seed"] == 2  # of the tracker named first


@pytest.mark.parametrize(
    ("others", "complaint"),
    [([], "one tracker has no mean; expected two or more"), (["fast"], "have different parts")],
)
def test_what_has_no_mean_is_refused(
    untrained_tracker: Path, tmp_path: Path, others: list[str], complaint: str
) -> None:
    done = trackcli("trackers", "average", untrained_tracker, *others, "-o", tmp_path / "mean.safetensors")
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "mean.safetensors").exists()


NAMESAKE = """
from trackcli import TrackerSpec, hookimpl

@hookimpl
def trackcli_trackers():
    yield TrackerSpec(name="default", summary="Another", factory="no_such_package:make")
"""


@pytest.fixture
def namesake(tmp_path: Path) -> dict[str, str]:
    """An environment with a plugin whose tracker is called ``default`` too."""
    metadata_of = tmp_path / "site" / "acme-2.0.dist-info"
    metadata_of.mkdir(parents=True)
    (tmp_path / "site" / "acme_default.py").write_text(NAMESAKE)
    (metadata_of / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 2.0\n")
    (metadata_of / "entry_points.txt").write_text("[trackcli]\nacme = acme_default\n")
    return os.environ | {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"}


def test_without_a_name_the_own_tracker_is_meant_whatever_else_is_called_default(
    images: Path, namesake: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "default").mkdir()
    command = [sys.executable, "-m", "trackcli", "track", str(images), "--init", "10,10,20,16", "--device", "cpu"]

    def run(*more: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False, env=namesake, cwd=cwd)

    done = run("--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["tracker"] == "trackcli:default"
    named = run("--tracker", "default", cwd=images)
    assert named.returncode == 2
    assert named.stderr.endswith("write acme:default or trackcli:default\n")
