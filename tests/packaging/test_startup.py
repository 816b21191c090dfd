"""What it costs to start: the command line answers before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

HEAVY = ["torch", "cv2", "h5py", "numpy", "av", "simplejpeg"]
COMMANDS = [
    *(["track"], ["train"], ["eval"], ["report"], ["synth"], ["demo"], ["doctor"]),
    *(["cache"], ["cache", "build"], ["cache", "info"]),
    *(["plugins"], ["plugins", "list"], ["plugins", "show"], ["plugins", "doctor"], ["plugins", "matrix"]),
    *(["plugins", "new"], ["presets"], ["presets", "show"], ["trackers"], ["trackers", "show"]),
]
LISTINGS = [
    *(["plugins", "list"], ["plugins", "show", "rpn"], ["plugins", "show", "folder"], ["plugins", "matrix"]),
    *(["plugins", "doctor"], ["presets", "list"], ["presets", "show", "siamrpn-pp"], ["trackers", "list"]),
]
"""What only reads specs and configurations."""

# Prints, as the last line of stderr, which of the modules named are loaded when the statement has run.
REPORT_LOADED = """
import json, sys
sys.argv = ["trackcli", *json.loads(sys.argv[1])]
try:
    {statement}
finally:
    print(json.dumps(sorted(set(sys.modules) & set({names!r}))), file=sys.stderr)
"""


def heavy_modules_after(statement, arguments=()):
    code = REPORT_LOADED.format(statement=statement, names=HEAVY)
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def test_help_imports_no_heavy_module():
    assert heavy_modules_after("from trackcli.cli.main import main; main()", ["--help"]) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_imports_no_heavy_module(command):
    assert heavy_modules_after("from trackcli.cli.main import main; main()", [*command, "--help"]) == []


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_listing_and_explaining_import_no_heavy_module(command):
    assert heavy_modules_after("from trackcli.cli.main import main; main()", ["--no-plugins", *command]) == []


def test_writing_a_new_plugin_imports_no_heavy_module(tmp_path):
    arguments = ["plugins", "new", "swift-corr", "--kind", "matcher", "-o", str(tmp_path / "new")]
    assert heavy_modules_after("from trackcli.cli.main import main; main()", arguments) == []


def test_the_library_imports_no_heavy_module_until_a_tracker_is_asked_for():
    assert heavy_modules_after("import trackcli") == []
    assert "torch" in heavy_modules_after("import trackcli; trackcli.load")


def test_plugin_entry_points_load_without_a_heavy_module():
    load_all = (
        "from importlib.metadata import entry_points;"
        "loaded = [point.load() for point in entry_points(group='trackcli')];"
        "assert loaded"
    )
    assert heavy_modules_after(load_all) == []


def test_every_entry_point_of_the_distribution_loads():
    points = distribution("trackcli").entry_points
    assert {point.group for point in points} == {"console_scripts", "trackcli"}
    for point in points:
        assert point.load() is not None


@pytest.mark.parametrize(
    "program",
    [[sys.executable, "-m", "trackcli"], [str(Path(sysconfig.get_path("scripts")) / "trackcli")]],
    ids=["module", "script"],
)
def test_the_module_and_the_script_are_the_same_program(program):
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"trackcli {distribution('trackcli').version}\n"
