"""docs/first-plugin.md followed to the letter: its files written, its commands run, in an environment of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-plugin.md").read_text(encoding="utf-8")
FILES = (
    "pyproject.toml",
    "my_trackers/plugin.py",
    "my_trackers/config.py",
    "my_trackers/matcher.py",
    "test_matcher.py",
)

# Beside what the page says: no index is asked, and the smoke run is a small one on the processor.
QUICKER = {
    "pip install": ["--quiet", "--no-deps", "--no-build-isolation"],
    "trackcli synth": ["--size", "160x120", "-q"],
    "trackcli train": ["--device", "cpu", "-q", "--set", "matcher.channels=16", "--set", "head.hidden=16"],
    "trackcli track": ["--device", "cpu", "-q"],
}

pytestmark = pytest.mark.slow


def file_blocks():
    """The page's files: each follows a paragraph that ends in its name."""
    found = re.findall(r"`([\w./]+)`:\n\n```(?:toml|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture
def programs(tmp_path):
    """Folder of a fresh environment's programs; it sees what is installed beside this checkout."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    lent = [str(ROOT), str(ROOT / "cache"), *(sysconfig.get_path(name) for name in ("purelib", "platlib"))]
    (packages / "lent.pth").write_text("\n".join(dict.fromkeys(lent)) + "\n")
    return place / "bin"


def run(command, programs, folder):
    program, *rest = command
    python = programs / "python"
    starts = {
        "pip": [sys.executable, "-m", "pip", "--python", python],
        "trackcli": [python, "-m", "trackcli"],
        "python": [python],
    }
    extra = QUICKER.get(" ".join(command[:2]), [])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(item) for item in (*starts[program], *rest, *extra)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_the_page_followed_literally_makes_a_plugin_that_trains_and_tracks(programs, tmp_path):
    folder = tmp_path / "my-trackers"
    (folder / "my_trackers").mkdir(parents=True)
    (folder / "my_trackers" / "__init__.py").touch()
    blocks = file_blocks()
    assert tuple(blocks) == FILES
    for name, text in blocks.items():
        (folder / name).write_text(text, encoding="utf-8")
    for command in commands():
        run(command, programs, folder)
    assert len((folder / "boxes.csv").read_text().splitlines()) == 1 + 12


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
