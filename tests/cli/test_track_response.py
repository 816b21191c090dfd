"""``trackcli track --save-response``: pictures of the response, for every tracker that has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.testing import synthetic_clip


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for index, frame in enumerate(synthetic_clip(frames=3).frames):
        cv2.imwrite(str(folder / f"{index:03d}.png"), frame[..., ::-1])
    return folder


def track(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    box = ",".join(f"{number:.2f}" for number in synthetic_clip(frames=3).boxes_xywh[0])
    command = [sys.executable, "-m", "trackcli", "track", *map(str, arguments), "--init", box, "--device", "cpu"]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=120)


def test_pictures_and_numbers_are_written_from_the_second_frame_on(frames: Path, tmp_path: Path) -> None:
    done = track(frames, "--save-response", "all/seen", "--response-data", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["responses"] == "all/seen"
    written = sorted(path.name for path in (tmp_path / "all" / "seen").iterdir())
    assert written == ["000001.npz", "000001.png", "000002.npz", "000002.png"]
    picture = cv2.imread(str(tmp_path / "all" / "seen" / "000001.png"))
    content = np.load(tmp_path / "all" / "seen" / "000001.npz")
    assert picture is not None and picture.shape[1] == 2 * picture.shape[0]
    assert content["scores"].min() >= 0 and content["scores"].max() <= 1

    again = track(frames, "--save-response", "all/seen", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == (
        "error: folder 'all/seen' is not empty; choose another, or add --force to overwrite what is in it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--response-data",),
            "error: --response-data adds to --save-response, which is not given; add --save-response DIR\n",
        ),
        (
            ("--save-response", "out", "--tracker", "mil", "-o", "boxes.csv"),
            "error: --save-response needs a tracker composed of components; 'mil' shows no response; "
            "use one with weights here (`trackcli trackers list`)\n",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], message: str, frames: Path, tmp_path: Path
) -> None:
    done = track(frames, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []
