"""Streams that are closed or full: the work goes on, the exit code tells, and nothing lands on the wrong stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trackcli.cli.streams import say

TRACKCLI = f"{sys.executable} -m trackcli"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="closes descriptors through a POSIX shell")
IGNORE_SIGHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
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


@pytest.mark.parametrize("command", ["--help", "plugins list", "plugins list --json", "presets show default"])
def test_a_reader_that_has_seen_enough_is_no_error(clip: Path, command: str) -> None:
    script = f"set -o pipefail; {TRACKCLI} {command} | true"
    result = subprocess.run(["bash", "-c", script], cwd=clip, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr


def test_a_worker_that_is_gone_is_an_error_though_stdout_is_read() -> None:
    script = "raise BrokenPipeError(32, 'Broken pipe')"
    result = run_main_with(script)
    assert result.returncode == 1
    assert "Broken pipe" in result.stderr


def run_main_with(script: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line with a command that does this."""
    lines = [
        f"{before}import sys",
        "from trackcli.cli import main",
        "def command() -> None:",
        f"    {script}",
        "main.app.command('instead')(command)",
        "sys.argv = ['trackcli', 'instead']",
        "main.main()",
    ]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_what_nohup_ignores_stays_ignored() -> None:
    script = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    usual, ignored = (run_main_with(script, before=before) for before in ("", f"{IGNORE_SIGHUP}; "))
    assert (usual.stdout, ignored.stdout) == ("False\n", "True\n")


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
