"""Exit codes, one-line errors and streams, the same for all commands. Real processes, also on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackcli.cli.errors import Terminated, exit_code_of
from trackcli.errors import InputDataError, PluginError, TrackcliError, UsageError

TRACKCLI = (sys.executable, "-m", "trackcli")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
BOX = "1,2,3,4"


def run(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | options.pop("env", {})
    command = [*TRACKCLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment, **options)


# Few commands here import torch, so that all of these stay quick.
USAGE = [
    ("trak",),
    ("track", "x.mp4"),
    ("track", "x.mp4", "--init", BOX, "--nonsense"),
    ("train", "--matcher", "no-such"),
    ("train", "--preset", "no-such"),
    ("train", "--steps", "-3"),
    ("eval", "--tracker", "no-such", "--root", "data"),
    ("eval", "--tracker", "hold", "--root", ".", "--dataset", "no-such"),
    ("eval", "--tracker", "hold", "--root", "data", "--variant", "no-such"),
    ("cache", "build", "--dataset", "no-such", "--root", ".", "-o", "c"),
    ("cache", "build", "--codec", "no-such"),
    ("cache", "nonsense"),
    ("presets", "show", "no-such"),
    ("plugins", "show", "no-such"),
    ("report", "--table", "no-such", "."),
    ("synth", "--size", "big", "-o", "s"),
    ("synth", "-o", "text.mp4"),
    ("demo", "--nonsense"),
]
INPUT = [
    ("track", "missing.mp4", "--init", BOX),
    ("track", "text.mp4", "--init", BOX),
    ("track", "circle", "--init", BOX),
    ("eval", "--tracker", "text.mp4", "--root", "data"),
    ("eval", "--tracker", "hold", "--root", "circle"),
    ("cache", "info", "missing"),
    ("cache", "verify", "text.mp4"),
    ("cache", "merge", "missing", "-o", "c"),
    ("train", "--data", "missing", "-o", "run", "-q"),
    ("report", "missing"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "data" / "a" / "img").mkdir(parents=True)
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "data" / "a" / "img" / f"{number}.png"), np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / "data" / "a" / "groundtruth.txt").write_text("1,2,3,4\n1,2,3,4\n")
    return tmp_path


@pytest.mark.parametrize(("arguments", "code"), [*((each, 2) for each in USAGE), *((each, 3) for each in INPUT)])
def test_wrong_usage_is_2_and_bad_input_3_in_one_line_and_nothing_on_stdout(folder, arguments, code) -> None:
    done = run(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("train", "--init-from", ""),
            "what follows '--init-from' is empty; expected a name, a path or another value there",
        ),
        (("train", "--preset="), "--preset is empty; expected a value, or no --preset at all"),
        (("track", "a.mp4", "--tracker", "", "--init", BOX), "what follows '--tracker' is empty; expected"),
        (("eval", "--tracker", "hold", "-o", ""), "what follows '-o' is empty; expected"),
        (("track", "-q", "", "--init", BOX), "what follows '-q' is empty; expected"),
        (("track", "", "--init", BOX), "what follows 'track' is empty; expected"),
        (("cache", "info", ""), "what follows 'info' is empty; expected"),
        (("cache", "info", "--", ""), "what follows '--' is empty; expected"),
    ],
)
def test_an_empty_value_is_refused_not_taken_as_none_given(folder, arguments, message) -> None:
    done = run(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (InputDataError("x"), 3),
        (PluginError("x"), 4),
        (TrackcliError("x"), 1),
        (ValueError("x"), 1),
        (KeyboardInterrupt(), 130),
        (Terminated(signal.SIGTERM), 143),
        (Terminated(1), 129),
        (PermissionError(13, "Permission denied", "/x"), 3),
        (OSError(28, "No space left on device", "/x"), 1),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    "arguments",
    [("track", "x.mp4"), ("train", "--matcher", "no-such"), ("cache", "info", "missing"), ("report", "missing")],
)
def test_errors_are_one_json_object_with_json(folder, arguments) -> None:
    done = run(*arguments, "--json", cwd=folder)
    error = json.loads(done.stdout)
    assert error["exit_code"] == done.returncode
    assert set(error) == {"error", "exit_code"}
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("train", "--matcher", "no-such"), ("cache", "info", "missing")])
def test_debug_shows_where_an_error_comes_from_and_then_the_line(folder, arguments) -> None:
    done = run(*arguments, "--debug", cwd=folder)
    assert done.returncode in {2, 3}
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("track", "text.mp4", "--init", BOX),
        ("synth", "-o", "s", "--frames", "2"),
        ("cache", "build"),
        ("eval", "--tracker", "hold", "--root", "data"),
        ("train", "--steps", "1", "-q"),
    ],
)
def test_an_opencv_that_cannot_be_loaded_is_explained_in_one_line(folder, arguments) -> None:
    broken = folder / "broken"
    broken.mkdir()
    text = "libGL.so.1: cannot open shared object file: No such file or directory"
    (broken / "cv2.py").write_text(f"raise ImportError({text!r})")
    (folder / "text.mp4").rename(folder / "text.png")
    arguments = tuple("text.png" if each == "text.mp4" else each for each in arguments)
    done = run(*arguments, cwd=folder, env={"PYTHONPATH": str(broken), "TRACKCLI_CACHE_DIR": str(folder / "cache")})
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("no --root given")]
    assert line.startswith(f"error: OpenCV (cv2) cannot be loaded: {text}; replace the package (pip uninstall ")
    assert "opencv-python-headless" in line


LATE = """
from trackcli import DatasetSpec, TrackerSpec, hookimpl

@hookimpl
def trackcli_datasets():
    yield DatasetSpec(name="late", summary="Fails late", reader="acme_late:Reader")

@hookimpl
def trackcli_trackers():
    yield TrackerSpec(name="late", summary="Fails late", factory="acme_late:Tracker")

class Reader:
    name = "late"

    def __init__(self, root, split):
        self.root = root

    def images(self):
        print("talks")
        yield from ()
        raise KeyError("reel")

class Tracker:
    name = "late"

    def start(self, image, boxes_xywh):
        pass

    def update(self, image):
        raise KeyError("reel")
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("cache", "build", "--dataset", "late", "--root", ".", "-o", "c"),
            "the reader of dataset 'late' failed (KeyError: 'reel'); acme 2.0, which provides it, is broken",
        ),
        (
            ("track", "data/a/img", "--init", "1,2,30,30", "--tracker", "late", "-q", "-o", "b.txt"),
            "acme 2.0 failed (KeyError: 'reel')",
        ),
    ],
)
def test_a_plugin_that_fails_while_it_is_used_is_named_in_one_line(folder, arguments, message) -> None:
    metadata = folder / "site" / "acme-2.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "site" / "acme_late.py").write_text(LATE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text("[trackcli]\nacme = acme_late\n")
    done = run(*arguments, "--json", cwd=folder, env={"PYTHONPATH": str(folder / "site")})
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["exit_code"]) == (4, 4)
    assert answer["error"].startswith(message)
    assert "--debug" in answer["error"]


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(*arguments: object, cwd: Path, **environment: str) -> tuple[int, str]:
    """Run with stdin, stdout and stderr on a terminal; its exit code and all it printed."""
    import pty

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*TRACKCLI, *map(str, arguments)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=cwd,
        env=ENVIRONMENT | {"TERM": "xterm-256color"} | environment,
    )
    os.close(terminal)
    printed = b""
    while True:
        try:
            chunk = os.read(controller, 4096)
        except OSError:  # Linux says so when the last one has left the terminal
            break
        if not chunk:
            break
        printed += chunk
    os.close(controller)
    return process.wait(timeout=60), printed.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
def test_on_a_terminal_errors_are_the_same_plain_line(folder) -> None:
    code, printed = on_terminal("track", "missing.mp4", "--init", BOX, cwd=folder)
    assert code == 3
    assert printed.replace("\r\n", "\n") == run("track", "missing.mp4", "--init", BOX, cwd=folder).stderr


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
def test_progress_is_for_terminals_and_without_colour_under_no_color(folder) -> None:
    code, printed = on_terminal("synth", "-o", "one", "--frames", "30", cwd=folder)
    assert code == 0
    assert ESCAPE.search(printed), "a bar that moves"
    code, plain = on_terminal("synth", "-o", "two", "--frames", "30", cwd=folder, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|38|9[0-7])[0-9;]*m", plain), "no colours"
    piped = run("synth", "-o", "three", "--frames", "30", cwd=folder)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "\x1b" not in piped.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no way to send these signals to one process")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interrupted_cache_build_goes_on_where_it_stopped(tmp_path: Path, number, code: int, word: str) -> None:
    cache = tmp_path / "cache"
    command = [*TRACKCLI, "cache", "build", "-o", str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as build:
        until = time.monotonic() + 60
        while not (cache.exists() and any(cache.iterdir())) and time.monotonic() < until:
            assert build.poll() is None
            time.sleep(0.01)
        build.send_signal(number)
        stdout, stderr = build.communicate(timeout=60)
    assert (build.returncode, stdout) == (code, "")
    assert stderr.splitlines()[-1] == word
    assert "Traceback" not in stderr
    done = run("cache", "build", "-o", cache, "--json")
    assert (done.returncode, json.loads(done.stdout)["images"]) == (0, 288)
    assert run("cache", "verify", cache).returncode == 0


def test_a_reader_that_has_seen_enough_ends_a_listing_quietly() -> None:
    command = f"{sys.executable} -m trackcli plugins list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
