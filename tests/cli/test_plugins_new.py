"""``trackcli plugins new``: what it writes and what it refuses. That it works is tests/packaging/test_new_plugin.py."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from trackcli.scaffold.package import NEW_KINDS, package_files

TRACKCLI = (sys.executable, "-m", "trackcli")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRACKCLI, "plugins", "new", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_it_says_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    done = run("swift-corr", "--kind", "matcher", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    files, following = done.stdout.split("next:\n")
    assert files.split() == [
        "trackcli-swift-corr/README.md",
        "trackcli-swift-corr/pyproject.toml",
        "trackcli-swift-corr/tests/test_swift_corr.py",
        "trackcli-swift-corr/trackcli_swift_corr/__init__.py",
        "trackcli-swift-corr/trackcli_swift_corr/component.py",
        "trackcli-swift-corr/trackcli_swift_corr/config.py",
        "trackcli-swift-corr/trackcli_swift_corr/plugin.py",
    ]
    assert all((tmp_path / name).is_file() for name in files.split())
    assert [line.strip() for line in following.splitlines()] == [
        "pip install -e trackcli-swift-corr",
        "python -m pytest trackcli-swift-corr/tests",
        "trackcli plugins show swift-corr",
    ]


def test_json_is_one_object(tmp_path: Path) -> None:
    answer = json.loads(run("tape", "--kind", "dataset", "-o", "deep/in side", "--json", cwd=tmp_path).stdout)
    assert (answer["name"], answer["kind"], answer["folder"]) == ("tape", "dataset", "deep/in side")
    assert "trackcli_tape/component.py" in answer["files"]
    assert answer["next"][0] == "pip install -e 'deep/in side'"
    assert (tmp_path / "deep" / "in side" / "pyproject.toml").is_file()


def test_an_empty_folder_is_filled_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert run("swift-corr", "--kind", "matcher", "-o", "mine", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_folder_one_stands_in_is_filled(tmp_path: Path) -> None:
    done = run("swift-corr", "--kind", "matcher", "-o", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "pyproject.toml", "tests", "trackcli_swift_corr"
    ]  # fmt: skip


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    done = run("swift-corr", "--kind", "matcher", "-o", "mine", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: folder 'mine' is not empty; nothing is overwritten: choose another with -o\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("Swift_Corr", "matcher", "name 'Swift_Corr' is not kebab-case; expected small letters, digits and single"),
        ("../evil", "matcher", "name '../evil' is not kebab-case"),
        ("a" * 41, "loss", "at most 40 characters, like 'my-loss'"),
        ("trackcli-swift", "matcher", "begins with 'trackcli-', which is added to it; write 'swift'"),
        ("lambda", "loss", "name 'lambda' is a word of Python; choose another, like 'my-lambda'"),
        ("rpn", "head", "head 'rpn' is there already, of trackcli "),
        (
            "cache",
            "dataset",
            "a package 'trackcli-cache' is installed already, which this one would replace",
        ),
        ("swift", "matchr", "unknown --kind 'matchr'; expected one of: backbone, matcher, head, loss, "),
    ],
)
def test_what_cannot_be_is_explained_and_nothing_is_written(name: str, kind: str, message: str, tmp_path: Path) -> None:
    done = run(name, "--kind", kind, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("swift-corr", "--kind", "matcher", "-o", "file/below", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: folder 'file/below' cannot be written (")


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_every_file_is_whole(kind: str) -> None:
    files = package_files("swift-thing", kind)
    for path, text in files.items():
        assert "$" not in text, path
        assert text.endswith("\n")
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it is"
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["trackcli"] == {"swift-thing": "trackcli_swift_thing.plugin"}
    assert project["tool"]["setuptools"]["packages"] == ["trackcli_swift_thing"]


@pytest.mark.parametrize(("name", "class_name"), [("my-matcher", "MyMatcher"), ("x2-corr", "X2CorrMatcher")])
def test_a_class_is_named_after_the_component_and_its_kind_once(name: str, class_name: str) -> None:
    module = f"trackcli_{name.replace('-', '_')}/component.py"
    assert f"class {class_name}(" in package_files(name, "matcher")[module]
