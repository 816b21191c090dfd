"""Wheels of all distributions: they hold everything, and they work far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {  # the folder of every distribution's project, and its package
    ".": "trackcli",
    "cache": "trackcli_cache",
    **{
        f"plugins/{path.parent.name}": f"trackcli_{path.parent.name}"
        for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    },
}
MOST_BYTES_OF_WEIGHTS = 8_000_000

pytestmark = pytest.mark.slow
each_distribution = pytest.mark.parametrize("project", PACKAGES)


def run(*command, cwd, timeout=120):
    """Run a program as a user would who has no checkout: nothing of ours on the path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(part) for part in command]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd, env=environment
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Path of each project's wheel, built from a copy so that no older build in the checkout can leak in."""
    built = {}
    for project, package in PACKAGES.items():
        source, folder = (tmp_path_factory.mktemp(f"{kind}-{package}") for kind in ("source", "wheel"))
        shutil.copytree(ROOT / project / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / project / name, source)
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=folder)
        (built[project],) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory):
    """Folder of a fresh environment with the wheels; their dependencies are lent by the running interpreter."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", *wheels.values(), cwd=environment)
    # Lent last, since pip would take the editable installs there for ours. Python does not read the .pth files of a
    # folder that a .pth file adds, so the editable installs' import hooks stay where they are.
    lent = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site_packages(environment) / "lent.pth").write_text("\n".join(lent) + "\n")
    return environment


def site_packages(environment):
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


def files_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources(project, package, pattern):
    folder = ROOT / project
    found = (folder / package).rglob(pattern)
    return {path.relative_to(folder).as_posix() for path in found if "__pycache__" not in path.parts}


@each_distribution
def test_a_wheel_holds_every_module_and_nothing_else_that_python_imports(wheels, project):
    modules = {name for name in files_in(wheels[project]) if name.endswith(".py")}
    assert modules == sources(project, PACKAGES[project], "*.py")


@each_distribution
def test_a_wheel_says_that_it_is_typed_and_holds_the_licence(wheels, project):
    names = files_in(wheels[project])
    assert f"{PACKAGES[project]}/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_core_wheel_holds_every_file_of_the_weights_folder(wheels):
    assert sources(".", "trackcli", "weights/*") <= files_in(wheels["."])


def test_the_core_wheel_holds_the_default_tracker_and_its_model_card(wheels):
    with zipfile.ZipFile(wheels["."]) as archive:
        assert 0 < archive.getinfo("trackcli/weights/default.safetensors").file_size <= MOST_BYTES_OF_WEIGHTS
        assert archive.getinfo("trackcli/weights/default.md").file_size > 0


def test_the_installed_packages_are_those_of_the_fresh_environment(installed):
    names = list(PACKAGES.values())
    code = f"""
import importlib, json, sys
from importlib.metadata import distribution
print(json.dumps({{
    "files": [importlib.import_module(name).__file__ for name in {names!r}],
    "metadata": [str(distribution(name).locate_file("")) for name in {names!r}],
    "editable": [name for name in sys.modules if name.startswith("__editable__")],
}}))
"""
    found = json.loads(run(installed / "bin" / "python", "-c", code, cwd=installed))
    assert found["files"] == [str(site_packages(installed) / name / "__init__.py") for name in names]
    assert {Path(folder) for folder in found["metadata"]} == {site_packages(installed)}
    assert found["editable"] == []


def test_the_installed_program_shows_its_version_and_help(installed):
    program = installed / "bin" / "trackcli"
    assert run(program, "--version", cwd=installed).startswith("trackcli ")
    assert "demo" in run(program, "--help", cwd=installed)


def test_the_installed_program_makes_synthetic_sequences(installed, tmp_path):
    run(installed / "bin" / "trackcli", "synth", "-o", "made", "--frames", 3, cwd=tmp_path)
    assert len(list((tmp_path / "made" / "synth_00000" / "img").iterdir())) == 3


def test_the_installed_program_tracks_with_the_default_tracker(installed, tmp_path):
    shown = run(installed / "bin" / "trackcli", "demo", "--frames", 5, "--device", "cpu", cwd=tmp_path)
    assert shown.splitlines()[-1].startswith("mean overlap ")
    assert (tmp_path / "demo-output" / "track.mp4").stat().st_size > 0
