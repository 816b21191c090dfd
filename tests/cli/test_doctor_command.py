"""``trackcli doctor``: what a bug report should say, also when something is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

TRACKCLI = (sys.executable, "-m", "trackcli")


def run(*arguments, **environment):
    return subprocess.run(
        [*TRACKCLI, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment, timeout=120
    )


def test_doctor_describes_versions_device_codecs_display_and_plugins():
    done = run("doctor", "--json", WAYLAND_DISPLAY="", DISPLAY=":7")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) == {"versions", "torch", "opencv", "codecs", "display", "plugins"}
    assert report["versions"]["torch"] == version("torch")
    assert report["torch"]["device auto"] in {"cpu", "cuda"}
    assert report["codecs"]["h264 encoder"] in {"libx264", "h264", "libopenh264"}
    if sys.platform == "linux":
        assert report["display"] == {"screen": "DISPLAY"}
    assert report["plugins"]["ok"] is True


@pytest.mark.parametrize(("module", "subject"), [("cv2", "opencv"), ("av", "codecs")])
def test_a_library_that_cannot_be_loaded_is_reported_with_a_remedy(tmp_path, module, subject):
    (tmp_path / f"{module}.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    following = lines[lines.index(subject) + 1 :][:2]
    assert following[0].split(maxsplit=1) == ["broken", "ImportError: libGL.so.1: cannot open shared object file"]
    assert "pip install --force-reinstall" in following[1]
    assert "  no plugin is broken" in lines


def test_a_broken_plugin_makes_exit_code_4(tmp_path):
    metadata = tmp_path / "torn_trackers-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torn-trackers\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text("[trackcli]\ntorn = no_such_module_anywhere\n")
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 4
    assert "  broken    torn-trackers 2.0: plugin 'torn': ModuleNotFoundError" in done.stdout
