"""An environment as a user has it: trackcli and its cache installed from wheels, far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_clean(*command: object, cwd: Path) -> str:
    """Run a program with nothing of ours on the path; give what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [str(part) for part in command]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=250, check=False, cwd=cwd, env=environment | {"COLUMNS": "200"}
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def wheel_of(project: Path, package: str, folder: Path) -> Path:
    """Build from a copy, so that the checkout stays clean."""
    source = folder / f"source-{package}"
    shutil.copytree(project / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (project / name).exists():
            shutil.copy(project / name, source)
    out = folder / f"wheel-{package}"
    run_clean(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=folder)
    (wheel,) = out.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class UserEnvironment:
    """A virtual environment of its own; heavy dependencies are lent from the tests' one."""

    place: Path

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"

    @property
    def trackcli(self) -> Path:
        return self.place / "bin" / "trackcli"

    def install(self, *wheels: Path) -> None:
        pip = (sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-deps", "--no-index")
        run_clean(*pip, *wheels, cwd=self.place)


def lent_packages(folder: Path) -> Path:
    """What the tests' environment has installed, without what is developed here: its plugins are nobody else's."""
    folder.mkdir()
    for name in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(name)).iterdir():
            if "trackcli" not in entry.name and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    return run_clean


@pytest.fixture(scope="session")
def build_wheel() -> Callable[[Path, str, Path], Path]:
    return wheel_of


@pytest.fixture(scope="session")
def user_environment(tmp_path_factory: pytest.TempPathFactory) -> UserEnvironment:
    folder = tmp_path_factory.mktemp("user")
    environment = UserEnvironment(folder / "environment")
    venv.create(environment.place, with_pip=False, symlinks=True)
    environment.install(wheel_of(ROOT, "trackcli", folder), wheel_of(ROOT / "cache", "trackcli_cache", folder))
    (packages,) = environment.place.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(f"{lent_packages(folder / 'lent')}\n")
    return environment
