"""The commands: giving any tracker the online branch, and figure 11."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from trackcli_ibfp.pyramid_maps import frame_numbers, pyramid_maps
from trackcli_ibfp.with_online import with_online

import trackcli
from trackcli.composition.figures import without_figures
from trackcli.errors import ConfigError, UsageError
from trackcli.testing import synthetic_clip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trackcli", *arguments], capture_output=True, text=True, check=False)


def test_with_online_gives_a_tracker_the_link_and_takes_it_away(tmp_path: Path) -> None:
    given, taken = tmp_path / "online.safetensors", tmp_path / "offline.safetensors"
    done = run("with-online", "default", "-o", str(given), "--fast", "--set", "every=5")
    assert done.returncode == 0, done.stderr
    online, default = trackcli.load(given, device="cpu"), trackcli.load("default", device="cpu")
    link = online.plan.candidate_links[0]
    assert link.spec.name == "online-update"
    assert (link.config.fast, link.config.every, link.config.memory) == (True, 5, 50)  # type: ignore[attr-defined]
    assert [part.name for part in online.plan.recipe.postprocessor][1:] == [
        part.name for part in default.plan.recipe.postprocessor
    ]
    weights = online.model.state_dict()
    assert all(torch.equal(weights[name], leaf) for name, leaf in default.model.state_dict().items())
    assert online.described is not None and default.described is not None
    assert online.described.provenance == without_figures(default.described.provenance)  # those are the default's

    with_online(str(given), output=taken, off=True)
    names = [
        [part.name for part in each.plan.recipe.postprocessor] for each in (trackcli.load(taken, device="cpu"), default)
    ]
    assert names[0] == names[1]
    with pytest.raises(UsageError, match="exists; add --force"):
        with_online(str(given), output=taken)
    with pytest.raises(UsageError, match="--fast and --set mean nothing beside it"):
        with_online("default", output=tmp_path / "x.safetensors", off=True, fast=True)
    with pytest.raises(UsageError, match=r"does not end in \.safetensors"):
        with_online("default", output=tmp_path / "x.pth")
    with pytest.raises(UsageError, match="--set name=hold would be another link; expected settings of online-update"):
        with_online("default", output=tmp_path / "x.safetensors", assignments=["name=hold"])
    with pytest.raises(ConfigError, match="evry"):
        with_online("default", output=tmp_path / "x.safetensors", assignments=["evry=5"])


def test_pyramid_maps_draws_a_row_per_frame_and_a_panel_per_level(tmp_path: Path) -> None:
    clip = synthetic_clip()
    (tmp_path / "clip" / "img").mkdir(parents=True)
    for number, frame in enumerate(clip.frames):
        cv2.imwrite(str(tmp_path / "clip" / "img" / f"{number:03d}.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    lines = "".join(",".join(f"{value:.2f}" for value in box) + "\n" for box in clip.boxes_xywh)
    (tmp_path / "clip" / "groundtruth.txt").write_text(lines)
    made = trackcli.compose(
        preset="ibfp-small",
        head={"name": "center", "channels": 16, "depth": 2},
        postprocessor=["select", "clip"],
        device="cpu",
    )
    made.save(tmp_path / "small.safetensors")
    picture = tmp_path / "maps.png"
    chosen = (str(tmp_path / "clip"), "--tracker", str(tmp_path / "small.safetensors"))
    done = run("pyramid-maps", *chosen, "--frames", "2,4", "-o", str(picture))
    assert done.returncode == 0, done.stderr
    assert "layer3, layer2, score, search region" in done.stdout
    drawn = cv2.imread(str(picture))
    assert drawn is not None and drawn.shape == (2 * 224, 4 * 224, 3)
    assert not np.array_equal(drawn[:224, :224], drawn[224:, :224])
    with pytest.raises(UsageError, match="exists; add --force"):
        pyramid_maps(tmp_path / "clip", str(tmp_path / "small.safetensors"), picture)
    with pytest.raises(UsageError, match="--frames 99: clip has 6 frames"):
        pyramid_maps(tmp_path / "clip", str(tmp_path / "small.safetensors"), picture, "99", force=True)
    with pytest.raises(UsageError, match="has another matcher; expected a tracker with ibu-pyramid"):
        pyramid_maps(tmp_path / "clip", "default", tmp_path / "other.png")
    assert frame_numbers("40,10,10") == [10, 40]
    with pytest.raises(UsageError, match="--frames 0,x does not fit"):
        frame_numbers("0,x")
