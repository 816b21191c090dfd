"""The examples run as their own text says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import pytest

from trackcli.synth.files import write_sequence
from trackcli.synth.sequences import make_sequence
from trackcli.synth.settings import SceneSettings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def clip(tmp_path):
    """A labelled video of five frames; its folder."""
    write_sequence(make_sequence(SceneSettings(frames=5, size_wh=(160, 120), seed=3)), tmp_path / "clip", video=True)
    return tmp_path / "clip"


def test_the_python_example_prints_a_box_per_frame_and_saves_a_video(clip, untrained_tracker, tmp_path):
    box = (clip / "groundtruth.txt").read_text().splitlines()[0]
    followed = tmp_path / "followed.mp4"
    command = [sys.executable, EXAMPLES / "python_api.py", clip / "video.mp4", box, followed]
    done = subprocess.run(
        [*command, "--tracker", untrained_tracker], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [re.match(r"frame (\d+): ", line)[1] for line in lines] == ["1", "2", "3", "4"]
    with av.open(str(followed)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5
