"""The distributions' metadata agree with each other and with the code."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import trackcli

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT, ROOT / "cache", *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))]
each_project = pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name if path != ROOT else "core")


def metadata(project):
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


def canonical(requirement):
    """The distribution's name in a requirement or pin, as indexes compare names."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonical(line) for line in lines if line and not line.startswith("#")}


@each_project
def test_every_direct_dependency_is_pinned_in_the_constraints(project):
    data = metadata(project)
    requirements = [*data["dependencies"]]
    for extra in data.get("optional-dependencies", {}).values():
        requirements += extra
    own = {metadata(path)["name"] for path in PROJECTS}
    assert {canonical(text) for text in requirements} - own <= pinned()


def test_the_constraints_do_not_pin_the_projects_own_distributions():
    assert pinned().isdisjoint(metadata(project)["name"] for project in PROJECTS)


@each_project
def test_the_licence_is_in_every_distribution_and_is_the_same(project):
    assert metadata(project)["license-files"] == ["LICENSE"]
    assert (project / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_core_wants_exactly_the_cache_beside_it():
    cache = metadata(ROOT / "cache")
    assert f"{cache['name']}=={cache['version']}" in metadata(ROOT)["dependencies"]


def test_the_version_in_the_code_is_the_one_that_is_installed():
    assert trackcli.__version__ == version("trackcli") == metadata(ROOT)["version"]


def test_the_changelog_starts_with_this_version():
    headings = re.findall(r"^## \[?(\S+?)\]?(?: |$)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert metadata(ROOT)["version"] in headings[:2]  # the first may be "Unreleased"
