"""Streams that are closed or full: the work goes on, the exit code tells, and nothing lands on the wrong stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trackcli.cli.streams import say

TRACKCLI = f"{sys.executable} -m trackcli"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closes descriptors through a POSIX shell")
needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        f"exec {TRACKCLI} {command}",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    made = shell("synth -o clips --frames 3 --size 64x48 --quiet", folder)
    assert made.returncode == 0, made.stderr
    return folder


def test_a_line_for_a_closed_stream_goes_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("hello", None) is False
    assert capsys.readouterr().out == ""


def test_notes_do_not_move_to_stdout_when_stderr_is_closed(clip: Path) -> None:
    result = shell("track clips/synth_00000/img --init 20,15,20,15 --json --verbose -o closed.csv 2>&-", clip)
    assert result.returncode == 0
    assert json.loads(result.stdout)["frames"] == 3


@needs_full_device
def test_a_full_stderr_does_not_stop_the_work(clip: Path) -> None:
    result = shell("track clips/synth_00000/img --init 20,15,20,15 --verbose -o full.csv 2>/dev/full", clip)
    assert result.returncode == 0
    assert len((clip / "full.csv").read_text().splitlines()) == 4


def test_boxes_need_an_open_stdout_or_a_file(clip: Path) -> None:
    result = shell("track clips/synth_00000/img --init 20,15,20,15 >&-", clip)
    assert result.returncode == 2
    assert result.stderr == (
        "error: stdout is closed and there is no -o; expected a place for the boxes, such as -o boxes.csv\n"
    )


@needs_full_device
@pytest.mark.parametrize(
    "command", ["track clips/synth_00000/img --init 20,15,20,15 --end 1 --json", "cache info nothere --json", "--help"]
)
def test_a_full_stdout_is_one_line_on_stderr(clip: Path, command: str) -> None:
    result = shell(f"{command} >/dev/full", clip)
    assert result.returncode in {1, 3}
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr


def test_an_output_that_is_a_folder_is_refused_before_tracking(clip: Path) -> None:
    (clip / "folder.mp4").mkdir()
    result = shell("track clips/synth_00000/img --init 20,15,20,15 --save-video folder.mp4 --force", clip)
    assert result.returncode == 2
    assert result.stderr == (
        "error: output 'folder.mp4' is a folder; expected the name of a file, such as 'folder.mp4/folder.mp4'\n"
    )
    assert result.stdout == ""


def test_a_bare_command_shows_its_help_which_is_no_error(clip: Path) -> None:
    result = shell("", clip)
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: ")
