"""What all commands share: help, one-line errors, exit codes, signals. Real subprocesses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRACKCLI = (sys.executable, "-m", "trackcli")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TRACKCLI, *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in ("track", "train", "eval", "cache", "synth", "demo", "plugins", "presets", "trackers", "doctor"):
        assert f"\n  {command} " in result.stdout


def test_version_is_the_distributions() -> None:
    import trackcli

    assert run("--version").stdout == f"trackcli {trackcli.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("trak",), "error: No such command 'trak'. Did you mean 'track', 'train'?"),
        (("synth", "--sequnces", "2"), "error: No such option: --sequnces Did you mean --sequences?"),
        (
            ("synth", "--sequences", "many", "-o", "x"),
            "error: Invalid value for '--sequences': Input should be a valid integer",
        ),
    ],
)
def test_a_misspelt_command_line_is_one_line_and_exit_code_2(arguments: tuple[str, ...], line: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(line[: line.find(" Did")] if " Did" in line else line)
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_error_with_json_is_one_object_on_stdout() -> None:
    result = run("track", "missing.mp4", "--init", "1,2,3,4", "--json")
    answer = json.loads(result.stdout)
    assert answer["exit_code"] == result.returncode == 3
    assert "missing.mp4" in answer["error"]
    assert "Traceback" not in result.stderr


def test_debug_shows_the_traceback_and_keeps_the_exit_code() -> None:
    result = run("track", "missing.mp4", "--init", "1,2,3,4", "--debug")
    assert result.returncode == 3
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_is_said_in_one_word_and_in_the_exit_code(
    number: signal.Signals, code: int, word: str, tmp_path: Path
) -> None:
    command = [*TRACKCLI, "synth", "-o", str(tmp_path / "out"), "--sequences", "500", "--frames", "500"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stderr.splitlines()[-1] == word
    assert "Traceback" not in stderr
